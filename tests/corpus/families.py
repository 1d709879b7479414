"""Families of policies made from one base by changing one part at a time, as a conformance tool would.

The base selects x/a. Into x/a: TCP 80 from the pods b and c of x and y. Out of x/a: TCP 80 to the pods a and
b of y and z (and port 53, which no pod serves). Each member states, as a set that a person wrote down, which
pods a peer means and which ports an entry opens; two peers, or two entries, are the union of their sets. The
expected matrix follows from those sets alone, by `Side`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, TypeAlias

from tests.corpus.world import PODS, PORTS, Ask, Expected, Moment, policy

Object: TypeAlias = Mapping[str, Any]
Names: TypeAlias = frozenset[str]

ALL_PODS: Names = frozenset(PODS)
ALL_PORTS: Names = frozenset(PORTS)
NOTHING: Names = frozenset()


def names(text: str) -> Names:
    return frozenset(text.split())


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a policy (a peer, or a port entry), its name, and what it means: pods or ports."""

    name: str
    yaml: Object
    means: Names


@dataclass(frozen=True, slots=True)
class Side:
    """What one direction of the base policy lets pass: these pods, on these ports."""

    pods: Names
    ports: Names

    def passes(self, peer: str, port: str) -> bool:
        return peer in self.pods and port in self.ports


LABEL = "kubernetes.io/metadata.name"
IN = {"key": "pod", "operator": "In"}

BASE_INTO = {
    "podSelector": {"matchExpressions": [{**IN, "values": ["b", "c"]}]},
    "namespaceSelector": {"matchExpressions": [{"key": "ns", "operator": "In", "values": ["x", "y"]}]},
}
BASE_OUT = {
    "podSelector": {"matchExpressions": [{**IN, "values": ["a", "b"]}]},
    "namespaceSelector": {"matchExpressions": [{"key": "ns", "operator": "In", "values": ["y", "z"]}]},
}
BASE_PORT = {"port": 80, "protocol": "TCP"}
DNS_RULE = {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]}
INTO = Side(names("x/b x/c y/b y/c"), names("80/TCP"))
OUT = Side(names("y/a y/b z/a z/b"), names("80/TCP"))
CLOSED = Side(NOTHING, NOTHING)
OPEN = Side(ALL_PODS, ALL_PORTS)

POD_C = {"matchLabels": {"pod": "c"}}
NS_X = {"matchLabels": {"ns": "x"}}

PEERS = (
    Part("podSelector {}", {"podSelector": {}}, names("x/a x/b x/c")),
    Part("podSelector c", {"podSelector": POD_C}, names("x/c")),
    Part("namespaceSelector {}", {"namespaceSelector": {}}, ALL_PODS),
    Part("both {}", {"podSelector": {}, "namespaceSelector": {}}, ALL_PODS),
    Part("c of all namespaces", {"podSelector": POD_C, "namespaceSelector": {}}, names("x/c y/c z/c")),
    Part("namespaceSelector x", {"namespaceSelector": NS_X}, names("x/a x/b x/c")),
    Part("{} of x", {"podSelector": {}, "namespaceSelector": NS_X}, names("x/a x/b x/c")),
    Part("c of x", {"podSelector": POD_C, "namespaceSelector": NS_X}, names("x/c")),
    Part("z's block", {"ipBlock": {"cidr": "10.244.3.0/24"}}, names("z/a z/b z/c")),
    Part(
        "z's block without a and b",
        {"ipBlock": {"cidr": "10.244.3.0/24", "except": ["10.244.3.0/28"]}},
        names("z/c"),
    ),
)
LABELLED_Z = Part(
    "z by its own label", {"namespaceSelector": {"matchLabels": {LABEL: "z"}}}, names("z/a z/b z/c")
)

