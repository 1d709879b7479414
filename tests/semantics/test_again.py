"""One simulator asked many times: what it worked out for one flow makes no difference to the next."""

from __future__ import annotations

from itertools import permutations

import pytest

from netprobe.model.cluster import Cluster
from netprobe.model.flow import Protocol
from netprobe.model.policy import Direction, NamedPort, PodPeer, PortRange
from netprobe.simulate import Simulator
from tests.semantics.stage import app, facing, flow, param, rule, stage

TCP = Protocol.TCP
ONE_PORT = PortRange(TCP, 443, 443)
TO_WEB = facing(Direction.EGRESS, "x/web", app(""), rule(ports=[ONE_PORT, NamedPort("web")]))
FROM_A = facing(Direction.INGRESS, "x/from-a", app("b"), rule([PodPeer(app("a")), PodPeer(app(""))]))
WEB_ONLY = facing(Direction.INGRESS, "x/web-in", None, rule(ports=[NamedPort("web")]))

TABLES = [
    param(
        stage(TO_WEB),
        {
            "x/e -> x/a 80": ".",
            "x/e -> x/b 80": "X",
            "x/e -> x/b 81": ".",
            "x/e -> x/a 81": "X",
        },
        id="a name means another number on another destination, next to an entry without a name",
    ),
    param(
        stage(FROM_A),
        {"x/a -> x/b 80": ".", "x/n -> x/b 80": "X", "x/e -> x/b 80": ".", "x/b -> x/a 80": "."},
        id="other peers of the same subject",
    ),
    param(
        stage(WEB_ONLY),
        {"y/a -> x/b 81": ".", "y/a -> x/b 80": "X", "y/a -> x/a 80": ".", "y/a -> x/a 53/UDP": "X"},
        id="other ports and protocols of the same subject",
    ),
]


@pytest.mark.parametrize(("cluster", "table"), TABLES)
def test_the_order_of_questions_has_no_meaning(cluster: Cluster, table: dict[str, str]) -> None:
    for order in permutations(table):
        simulator = Simulator(cluster)
        for text in (*order, *order):
            assert simulator.decide(flow(text)).verdict.mark == table[text], (text, order)


def test_the_causes_are_those_of_the_flow_at_hand() -> None:
    simulator = Simulator(stage(FROM_A))
    peers = {
        text: [cause.peer for cause in simulator.decide(flow(text)).because]
        for text in ("x/e -> x/b 80", "x/a -> x/b 80", "x/n -> x/b 80")
    }
    assert peers == {"x/e -> x/b 80": [1], "x/a -> x/b 80": [0], "x/n -> x/b 80": [None]}
