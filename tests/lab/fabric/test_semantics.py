"""The rules of NetworkPolicy, as packets see them: each row a sentence of the semantics, tried on the kernel.

Who is there, in a lab of two nodes that rejects (a refusal is quicker to see than silence; that every
listener lives and every path works is the first row):

    x/a (app=a, tier=front)  on n1      y/a (app=a)         on n2      z/a (app=a, tier="")   on n1
    x/b (app=b)              on n2      y/b (app=b)         on n1      out/host 203.0.113.50  outside

Everybody serves web=80, 81 and 53/UDP, except that y/b calls 81 "web". Namespace x has team=x,
y has team=y, z has no label but its name.

A row of flows is written as: x/a→x/b, y/a→x/b, y/b→x/b, z/a→x/b, out→x/b, x/b→y/a, x/b→y/b, x/b→out,
each on one port; x/b is the subject of most policies.
"""

from __future__ import annotations

from typing import Any

from netprobe.lab.fabric.network import LabNetwork
from netprobe.model.objects import Object
from tests.lab.fabric.inside import in_a_lab
from tests.lab.fabric.probing import World, policy

SERVES = ("web=80", "81", "53/UDP")
PODS: list[tuple[Any, ...]] = [  # name, labels, node, ports
    ("x/a", {"app": "a", "tier": "front"}, "n1", *SERVES),
    ("x/b", {"app": "b"}, "n2", *SERVES),
    ("y/a", {"app": "a"}, "n2", *SERVES),
    ("y/b", {"app": "b"}, "n1", "80", "web=81", "53/UDP"),
    ("z/a", {"app": "a", "tier": ""}, "n1", *SERVES),
]
NAMESPACES = {
    name: {**labels, "kubernetes.io/metadata.name": name}
    for name, labels in (("x", {"team": "x"}), ("y", {"team": "y"}), ("z", {}))
}
OTHERS = ("x/a", "y/a", "y/b", "z/a", "out/host")
FLOWS = [(other, "x/b") for other in OTHERS] + [("x/b", other) for other in ("y/a", "y/b", "out/host")]
SUBJECT = {"podSelector": {"matchLabels": {"app": "b"}}}
APP_A = {"podSelector": {"matchLabels": {"app": "a"}}}
TEAM_Y = {"namespaceSelector": {"matchLabels": {"team": "y"}}}
OUT = "203.0.113.0/24"


def ingress(*rules: Object, **more: Any) -> Object:
    return policy("x/p", {**SUBJECT, "policyTypes": ["Ingress"], "ingress": list(rules), **more})


def egress(*rules: Object, **more: Any) -> Object:
    return policy("x/p", {**SUBJECT, "policyTypes": ["Egress"], "egress": list(rules), **more})


def peers(*these: Object) -> Object:
    return ingress({"from": list(these)})


def on(*entries: Object) -> Object:
    return ingress({"ports": list(entries)})


def calls(*entries: Object) -> Object:
    return egress({"ports": list(entries)})


def block(cidr: str, *excluded: str) -> Object:
    return {"ipBlock": {"cidr": cidr} | ({"except": list(excluded)} if excluded else {})}


def expression(key: str, operator: str, *values: str) -> Object:
    entry: Object = {"key": key, "operator": operator}
    return {"matchExpressions": [entry | ({"values": list(values)} if values else {})]}


def pods(key: str, operator: str, *values: str) -> Object:
    """Pods of every namespace by one expression."""
    return {"podSelector": expression(key, operator, *values), "namespaceSelector": {}}


