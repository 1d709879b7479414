"""Which ports a rule opens. Each row holds for both directions, between x/a and y/a, unless it says more."""

from __future__ import annotations

import pytest

from netprobe.model.flow import ContainerPort, Protocol
from netprobe.model.labels import EVERYTHING
from netprobe.model.policy import ANY_PORT, Direction, NamedPort, PodPeer, Port, PortRange
from tests.semantics.stage import (
    OTHER_WEB,
    WEB,
    also,
    app,
    facing,
    marks,
    param,
    pod,
    policy,
    rule,
    stage,
    toward,
)

TCP, UDP, SCTP = Protocol.TCP, Protocol.UDP, Protocol.SCTP
ASKED = "1 79 80 81 65535 80/UDP 53/UDP 80/SCTP"
EVERYBODY = PodPeer(EVERYTHING, EVERYTHING)

PORT = [  #                                                             1 79 80 81 65535 80u 53u 80s
    param(ANY_PORT, ". . . . . . . .", id="ports absent or []: all ports of all protocols"),
    param([PortRange(TCP)], ". . . . . X X X", id="ports: [{}] is all of TCP, and of TCP alone"),
    param([PortRange(UDP)], "X X X X X . . X", id="an entry without port: all ports of that protocol"),
    param([PortRange(TCP, 80, 80)], "X X . X X X X X", id="a number: that port of that protocol"),
    param(
        [PortRange(UDP, 80, 80)], "X X X X X . X X", id="the same number of another protocol is another port"
    ),
    param([PortRange(TCP, 80, 81)], "X X . . X X X X", id="endPort is inclusive, both edges"),
    param([PortRange(TCP, 79, 80)], "X . . X X X X X", id="what is above endPort is out"),
    param([PortRange(TCP, 81, 65535)], "X X X . . X X X", id="endPort 65535"),
    param(
        [PortRange(TCP, 80, 80), PortRange(UDP, 53, 53)], "X X . X X X . X", id="several entries: any of them"
    ),
    param([PortRange(SCTP)], "X X X X X X X .", id="an SCTP-only policy still isolates TCP"),
    param([NamedPort("web")], "X X . X X X X X", id="a name: the port of that name on the destination"),
    param([NamedPort("web", UDP)], "X X X X X X X X", id="a name: the protocol must match"),
    param([NamedPort("dns", UDP)], "X X X X X X . X", id="a name: any container port, not only the first"),
    param([NamedPort("none")], "X X X X X X X X", id="a name that the pod does not declare opens nothing"),
    param(
        [NamedPort("none"), PortRange(TCP, 80, 80)], "X X . X X X X X", id="next to it other entries count"
    ),
]


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize(("ports", "expected"), PORT)
def test_ports(direction: Direction, ports: list[Port], expected: str) -> None:
    cluster = stage(facing(direction, "x/p", None, rule([EVERYBODY], ports)))
    asked = [toward(direction, "x/a", "y/a", port)[0] for port in ASKED.split()]
    assert marks(cluster, asked) == expected


TO = ["y/a -> x/a 80", "y/a -> x/a 81", "y/a -> x/b 80", "y/a -> x/b 81"]


def test_one_name_on_two_ports_of_a_pod_opens_both() -> None:
    twice = (*WEB, ContainerPort(8080, TCP, "web"))
    cluster = stage(
        policy("x/p", ingress=[rule(ports=[NamedPort("web")])]),
        pods=also(pod("x/a", {"app": "a"}, "10.244.1.1", ports=twice)),
    )
    assert marks(cluster, ["y/a -> x/a 80", "y/a -> x/a 8080", "y/a -> x/a 81"]) == ". . X"


def test_pods_that_differ_in_a_named_port_alone_are_distinguished() -> None:
    cluster = stage(
        policy("x/p", ingress=[rule(ports=[NamedPort("web")])]),
        pods=also(
            pod("x/a", {}, "10.244.1.1", ports=WEB),
            pod("x/b", {}, "10.244.1.2", ports=OTHER_WEB),
            pod("x/e", {}, "10.244.1.3", ports=()),
        ),
    )
    assert marks(cluster, [*TO, "y/a -> x/e 80", "y/a -> x/e 81"]) == ". X X . X X"


def test_ports_belong_to_the_peers_of_their_own_policy() -> None:
    cluster = stage(
        policy("x/p", ingress=[rule([PodPeer(app("b"))], [PortRange(TCP, 80, 80)])]),
        policy("x/q", ingress=[rule([PodPeer(app(""))], [NamedPort("web", UDP), PortRange(TCP, 81, 81)])]),
    )
    asked = ["x/b -> x/a 80", "x/b -> x/a 81", "x/e -> x/a 80", "x/e -> x/a 81"]
    assert marks(cluster, asked) == ". X X ."


def test_both_sides_must_open_the_port() -> None:
    cluster = stage(
        policy("x/p", egress=[rule(ports=[PortRange(TCP, 79, 80)])]),
        policy("y/p", ingress=[rule(ports=[PortRange(TCP, 80, 81)])]),
    )
    assert marks(cluster, [f"x/a -> y/a {port}" for port in (79, 80, 81)]) == "X . X"
