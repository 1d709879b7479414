"""The first thing that does not match, for every kind of obstacle."""

from __future__ import annotations

from netprobe.explain import ObstacleKind as Kind
from netprobe.explain import explain
from netprobe.explain.explanation import Obstacle
from netprobe.model.flow import Protocol
from netprobe.model.labels import EVERYTHING, Operator, Requirement, Selector
from netprobe.model.policy import NamedPort, Peer, PodPeer, Port, PortRange
from netprobe.simulate import CALICO, CILIUM, Profile, Simulator
from tests.semantics.stage import also, app, block, expression, flow, pod, policy, rule, stage

NO_TEAM = Selector.of({}, Requirement("team", Operator.DOES_NOT_EXIST))
TEAM_ONE, TEAM_TWO = (Selector.of({"team": team}) for team in ("one", "two"))

PEERS: list[
    tuple[str, Peer, Kind, str]
] = [  # source, an item of `from` of a policy of x, what does not match, a part of the text
    ("out", PodPeer(), Kind.NOT_A_POD, "selectors match only pods"),
    ("z/h", PodPeer(), Kind.HOST_NETWORK, "on its node's network"),
    ("y/a", PodPeer(app("a")), Kind.NAMESPACE, "only pods of x, and y/a is in y"),
    ("z/a", PodPeer(app("a"), TEAM_TWO), Kind.NAMESPACE_LABEL_MISSING, "no label team (wanted: team=two)"),
    ("y/a", PodPeer(app("a"), TEAM_ONE), Kind.NAMESPACE_LABEL_DIFFERENT, "team=two (wanted: team=one)"),
    ("y/a", PodPeer(app("a"), NO_TEAM), Kind.NAMESPACE_LABEL_PRESENT, "team=two (wanted: !team)"),
    ("x/n", PodPeer(app("b")), Kind.LABEL_MISSING, "x/n has no label app (wanted: app=b)"),
    ("x/e", PodPeer(app("b")), Kind.LABEL_DIFFERENT, "x/e has app= (wanted: app=b)"),
    ("x/b", PodPeer(expression("app", Operator.NOT_IN, "b", "c")), Kind.LABEL_PRESENT, "app notin (b, c)"),
    ("x/n", PodPeer(expression("app", Operator.IN, "b", "c")), Kind.LABEL_MISSING, "app in (b, c)"),
    ("x/n", PodPeer(expression("app", Operator.EXISTS)), Kind.LABEL_MISSING, "(wanted: app)"),
    ("z/u", block("0.0.0.0/0", "10.0.0.0/8"), Kind.ADDRESS_EXCEPTED, "excepted by 10.0.0.0/8"),
    ("out", block("fd00::/8"), Kind.ADDRESS_FAMILY, "IPv4"),
    ("out", block("10.0.0.0/8"), Kind.ADDRESS_OUTSIDE, "203.0.113.50 is outside 10.0.0.0/8"),
    ("out", block("0.0.0.0/0", "203.0.113.0/24"), Kind.ADDRESS_EXCEPTED, "excepted by 203.0.113.0/24"),
]


def only_peer_obstacle(source: str, peer: Peer, profile: Profile = CALICO) -> Obstacle | None:
    pods = also(pod("z/h", {}, "172.31.255.9", node=None, host_network=True), pod("z/u", {}, node=None))
    cluster = stage(policy("x/p", app("a"), ingress=[rule([peer])]), pods=pods)
    side = explain(Simulator(cluster, profile), flow(f"{source} -> x/a 80")).sides[1]
    [[item]] = [view.peers for view in side.policies[0].rules]
    return item.obstacle


def test_peers() -> None:
    for source, peer, kind, text in PEERS:
        obstacle = only_peer_obstacle(source, peer)
        assert obstacle is not None, (source, peer)
        assert obstacle.kind is kind
        assert text in obstacle.text
    for peer in (PodPeer(EVERYTHING, EVERYTHING), block("10.0.0.0/8"), block("0.0.0.0/0")):
        assert only_peer_obstacle("y/a", peer) is None
    obstacle = only_peer_obstacle("y/a", block("0.0.0.0/0"), CILIUM)
    assert obstacle is not None, "Cilium compares no block with pods"
    assert obstacle.kind is Kind.BLOCK_IGNORES_PODS


TCP, UDP = Protocol.TCP, Protocol.UDP
PORTS: list[tuple[str, Port, Kind, str]] = [  # flow, an item of `ports`, what does not match, the text
    ("y/a -> x/a 81", PortRange(TCP, 80, 80), Kind.PORT, "it opens TCP 80, not TCP 81"),
    ("y/a -> x/a 82", PortRange(TCP, 80, 81), Kind.PORT, "it opens TCP 80-81, not TCP 82"),
    ("y/a -> x/a 80/UDP", PortRange(TCP), Kind.PROTOCOL, "it opens all of TCP, not UDP 80"),
    ("y/a -> x/a 80/UDP", NamedPort("web"), Kind.PROTOCOL, "it opens TCP web, not UDP 80"),
    ("y/a -> x/b 80", NamedPort("web"), Kind.PORT_NAME, "web is TCP 81 on x/b, not TCP 80"),
    ("y/a -> x/a 80", NamedPort("http"), Kind.PORT_NAME, "x/a has no TCP port named http"),
    ("y/a -> x/a 53", NamedPort("dns"), Kind.PORT_NAME, "no TCP port named dns (only one of UDP)"),
    ("x/a -> out 80", NamedPort("web"), Kind.PORT_NAME, "is not a pod, so it has no port named web"),
]


def test_ports() -> None:
    for asked, entry, kind, text in PORTS:
        cluster = stage(policy("x/p", ingress=[rule(ports=[entry])], egress=[rule(ports=[entry])]))
        sides = explain(Simulator(cluster), flow(asked)).sides
        [[item]] = [view.ports for view in sides[not asked.startswith("x")].policies[0].rules]
        assert item.obstacle is not None, (asked, entry)
        assert item.obstacle.kind is kind
        assert text in item.obstacle.text
