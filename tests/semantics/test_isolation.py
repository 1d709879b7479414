"""Both sides of a flow, and the causes of a decision. Who is isolated: tests/lab/fabric/test_semantics.py."""

from __future__ import annotations

import pytest

from netprobe.model.labels import Selector
from netprobe.model.policy import Direction, PodPeer, Policy
from netprobe.model.verdict import Effect
from tests.semantics.stage import app, block, decide, facing, marks, param, policy, rule, stage, toward

FROM_B = PodPeer(app("b"))
FROM_Y = PodPeer(Selector(), Selector.of({"team": "two"}))

BOTH_SIDES = [
    param([], [], ".", id="neither side isolated: passes"),
    param([policy("x/e", egress=[rule()])], [], ".", id="egress allows, ingress not isolated: passes"),
    param([policy("x/e", egress=())], [], "X", id="egress denies, ingress not isolated: denied"),
    param([], [policy("y/i", ingress=())], "X", id="egress not isolated, ingress denies: denied"),
    param(
        [policy("x/e", egress=[rule()])], [policy("y/i", ingress=())], "X", id="egress allows, ingress denies"
    ),
    param(
        [policy("x/e", egress=())], [policy("y/i", ingress=[rule()])], "X", id="egress denies, ingress allows"
    ),
    param([policy("x/e", egress=())], [policy("y/i", ingress=())], "X", id="both deny"),
    param([policy("x/e", egress=[rule()])], [policy("y/i", ingress=[rule()])], ".", id="both allow: passes"),
    param(
        [policy("x/i", ingress=())], [policy("y/e", egress=())], ".", id="the other directions have no say"
    ),
]


@pytest.mark.parametrize(("source", "destination", "expected"), BOTH_SIDES)
def test_a_flow_passes_when_both_sides_let_it(
    source: list[Policy], destination: list[Policy], expected: str
) -> None:
    assert marks(stage(*source, *destination), ["x/a -> y/a 80"]) == expected


def test_replies_always_pass_so_only_the_way_of_the_connection_is_judged() -> None:
    cluster = stage(policy("x/i", ingress=()), policy("y/e", egress=()))
    assert marks(cluster, ["x/a -> y/a 80", "y/a -> x/a 80"]) == ". X"


@pytest.mark.parametrize("direction", Direction)
def test_a_decision_names_every_cause_on_both_sides(direction: Direction) -> None:
    peers = (PodPeer(app("none")), PodPeer(), FROM_Y)
    cluster = stage(
        facing(direction, "x/b-second", None, rule(peers), rule([block("0.0.0.0/0")]), rule()),
        facing(direction, "x/a-first", None),
        facing(direction, "x/other", app("b")),
    )
    decision = decide(cluster, toward(direction, "x/a", "y/a")[0])
    side = decision.ingress if direction is Direction.INGRESS else decision.egress
    assert [(str(cause.policy), cause.effect, cause.rule) for cause in side.isolating] == [
        ("x/a-first", Effect.ISOLATES, None),
        ("x/b-second", Effect.ISOLATES, None),
    ]
    assert [(str(c.policy), c.effect, c.rule, c.peer, c.port) for c in side.allowing] == [
        ("x/b-second", Effect.ALLOWS, 0, 2, None),
        ("x/b-second", Effect.ALLOWS, 1, 0, None),
        ("x/b-second", Effect.ALLOWS, 2, None, None),
    ]
    assert {cause.direction for cause in (*side.isolating, *side.allowing)} == {direction}
    assert decision.because == side.allowing
    assert decision.undefined is None
    assert decision.reason is None


def test_a_denial_names_the_policies_that_isolate() -> None:
    cluster = stage(policy("x/p", app("b"), ingress=()), policy("x/q", ingress=[rule([FROM_B])]))
    decision = decide(cluster, "y/a -> x/b 80")
    assert [str(cause.policy) for cause in decision.because] == ["x/p", "x/q"]
