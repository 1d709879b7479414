"""Which ends selectors and Services mean, as peers and as subjects; see also test_manifests.py."""

from __future__ import annotations

from dataclasses import replace

import pytest

from netprobe.model.cluster import Service, ServicePort
from netprobe.model.expression import AllOf, AnyOf, Negation, Part, ValuePart
from netprobe.model.flow import ServiceRef
from netprobe.model.labels import (
    CALICO_ACCOUNT,
    CALICO_NAMESPACE,
    CHOSEN_LATER,
    EVERYTHING,
    Operator,
    Requirement,
    Selector,
    labels_of_pod,
    labels_of_set,
)
from netprobe.model.policy import AllPeers, Direction, NotPeer, Peer, PodPeer, ServicePeer
from tests.semantics.stage import app, block, expression, facing, marks, param, policy, rule, stage, toward

ONE = Selector.of({"team": "one"})
A = app("a")
B = app("b")

S = ServiceRef("x", "s")
BEHIND, ON_PORTS = ServicePeer(S), ServicePeer(S, on_ports=True)
TO_SERVICE = ["x/a -> x/b 80", "x/a -> x/b 81", "x/a -> x/b 81/UDP", "x/a -> y/b 81", "x/a -> out 81"]
SERVICE_PEER = [  #                                                   x/b:80 :81 UDP y/b out
    param([BEHIND], ". . . X X", id="the pods behind a Service, on every port"),
    param([ON_PORTS], "X . X X X", id="on the ports that it forwards to"),
    param([NotPeer(BEHIND)], "X X X . .", id="not the pods behind it"),
    param([NotPeer(ON_PORTS)], ". X . . .", id="not the ports behind it"),
    param([AllPeers((PodPeer(B, EVERYTHING), ON_PORTS))], "X . X X X", id="both of a selector and ports"),
    param([AllPeers((PodPeer(A), ON_PORTS))], "X X X X X", id="a selector of other pods"),
    param([AllPeers((PodPeer(B), BEHIND))], ". . . X X", id="both of a selector and pods"),
    param([block("203.0.113.0/24"), ON_PORTS], "X . X X .", id="addresses, or ports behind it"),
    param([ServicePeer(ServiceRef("x", "gone"))], "X X X X X", id="a Service that does not exist"),
]


SERVICE = Service(S, {"app": "b"}, ports=(ServicePort(8000, "web"),))


@pytest.mark.parametrize(("peers", "expected"), SERVICE_PEER)
def test_services_as_peers(peers: list[Peer], expected: str) -> None:
    cluster = stage(policy("x/p", A, egress=[rule(peers)]), services=[SERVICE])
    assert marks(cluster, TO_SERVICE) == expected


def test_a_service_as_the_own_end() -> None:
    cluster = stage(policy("x/p", ingress=[replace(rule(), own=ON_PORTS)]), services=[SERVICE])
    assert marks(cluster, ["y/a -> x/b 80", "y/a -> x/b 81", "y/a -> x/a 81"]) == "X . X"


def requirement(key: str, operator: Operator, *values: str) -> Requirement:
    return Requirement(key, operator, values)


