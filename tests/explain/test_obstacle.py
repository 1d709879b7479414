"""The first thing that did not match, for every kind of it."""

from __future__ import annotations

import pytest

from netprobe.explain import Obstacle, explain
from netprobe.explain import ObstacleKind as Kind
from netprobe.model.flow import Protocol
from netprobe.model.labels import EVERYTHING, Operator, Requirement, Selector
from netprobe.model.policy import NamedPort, Peer, PodPeer, Port, PortRange
from netprobe.simulate import CALICO, CILIUM, Profile, Simulator
from tests.semantics.stage import also, app, block, expression, flow, param, pod, policy, rule, stage

NO_TEAM = Selector.of({}, Requirement("team", Operator.DOES_NOT_EXIST))
PEERS = [
    param(
        "out",
        PodPeer(),
        Kind.NOT_A_POD,
        "out is not a pod, and selectors match only pods",
        id="no pod",
    ),
    param(
        "z/h",
        PodPeer(),
        Kind.HOST_NETWORK,
        "z/h is on its node's network, where selectors do not match it",
        id="host network",
    ),
    param(
        "y/a",
        PodPeer(app("a")),
        Kind.NAMESPACE,
        "without a namespaceSelector it matches only pods of x, and y/a is in y",
        id="another namespace",
    ),
    param(
        "z/a",
        PodPeer(app("a"), Selector.of({"team": "two"})),
        Kind.NAMESPACE_LABEL_MISSING,
        "namespace z has no label team (wanted: team=two)",
        id="namespace label missing",
    ),
    param(
        "y/a",
        PodPeer(app("a"), Selector.of({"team": "one"})),
        Kind.NAMESPACE_LABEL_DIFFERENT,
        "namespace y has team=two (wanted: team=one)",
        id="namespace label different",
    ),
    param(
        "y/a",
        PodPeer(app("a"), NO_TEAM),
        Kind.NAMESPACE_LABEL_PRESENT,
        "namespace y has team=two (wanted: !team)",
        id="namespace label present",
    ),
    param(
        "x/n",
        PodPeer(app("b")),
        Kind.LABEL_MISSING,
        "x/n has no label app (wanted: app=b)",
        id="label missing",
    ),
    param(
        "x/e",
        PodPeer(app("b")),
        Kind.LABEL_DIFFERENT,
        "x/e has app= (wanted: app=b)",
        id="label different",
    ),
    param(
        "x/b",
        PodPeer(expression("app", Operator.NOT_IN, "b", "c")),
        Kind.LABEL_PRESENT,
        "x/b has app=b (wanted: app notin (b, c))",
        id="label present",
    ),
    param(
        "x/n",
        PodPeer(expression("app", Operator.IN, "b", "c")),
        Kind.LABEL_MISSING,
        "x/n has no label app (wanted: app in (b, c))",
        id="one of several values missing",
    ),
    param(
        "x/n",
        PodPeer(expression("app", Operator.EXISTS)),
        Kind.LABEL_MISSING,
        "x/n has no label app (wanted: app)",
        id="a label of any value missing",
    ),
    param(
        "z/u",
        block("0.0.0.0/0", "10.0.0.0/8"),
        Kind.ADDRESS_EXCEPTED,
        "10.244.255.254 is in 0.0.0.0/0 but excepted by 10.0.0.0/8",
        id="no address",
    ),
    param(
        "out",
        block("fd00::/8"),
        Kind.ADDRESS_FAMILY,
        "203.0.113.50 is an IPv4 address and fd00::/8 is not",
        id="other family",
    ),
    param(
        "out",
        block("10.0.0.0/8"),
        Kind.ADDRESS_OUTSIDE,
        "203.0.113.50 is outside 10.0.0.0/8",
        id="outside",
    ),
    param(
        "out",
        block("0.0.0.0/0", "203.0.113.0/24"),
        Kind.ADDRESS_EXCEPTED,
        "203.0.113.50 is in 0.0.0.0/0 but excepted by 203.0.113.0/24",
        id="excepted",
    ),
]


