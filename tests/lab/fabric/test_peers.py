"""Every kind of peer and of port, on the kernel: which clients reach the server, on ports 80 and 81."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network

from netprobe.lab.fabric.network import LabNetwork
from netprobe.lab.fabric.state import InstalledPolicy
from netprobe.model.cluster import Node
from netprobe.model.flow import PodRef, Protocol, ServiceRef
from netprobe.model.labels import EVERYTHING, Operator, Requirement, Selector
from netprobe.model.policy import (
    Action,
    AllPeers,
    AnyPeer,
    AnyPort,
    NamedPort,
    Networks,
    NetworkSet,
    NodePeer,
    NotPeer,
    OtherProtocol,
    Peer,
    PodPeer,
    Policy,
    PolicyRef,
    PortRange,
    Rule,
    ServicePeer,
    Subject,
    UnknownPeer,
)
from tests.lab.fabric.inside import in_a_lab
from tests.lab.fabric.probing import World

APP = {name: Selector.of({"app": name}) for name in "abcs"}
GLOBAL = Selector((), (Requirement("kubernetes.io/metadata.name", Operator.DOES_NOT_EXIST),))
OUTSIDE = "203.0.113.9"
SETS = (
    NetworkSet("", "partners", {"app": "b", "set": "yes"}, (ip_network("203.0.113.0/24"),)),
    NetworkSet("y", "inner", {"app": "c"}, (ip_network("203.0.113.0/25"), ip_network("203.0.113.0/28"))),
)


def nets(*cidrs: str, but: tuple[str, ...] = ()) -> Networks:
    return Networks(tuple(map(ip_network, cidrs)), tuple(map(ip_network, but)))


def pods(app: str, *, everywhere: bool = True, sets: bool = False) -> PodPeer:
    return PodPeer(APP[app], EVERYTHING if everywhere else None, sets=sets)


def tcp(first: int, last: int = 0) -> PortRange:
    return PortRange(Protocol.TCP, first, last or first)


PEERS: tuple[tuple[str, Peer, str], ...] = (
    #                                                                              a b c outside
    ("pods", pods("a"), ". X X X"),
    ("pods of its own namespace", pods("b", everywhere=False), "X X X X"),
    ("pods by account", PodPeer(EVERYTHING, EVERYTHING, Selector.of({"team": "red"})), "X X . X"),
    ("pods and global sets", pods("b", sets=True), "X . X ."),
    ("pods and sets of namespaces", pods("c", sets=True), "X X . ."),
    ("sets of its own namespace: none", PodPeer(APP["c"], None, sets=True), "X X X X"),
    ("sets without a namespace", PodPeer(EVERYTHING, GLOBAL, sets=True), "X X X ."),
    ("sets have no account", PodPeer(APP["b"], EVERYTHING, Selector.of({"team": "red"}), True), "X X X X"),
    ("nobody of a set", NotPeer(pods("b", sets=True)), ". X . X"),
    ("not pods", NotPeer(pods("a")), "X . . ."),
    ("networks", nets("203.0.113.0/24"), "X X X ."),
    ("networks that overlap", nets("10.0.0.0/8", "10.244.0.0/16", "192.0.2.1/32"), ". . . X"),
    ("networks but some", nets("0.0.0.0/0", but=(f"{OUTSIDE}/32",)), ". . . X"),
    ("no network of the family", nets("2001:db8::/32"), "X X X X"),
    ("all networks", nets("0.0.0.0/0"), ". . . ."),
    ("half of all networks", nets("128.0.0.0/1"), "X X X ."),
    ("not a network", NotPeer(nets("203.0.113.0/24")), ". . . X"),
    ("not networks but some", NotPeer(nets("0.0.0.0/0", but=("203.0.113.0/24",))), "X X X ."),
    ("all of several", AllPeers((nets("10.244.0.0/16"), NotPeer(pods("a")))), "X . . X"),
    ("none of several", NotPeer(AllPeers((nets("10.244.0.0/16"), NotPeer(pods("a"))))), ". X X ."),
    ("all of nothing", AllPeers(()), ". . . ."),
    ("behind a Service", ServicePeer(ServiceRef("y", "svc")), "X . X X"),
    ("not behind a Service", NotPeer(ServicePeer(ServiceRef("y", "svc"))), ". X . ."),
    ("nodes, which no pod is", NodePeer(), "X X X X"),
    ("a peer of a later version", UnknownPeer("future"), "X X X X"),
)  # fmt: skip

RULES: tuple[tuple[str, Rule, str], ...] = (
    #                                                            a:80 a:81 b:80 b:81
    ("a range", Rule(ports=(tcp(80, 81),)), ". . . ."),
    ("not one port", Rule(ports=(tcp(80, 90),), not_ports=(tcp(81),)), ". X . X"),
    ("not one port of any", Rule(not_ports=(tcp(81),)), ". X . X"),
    ("not a UDP port", Rule(ports=(tcp(80),), not_ports=(PortRange(Protocol.UDP),)), ". X . X"),
    ("no port is left", Rule(ports=(tcp(80),), not_ports=(PortRange(),)), "X X X X"),
    ("not a named port", Rule(ports=(tcp(1, 65535),), not_ports=(NamedPort("web"),)), "X . X ."),
    ("a named port of any protocol", Rule(ports=(NamedPort("web", None),)), ". X . X"),
    ("temporary source ports", Rule(ports=(tcp(80),), source_ports=(tcp(1024, 65535),)), ". X . X"),
    ("other source ports", Rule(ports=(tcp(80),), source_ports=(tcp(1, 1023),)), "X X X X"),
    ("another protocol", Rule(ports=(OtherProtocol("ICMP"),)), "X X X X"),
    ("another protocol or a port", Rule(ports=(OtherProtocol("47"), tcp(80))), ". X . X"),
    ("a known peer and one of a later version", Rule((pods("a"), UnknownPeer("future"))), "X X X X"),
    ("the own end by its labels", Rule(own=pods("s")), ". . . ."),
    ("an own end that is not", Rule(own=pods("a")), "X X X X"),
    ("own address and peer", Rule((pods("a"),), own=nets("10.244.0.0/16")), ". . X X"),
    ("a named port of the own end", Rule(own=pods("s", sets=True), ports=(NamedPort("web"),)), ". X . X"),
)  # fmt: skip


def allowing(rule: Rule) -> list[InstalledPolicy]:
    """The server is isolated but for this rule."""
    return [InstalledPolicy(Policy(PolicyRef("x", "p"), Subject(APP["s"]), (rule,)), {})]


@in_a_lab(deny_with="reject")
async def test_who_reaches_the_server(network: LabNetwork) -> None:
    world = World(network)
    for name in ("x/a", "y/b", "y/c"):
        await world.add(name, {"app": name[-1]})
    await world.add("x/s", {"app": "s"}, "web=80", "81")
    await world.add("out/host", {}, external=[OUTSIDE])
    red = PodRef("y", "c")
    world.members[red] = replace(world.members[red], account_labels={"team": "red"})
    endpoint = {
        "metadata": {"namespace": "y", "labels": {"kubernetes.io/service-name": "svc"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [str(world.address("y/b"))]}],
        "ports": [{"port": 8080}],
    }
    nodes = (Node("n1", {}, (ip_address("192.0.2.1"),)),)
    world.more = {"network_sets": SETS, "endpoint_slices": (endpoint,), "selectable_nodes": nodes}
    clients = ("x/a", "y/b", "y/c", "out/host")
    for sentence, peer, expected in PEERS:
        await world.enforce(*allowing(Rule((peer,))))
        assert await world.row([(c, "x/s", 80, "TCP", 4) for c in clients]) == expected, sentence
    for sentence, rule, expected in RULES:
        await world.enforce(*allowing(rule))
        flows = [(client, "x/s", port, "TCP", 4) for client in clients[:2] for port in (80, 81)]
        assert await world.row(flows) == expected, sentence


@in_a_lab(deny_with="reject")
async def test_the_destination_of_egress(network: LabNetwork) -> None:
    world = World(network)
    await world.add("x/a", {"app": "a"})
    for name in ("y/b", "y/c"):
        await world.add(name, {"app": name[-1]}, "web=80" if name == "y/b" else "web=81")
    set_around = NetworkSet("", "pods", {"app": "b"}, (ip_network("10.244.0.0/16"),))
    slices = (
        {
            "metadata": {"namespace": "y", "labels": {"kubernetes.io/service-name": "svc"}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [str(world.address("y/b"))], "conditions": {"ready": False}}],
            "ports": [{"port": 80, "protocol": "TCP"}],
        },
    )
    world.more = {"network_sets": (set_around,), "endpoint_slices": slices}
    cases = (
        #                                                                             b:80 c:81
        ("a set around both pods", Rule((pods("b", sets=True),), (tcp(80, 81),)), ". ."),
        ("a named port: the pod has to match", Rule((pods("b", sets=True),), (NamedPort("web"),)), ". X"),
        ("the ports of a Service's endpoints", Rule((ServicePeer(ServiceRef("y", "svc"), True),)), ". X"),
        ("what passes nobody knows", Rule((UnknownPeer(),), action=Action.PASS), "X X"),
        ("anything", Rule((AnyPeer(),), (AnyPort(),)), ". ."),
    )  # fmt: skip
    for sentence, rule, expected in cases:
        one = Policy(PolicyRef("x", "p"), egress=(rule,))
        await world.enforce(InstalledPolicy(one, {}))
        row = await world.row([("x/a", "y/b", 80, "TCP", 4), ("x/a", "y/c", 81, "TCP", 4)])
        assert row == expected, sentence