IS_B, IS_EMPTY = (requirement("app", Operator.IN, value) for value in ("b", ""))
HAS_APP, NOT_A = requirement("app", Operator.EXISTS), requirement("app", Operator.NOT_IN, "a")
SELECTOR = [  #                                                      x/a  b  e  n
    param(Selector(), ". . . .", id="{}: everything of its kind"),
    param(app("a"), ". X X X", id="matchLabels: the key must be present with this value"),
    param(app(""), "X X . X", id="an empty value matches only a present, empty value"),
    param(Selector.of({"app": "a", "tier": "t"}), "X X X X", id="matchLabels: all of them"),
    param(
        expression("app", Operator.IN, "a"),
        ". X X X",
        id="In: the key must be present with one of the values",
    ),
    param(expression("app", Operator.IN, "a", "b"), ". . X X", id="In: any of the values"),
    param(expression("app", Operator.IN, ""), "X X . X", id="In with an empty value: present and empty"),
    param(expression("app", Operator.EXISTS), ". . . X", id="Exists: the key is present, an empty value too"),
    param(
        expression("app", Operator.NOT_IN, "a"), "X . . .", id="NotIn matches also where the key is absent"
    ),
    param(expression("app", Operator.NOT_IN, "a", "b"), "X X . .", id="NotIn: none of the values"),
    param(
        expression("app", Operator.NOT_IN, ""),
        ". . X .",
        id="NotIn with an empty value spares the absent key",
    ),
    param(expression("app", Operator.DOES_NOT_EXIST), "X X X .", id="DoesNotExist: the key is absent"),
    param(
        Selector.of({}, requirement("app", Operator.EXISTS), requirement("app", Operator.NOT_IN, "a")),
        "X . . X",
        id="several expressions: all of them",
    ),
    param(
        Selector.of({"app": "b"}, requirement("app", Operator.IN, "a", "b")),
        "X . X X",
        id="matchLabels and matchExpressions: all of them",
    ),
    param(
        Selector.of({"app": "b"}, requirement("app", Operator.IN, "a")),
        "X X X X",
        id="matchLabels and an expression that contradict each other",
    ),
    param(Selector(expression=AnyOf((IS_B, IS_EMPTY))), "X . . X", id="any of several"),
    param(Selector(expression=AllOf((HAS_APP, NOT_A))), "X . . X", id="all of several"),
    param(Selector(expression=Negation(AnyOf((IS_B, IS_EMPTY)))), ". X X .", id="none of several"),
    param(Selector(expression=ValuePart("app", Part.ANYWHERE, "")), ". . . X", id="a part of any value"),
    param(Selector(expression=ValuePart("app", Part.END, "b")), "X . X X", id="the end of a value"),
    param(
        expression("none", Operator.NOT_IN, "a"), ". . . .", id="NotIn on a key that nobody has: everybody"
    ),
    param(expression("none", Operator.EXISTS), "X X X X", id="Exists on a key that nobody has: nobody"),
    param(expression("none", Operator.DOES_NOT_EXIST), ". . . .", id="DoesNotExist on it: everybody"),
]


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize(("selector", "expected"), SELECTOR)
def test_a_selector_of_peers(direction: Direction, selector: Selector, expected: str) -> None:
    cluster = stage(facing(direction, "z/p", None, rule([PodPeer(selector, ONE)])))
    assert marks(cluster, toward(direction, "z/a", "x/a x/b x/e x/n")) == expected


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize(("selector", "expected"), SELECTOR)
def test_a_selector_of_subjects(direction: Direction, selector: Selector, expected: str) -> None:
    """Whom it selects is isolated, so the marks turn round."""
    cluster = stage(facing(direction, "x/p", selector))
    asked = [toward(direction, subject, "y/a")[0] for subject in ("x/a", "x/b", "x/e", "x/n")]
    assert marks(cluster, asked).translate(str.maketrans(".X", "X.")) == expected


LATER = {"app": "web", "hash": f"{CHOSEN_LATER}h-*", "second": f"{CHOSEN_LATER}s-*"}
IN, NOT_IN = Operator.IN, Operator.NOT_IN
H_1 = requirement("hash", IN, "h-1")
MAY_MATCH = [
    param(EVERYTHING, True, id="everything"),
    param(Selector.of({"hash": "h-1", "app": "web"}), True, id="a value that it may have"),
    param(Selector.of({"hash": "h-1", "app": "other"}), False, id="another label that it does not have"),
    param(Selector.of({"hash": "h-1", "second": "no"}), False, id="one of two that it may not have"),
    param(Selector.of({"app": "web", "none": "1"}), False, id="a key that it does not have"),
    param(expression("hash", IN, "no", "h-1"), True, id="In: one of the values"),
    param(expression("hash", IN, "no", "nor"), False, id="In: none of the values"),
    param(expression("app", IN, "other"), False, id="In: another label"),
    param(Selector.of({}, H_1, requirement("second", IN, "no")), False, id="In twice"),
    param(Selector.of({}, H_1, requirement("app", NOT_IN, "web")), False, id="NotIn beside it"),
    param(expression("hash", NOT_IN, "h-1"), True, id="NotIn"),
    param(expression("hash", Operator.DOES_NOT_EXIST), False, id="DoesNotExist"),
]  # fmt: skip


@pytest.mark.parametrize(("selector", "expected"), MAY_MATCH)
def test_labels_that_a_controller_chooses_later(selector: Selector, expected: bool) -> None:
    assert selector.may_match(LATER) is expected
    assert selector.may_match({"app": "web"}) is selector.matches({"app": "web"})


def test_the_labels_that_calico_adds() -> None:
    accounts = [labels_of_pod("x", "a" * length, {}).get(CALICO_ACCOUNT) for length in (62, 63)]
    assert accounts == ["a" * 62, None]
    assert [labels_of_set(namespace, {}) for namespace in ("x", "")] == [{CALICO_NAMESPACE: "x"}, {}]


def test_a_selector_is_written_as_kubectl_writes_it() -> None:
    several = Selector.of(
        {"a": "b"},
        requirement("c", NOT_IN, "d", "e"),
        requirement("f", IN, "g"),
        requirement("h", Operator.EXISTS),
        requirement("i", Operator.DOES_NOT_EXIST),
    )
    assert [str(several), str(EVERYTHING)] == ["a=b,c notin (d, e),f in (g),h,!i", "everything"]