def only_peer_obstacle(source: str, peer: Peer, profile: Profile = CALICO) -> Obstacle | None:
    pods = also(pod("z/h", {}, "172.31.255.9", node=None, host_network=True), pod("z/u", {}, node=None))
    cluster = stage(policy("x/p", app("a"), ingress=[rule([peer])]), pods=pods)
    side = explain(Simulator(cluster, profile), flow(f"{source} -> x/a 80")).sides[1]
    [[item]] = [view.peers for view in side.policies[0].rules]
    return item.obstacle


@pytest.mark.parametrize(("source", "peer", "kind", "text"), PEERS)
def test_peers(source: str, peer: Peer, kind: Kind, text: str) -> None:
    obstacle = only_peer_obstacle(source, peer)
    assert obstacle is not None
    assert (obstacle.kind, obstacle.text) == (kind, text)


def test_a_plugin_that_holds_no_block_against_pods() -> None:
    assert only_peer_obstacle("y/a", block("0.0.0.0/0")) is None
    obstacle = only_peer_obstacle("y/a", block("0.0.0.0/0"), CILIUM)
    assert obstacle is not None
    assert (obstacle.kind, obstacle.text) == (
        Kind.BLOCK_IGNORES_PODS,
        "cilium compares no ipBlock with a pod",
    )


def test_what_matches_has_no_obstacle() -> None:
    for peer in (PodPeer(EVERYTHING, EVERYTHING), block("10.0.0.0/8")):
        assert only_peer_obstacle("y/a", peer) is None


PORTS = [
    param(
        "y/a -> x/a 81",
        PortRange(Protocol.TCP, 80, 80),
        Kind.PORT,
        "it opens TCP 80, not TCP 81",
        id="port",
    ),
    param(
        "y/a -> x/a 82",
        PortRange(Protocol.TCP, 80, 81),
        Kind.PORT,
        "it opens TCP 80-81, not TCP 82",
        id="range",
    ),
    param(
        "y/a -> x/a 80/UDP",
        PortRange(Protocol.TCP),
        Kind.PROTOCOL,
        "it opens all of TCP, not UDP 80",
        id="protocol",
    ),
    param(
        "y/a -> x/a 80/UDP",
        NamedPort("web"),
        Kind.PROTOCOL,
        "it opens TCP web, not UDP 80",
        id="name, protocol",
    ),
    param(
        "y/a -> x/b 80",
        NamedPort("web"),
        Kind.PORT_NAME,
        "web is TCP 81 on x/b, not TCP 80",
        id="another number",
    ),
    param(
        "y/a -> x/a 80",
        NamedPort("http"),
        Kind.PORT_NAME,
        "x/a has no TCP port named http",
        id="no such name",
    ),
    param(
        "y/a -> x/a 53",
        NamedPort("dns"),
        Kind.PORT_NAME,
        "x/a has no TCP port named dns (only one of UDP)",
        id="the name is of another protocol",
    ),
]


@pytest.mark.parametrize(("asked", "entry", "kind", "text"), PORTS)
def test_ports(asked: str, entry: Port, kind: Kind, text: str) -> None:
    cluster = stage(policy("x/p", ingress=[rule(ports=[entry])]))
    side = explain(Simulator(cluster), flow(asked)).sides[1]
    [[item]] = [view.ports for view in side.policies[0].rules]
    assert item.obstacle is not None
    assert (item.obstacle.kind, item.obstacle.text) == (kind, text)


def test_a_port_name_toward_an_address_outside() -> None:
    cluster = stage(policy("x/p", egress=[rule(ports=[NamedPort("web")])]))
    side = explain(Simulator(cluster), flow("x/a -> out 80")).sides[0]
    obstacle = side.policies[0].rules[0].ports[0].obstacle
    assert obstacle is not None
    assert obstacle.text == "out is not a pod, so it has no port named web"