Case = tuple[str, list[Object], str, str]
E = "80/TCP"
CASES: list[Case] = [
    # sentence, policies, port, x/a y/a y/b z/a out → x/b, x/b → y/a y/b out
    ("no policy: everything passes", [], E, ". . . . . . . ."),
    ("no policy, UDP", [], "53/UDP", ". . . . . . . ."),
    # who is isolated
    ("ingress []: isolated, nothing passes", [ingress()], E, "X X X X X . . ."),
    ("ingress [{}]: isolated, everything passes, from outside too", [ingress({})], E, ". . . . . . . ."),
    ("egress []: isolated, nothing passes", [egress()], E, ". . . . . X X X"),
    ("egress [{}]: everything passes", [egress({})], E, ". . . . . . . ."),
    ("spec {}: every pod of the namespace, ingress", [policy("x/p", {})], E, "X X X X X . . ."),
    ("policyTypes absent with an egress rule: both directions",
     [policy("x/p", {**SUBJECT, "egress": [{"to": [block(OUT)]}]})], E, "X X X X X X X ."),
    ("policyTypes []: the same as absent",
     [policy("x/p", {**SUBJECT, "policyTypes": []})], E, "X X X X X . . ."),
    ("policyTypes absent, egress []: ingress alone",
     [policy("x/p", {**SUBJECT, "egress": []})], E, "X X X X X . . ."),
    ("a section that policyTypes leaves out has no effect",
     [policy("x/p", {**SUBJECT, "policyTypes": ["Egress"], "egress": [{}], "ingress": []})],
     E, ". . . . . . . ."),
    ("policyTypes [Ingress, Ingress] is Ingress",
     [policy("x/p", {**SUBJECT, "policyTypes": ["Ingress", "Ingress"]})], E, "X X X X X . . ."),
    ("a policy of another namespace isolates nobody here", [policy("w/p", {})], E, ". . . . . . . ."),
    ("two policies allow their union",
     [peers(APP_A), policy("x/q", {**SUBJECT, "ingress": [{"from": [TEAM_Y]}]})], E, ". . . X X . . ."),
    ("both sides must let it pass",
     [ingress({}), policy("y/q", {"policyTypes": ["Egress"]})], E, ". X X . . . . ."),
    ("the other side's ingress counts too",
     [egress({}), policy("y/q", {"podSelector": {"matchLabels": {"app": "a"}}})], E, ". . . . . X . ."),
    # peers
    ("from []: everyone", [ingress({"from": []})], E, ". . . . . . . ."),
    ("podSelector alone: the policy's own namespace", [peers(APP_A)], E, ". X X X X . . ."),
    ("podSelector {}: every pod of the own namespace", [peers({"podSelector": {}})], E, ". X X X X . . ."),
    ("namespaceSelector alone: all pods of it", [peers(TEAM_Y)], E, "X . . X X . . ."),
    ("both in one peer: AND", [peers(APP_A | TEAM_Y)], E, "X . X X X . . ."),
    ("both in two peers: OR", [peers(APP_A, TEAM_Y)], E, ". . . X X . . ."),
    ("namespaceSelector {}: every pod, never an outside address",
     [peers({"namespaceSelector": {}})], E, ". . . . X . . ."),
    ("namespaceSelector {} and podSelector {}: the same",
     [peers({"namespaceSelector": {}, "podSelector": {}})], E, ". . . . X . . ."),
    ("kubernetes.io/metadata.name",
     [peers({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "z"}}})],
     E, "X X X . X . . ."),
    ("In: the key is needed", [peers(pods("tier", "In", "front", ""))], E, ". X X . X . . ."),
    ("NotIn matches where the key is absent", [peers(pods("tier", "NotIn", "front"))], E, "X . . . X . . ."),
    ("Exists", [peers(pods("tier", "Exists"))], E, ". X X . X . . ."),
    ("DoesNotExist", [peers(pods("tier", "DoesNotExist"))], E, "X . . X X . . ."),
    ("an empty value matches a present, empty value alone",
     [peers({"podSelector": {"matchLabels": {"tier": ""}}, "namespaceSelector": {}})], E, "X X X . X . . ."),
    ("NotIn on namespaces matches those without the label",
     [peers({"namespaceSelector": expression("team", "NotIn", "x")})], E, "X . . . X . . ."),
    ("egress to a peer", [egress({"to": [APP_A | TEAM_Y]})], E, ". . . . . . X X"),
    ("egress to all pods is not to the outside",
     [egress({"to": [{"namespaceSelector": {}}]})], E, ". . . . . . . X"),
    # address blocks
    ("ipBlock of the outside", [peers(block(OUT))], E, "X X X X . . . ."),
    ("ipBlock 0.0.0.0/0 has the pods in it", [peers(block("0.0.0.0/0"))], E, ". . . . . . . ."),
    ("except", [peers(block("0.0.0.0/0", "10.0.0.0/8"))], E, "X X X X . . . ."),
    ("another peer may allow what is excepted",
     [peers(block("0.0.0.0/0", OUT, "10.0.0.0/8"), block(OUT))], E, "X X X X . . . ."),
    ("two exceptions", [peers(block("0.0.0.0/0", "10.244.1.0/24", OUT))], E, "X . X X X . . ."),
    ("a block with host bits", [peers(block("203.0.113.77/24"))], E, "X X X X . . . ."),
    ("a block with leading zeros", [peers(block("203.000.113.0/24"))], E, "X X X X . . . ."),
    ("a block in IPv4-mapped form", [peers(block("::ffff:203.0.113.0/120"))], E, "X X X X . . . ."),
    ("an IPv6 block opens nothing over IPv4", [peers(block("::/0"))], E, "X X X X X . . ."),
    ("egress to a block", [egress({"to": [block(OUT)]})], E, ". . . . . X X ."),
    # ports
    ("ports []: every port", [ingress({"ports": []})], "81/TCP", ". . . . . . . ."),
    ("a number", [on({"port": 80, "protocol": "TCP"})], E, ". . . . . . . ."),
    ("another number", [on({"port": 81, "protocol": "TCP"})], E, "X X X X X . . ."),
    ("an entry without a port: all of its protocol", [on({"protocol": "TCP"})], E, ". . . . . . . ."),
    ("and of no other protocol", [on({"protocol": "TCP"})], "53/UDP", "X X X X X . . ."),
    ("ports [{}]: all of TCP", [on({})], "53/UDP", "X X X X X . . ."),
    ("no protocol: TCP", [on({"port": 53})], "53/UDP", "X X X X X . . ."),
    ("UDP", [on({"port": 53, "protocol": "UDP"})], "53/UDP", ". . . . . . . ."),
    ("SCTP alone isolates TCP", [on({"port": 80, "protocol": "SCTP"})], E, "X X X X X . . ."),
    ("endPort: the last one is in it", [on({"port": 79, "endPort": 80})], E, ". . . . . . . ."),
    ("endPort: the first one is in it", [on({"port": 80, "endPort": 99})], E, ". . . . . . . ."),
    ("endPort: one next to it is not", [on({"port": 60, "endPort": 79})], E, "X X X X X . . ."),
    ("endPort equal to port", [on({"port": 80, "endPort": 80})], E, ". . . . . . . ."),
    ("every port from 1 to 65535", [on({"port": 1, "endPort": 65535})], E, ". . . . . . . ."),
    ("a named port on the subject", [on({"port": "web"})], E, ". . . . . . . ."),
    ("a named port is not another number", [on({"port": "web"})], "81/TCP", "X X X X X . . ."),
    ("a name nobody has", [on({"port": "nobody"})], E, "X X X X X . . ."),
    ("a name of another protocol", [on({"port": "web", "protocol": "UDP"})], E, "X X X X X . . ."),
    ("egress: the destination's name, y/a's web is 80", [calls({"port": "web"})], E, ". . . . . . X X"),
    ("egress: y/b's web is 81", [calls({"port": "web"})], "81/TCP", ". . . . . X . X"),
    ("egress: a named port with a peer",
     [egress({"to": [APP_A | TEAM_Y], "ports": [{"port": "web"}]})], E, ". . . . . . X X"),
    ("egress: a named port never matches an outside address",
     [egress({"to": [block("0.0.0.0/0")], "ports": [{"port": "web"}]})], E, ". . . . . . X X"),
    ("each peer with each port",
     [ingress({"from": [APP_A, TEAM_Y], "ports": [{"port": 81}, {"port": "web"}]})], E, ". . . X X . . ."),
    ("two rules do not share ports",
     [ingress({"from": [APP_A], "ports": [{"port": 81}]}, {"from": [TEAM_Y], "ports": [{"port": 80}]})],
     E, "X . . X X . . ."),
]  # fmt: skip


async def build(network: LabNetwork, version: int = 4) -> World:
    world = World(network)
    world.namespaces = {name: dict(labels) for name, labels in NAMESPACES.items()}
    for name, labels, node, *serves in PODS:
        await world.place(name, labels, *serves, node=node)
    outside = "203.0.113.50" if version == 4 else "2001:db8::50"
    await world.place("out/host", {"app": "a"}, *SERVES, external=[outside])
    for ref in world.members:
        await network.start(ref)
    return world


@in_a_lab(nodes=2, deny_with="reject")
async def test_semantics(network: LabNetwork) -> None:
    """Try every case one after the other, as changes of one network."""
    world = await build(network)
    for sentence, policies, target, expected in CASES:
        await world.enforce(*policies)
        number, _, protocol = target.partition("/")
        row = await world.row((a, b, int(number), protocol, 4) for a, b in FLOWS)
        assert row == expected, f"{sentence}: {FLOWS}"