ENTRIES = (
    Part("{}", {}, names("80/TCP 81/TCP")),
    Part("80", {"port": 80}, names("80/TCP")),
    Part("81", {"port": 81}, names("81/TCP")),
    Part("TCP", {"protocol": "TCP"}, names("80/TCP 81/TCP")),
    Part("80/TCP", {"port": 80, "protocol": "TCP"}, names("80/TCP")),
    Part("81/TCP", {"port": 81, "protocol": "TCP"}, names("81/TCP")),
    Part("UDP", {"protocol": "UDP"}, names("80/UDP 81/UDP")),
    Part("80/UDP", {"port": 80, "protocol": "UDP"}, names("80/UDP")),
    Part("81/UDP", {"port": 81, "protocol": "UDP"}, names("81/UDP")),
    Part("SCTP", {"protocol": "SCTP"}, names("80/SCTP 81/SCTP")),
    Part("80/SCTP", {"port": 80, "protocol": "SCTP"}, names("80/SCTP")),
    Part("81/SCTP", {"port": 81, "protocol": "SCTP"}, names("81/SCTP")),
    Part("serve-80-tcp", {"port": "serve-80-tcp", "protocol": "TCP"}, names("80/TCP")),
    Part("serve-81-tcp", {"port": "serve-81-tcp", "protocol": "TCP"}, names("81/TCP")),
    Part("serve-80-udp", {"port": "serve-80-udp", "protocol": "UDP"}, names("80/UDP")),
    Part("serve-81-udp", {"port": "serve-81-udp", "protocol": "UDP"}, names("81/UDP")),
    Part("serve-80-sctp", {"port": "serve-80-sctp", "protocol": "SCTP"}, names("80/SCTP")),
    Part("serve-81-sctp", {"port": "serve-81-sctp", "protocol": "SCTP"}, names("81/SCTP")),
    Part("53-80/TCP", {"port": 53, "endPort": 80, "protocol": "TCP"}, names("80/TCP")),
    Part("53-84/TCP", {"port": 53, "endPort": 84, "protocol": "TCP"}, names("80/TCP 81/TCP")),
    Part("53-80/UDP", {"port": 53, "endPort": 80, "protocol": "UDP"}, names("80/UDP")),
    Part("53-84/UDP", {"port": 53, "endPort": 84, "protocol": "UDP"}, names("80/UDP 81/UDP")),
    Part("53-80/SCTP", {"port": 53, "endPort": 80, "protocol": "SCTP"}, names("80/SCTP")),
    Part("53-84/SCTP", {"port": 53, "endPort": 84, "protocol": "SCTP"}, names("80/SCTP 81/SCTP")),
    Part("a UDP port's name with TCP", {"port": "serve-81-udp", "protocol": "TCP"}, NOTHING),
    Part("a name that no pod has", {"port": "serve-7981-udp", "protocol": "TCP"}, NOTHING),
    Part("a number that no pod serves", {"port": 7981, "protocol": "TCP"}, NOTHING),
)
BY_NAME = {entry.name: entry for entry in ENTRIES}
TWO_ENTRIES = (
    ("{}", "80"),
    ("{}", "serve-80-tcp"),
    ("{}", "UDP"),
    ("80", "81"),
    ("80", "serve-81-tcp"),
    ("80", "serve-81-udp"),
    ("80/UDP", "serve-81-udp"),
)


def families() -> Iterator[tuple[str, Moment]]:
    """All members, each with a name of its own."""
    yield from _targets()
    for ingress in (True, False):
        way = "ingress" if ingress else "egress"
        for name, rules, side in _sides(ingress):
            yield f"{way}: {name}", _member(ingress, rules, side)
    yield from _stacks()


def _sides(ingress: bool) -> Iterator[tuple[str, list[Object], Side]]:
    """Changes of one direction: a name, its rules, and what they let pass."""
    key, base_peer, base = ("from", BASE_INTO, INTO) if ingress else ("to", BASE_OUT, OUT)

    def rule(peers: Sequence[Part] | None = None, ports: Sequence[Part] | None = None) -> Object:
        return {
            key: [base_peer] if peers is None else [part.yaml for part in peers],
            "ports": [BASE_PORT] if ports is None else [part.yaml for part in ports],
        }

    yield "the base", [rule()], base
    yield "no rules", [], CLOSED
    yield "one empty rule", [{}], OPEN
    yield "peers []", [rule(peers=[])], Side(ALL_PODS, base.ports)
    yield "ports []", [rule(ports=[])], Side(base.pods, ALL_PORTS)
    for part in (*PEERS, LABELLED_Z):
        yield f"peer {part.name}", [rule(peers=[part])], Side(part.means, base.ports)
    for one, two in combinations(PEERS, 2):
        yield (
            f"peers {one.name} | {two.name}",
            [rule(peers=[one, two])],
            Side(one.means | two.means, base.ports),
        )
    for part in ENTRIES:
        yield f"port {part.name}", [rule(ports=[part])], Side(base.pods, part.means)
    for first, second in TWO_ENTRIES:
        one, two = BY_NAME[first], BY_NAME[second]
        yield f"ports {first} | {second}", [rule(ports=[one, two])], Side(base.pods, one.means | two.means)


def _member(ingress: bool, rules: Sequence[Object], side: Side) -> Moment:
    """The base policy with one direction's rules replaced."""
    into, out = (side, OUT) if ingress else (INTO, side)
    into_rules = rules if ingress else [{"from": [BASE_INTO], "ports": [BASE_PORT]}]
    out_rules = [{"to": [BASE_OUT], "ports": [BASE_PORT]}] if ingress else rules
    spec = _spec({"matchLabels": {"pod": "a"}}, into_rules, [*out_rules, DNS_RULE])
    return Moment([policy("x", spec, "base")], _expected(names("x/a"), into, out))


def _targets() -> Iterator[tuple[str, Moment]]:
    """The base policy in other namespaces, and with other subjects."""
    pod_a, pods_ab = {"matchLabels": {"pod": "a"}}, {"matchExpressions": [{**IN, "values": ["a", "b"]}]}
    for namespace in "xyz":
        yield f"target: a of {namespace}", _target(namespace, pod_a, names(f"{namespace}/a"))
    yield "target: podSelector {}", _target("x", {}, names("x/a x/b x/c"))
    yield "target: a and b by expression", _target("x", pods_ab, names("x/a x/b"))


def _target(namespace: str, selector: Object, subjects: Names) -> Moment:
    into, out = {"from": [BASE_INTO], "ports": [BASE_PORT]}, {"to": [BASE_OUT], "ports": [BASE_PORT]}
    spec = _spec(selector, [into], [out, DNS_RULE])
    return Moment([policy(namespace, spec, "base")], _expected(subjects, INTO, OUT))


def _stacks() -> Iterator[tuple[str, Moment]]:
    """Policies that want different things for x/b (source) or y/c (destination): what they allow adds up."""
    everyone: Object = {"namespaceSelector": {}}
    any_address: Object = {"ipBlock": {"cidr": "0.0.0.0/0"}}
    no_address: Object = {"ipBlock": {"cidr": "0.0.0.0/31"}}
    nobody: Object = {"namespaceSelector": {"matchLabels": {"never": "seen"}}}
    kinds: dict[
        str, tuple[Sequence[Object] | None, Side]
    ] = {  # peers (None: no rule at all), what they let pass
        "deny all": (None, CLOSED),
        "deny all by address": ([no_address], CLOSED),
        "deny all by pod": ([nobody], CLOSED),
        "allow all": ([], OPEN),
        "allow all by address": ([any_address], OPEN),
        "allow all by pod": ([everyone], OPEN),
    }
    source, destination = names("x/b"), names("y/c")

    def stacked(ingress: bool, *wanted: str) -> Moment:
        subjects = destination if ingress else source
        policies = [_one_way(ingress, kinds[kind][0], f"p{number}") for number, kind in enumerate(wanted)]
        side = OPEN if any(kinds[kind][1] is OPEN for kind in wanted) else CLOSED
        return Moment(
            policies, _expected(subjects, side, OPEN) if ingress else _expected(subjects, OPEN, side)
        )

    for ingress, way in ((True, "ingress"), (False, "egress")):
        for count in (1, 2):
            for wanted in combinations(kinds, count):
                yield f"{way}: {' + '.join(wanted)}", stacked(ingress, *wanted)
    for out, into in (("deny all", "allow all"), ("allow all", "deny all")):
        out_policy, into_policy = (
            _one_way(ingress=False, peers=kinds[out][0], name="out"),
            _one_way(ingress=True, peers=kinds[into][0], name="into"),
        )
        closed = (
            _expected(source, OPEN, CLOSED) if out == "deny all" else _expected(destination, CLOSED, OPEN)
        )
        yield f"source {out}, destination {into}", Moment([out_policy, into_policy], closed)


def _one_way(ingress: bool, peers: Sequence[Object] | None, name: str) -> dict[str, Any]:
    section, key, namespace, pod = ("ingress", "from", "y", "c") if ingress else ("egress", "to", "x", "b")
    rules = [] if peers is None else [{key: list(peers)} if peers else {}]
    spec = {
        "podSelector": {"matchLabels": {"pod": pod}},
        "policyTypes": [section.capitalize()],
        section: rules,
    }
    return policy(namespace, spec, name)


def _spec(selector: Object, into: Sequence[Object], out: Sequence[Object]) -> Object:
    return {
        "podSelector": selector,
        "policyTypes": ["Ingress", "Egress"],
        "ingress": list(into),
        "egress": list(out),
    }


def _expected(subjects: Names, into: Side, out: Side) -> Expected:
    def passes(ask: Ask) -> bool:
        leaves = ask.source not in subjects or out.passes(ask.destination, ask.port)
        enters = ask.destination not in subjects or into.passes(ask.source, ask.port)
        return leaves and enters

    return passes
