"""Families of cases: a base policy with one part changed at a time.

The parts and their meanings are data: cases/families.yaml. Nothing is simulated here: the expected matrix
follows from the sets of pods and ports that a person wrote down for each part.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, TypeAlias

from netprobe.conformance.case import CaseStep
from netprobe.conformance.world import PODS, PORTS, Cell, Expected
from netprobe.model.objects import Object

Names: TypeAlias = frozenset[str]

ALL_PODS: Names = frozenset(PODS)
ALL_PORTS: Names = frozenset(PORTS)
NOTHING: Names = frozenset()
DNS_RULE = {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]}
SECTIONS = {"ingress": "from", "egress": "to"}


def names(text: str) -> Names:
    return frozenset(text.split())


@dataclass(frozen=True, slots=True)
class GeneratedCase:
    """A generated case: its name, the rules that it shows, and its single step."""

    name: str
    rules: tuple[str, ...]
    tags: Names
    step: CaseStep


@dataclass(frozen=True, slots=True)
class PolicyPart:
    """A piece of a policy (a peer or a port entry), its name, its meaning (pods or ports) and its rule."""

    name: str
    yaml: Object
    means: Names
    rule: str

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> PolicyPart:
        return cls(data["name"], data["yaml"], names(data["means"]), data["rule"])


@dataclass(frozen=True, slots=True)
class AllowedFlows:
    """What one direction of a policy allows: these pods, on these ports."""

    pods: Names
    ports: Names

    def passes(self, peer: str, port: str) -> bool:
        return peer in self.pods and port in self.ports


CLOSED = AllowedFlows(NOTHING, NOTHING)
OPEN = AllowedFlows(ALL_PODS, ALL_PORTS)


class Families:
    """All members, from the data of cases/families.yaml."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        base = data["base"]
        opens = names(base["opens"])
        self._port: Object = base["port"]
        self._base_peer: dict[str, Object] = {"ingress": base["into"]["peer"], "egress": base["out"]["peer"]}
        self._base = {
            "ingress": AllowedFlows(names(base["into"]["means"]), opens),
            "egress": AllowedFlows(names(base["out"]["means"]), opens),
        }
        self._peers = [PolicyPart.of(part) for part in data["peers"]]
        self._own_label = PolicyPart.of(data["own_label"])
        self._entries = {part["name"]: PolicyPart.of(part) for part in data["entries"]}
        self._two_entries: Sequence[Sequence[str]] = data["two_entries"]
        self._stacks: Sequence[Mapping[str, Any]] = data["stacks"]

    def members(self) -> Iterator[GeneratedCase]:
        yield from self._targets()
        for way in SECTIONS:
            for name, rules, side, shows in self._sides(way):
                tags = frozenset({way, *(["sctp"] if "sctp" in name.lower() else [])})
                yield GeneratedCase(f"{way}: {name}", shows, tags, self._member(way, rules, side))
        yield from self._stacked()

    def _sides(self, way: str) -> Iterator[tuple[str, list[Object], AllowedFlows, tuple[str, ...]]]:
        """Variants of one direction: a name, its rules, what they let pass, and which rules they show."""
        base = self._base[way]

        def rule(
            peers: Sequence[PolicyPart] | None = None, ports: Sequence[PolicyPart] | None = None
        ) -> Object:
            return {
                SECTIONS[way]: [self._base_peer[way]] if peers is None else [part.yaml for part in peers],
                "ports": [self._port] if ports is None else [part.yaml for part in ports],
            }

        yield "the base", [rule()], base, ("one-peer-and", "port-number")
        yield "no rules", [], CLOSED, ("no-rules",)
        yield "one empty rule", [{}], OPEN, ("empty-rule",)
        yield "peers []", [rule(peers=[])], AllowedFlows(ALL_PODS, base.ports), ("no-peers",)
        yield "ports []", [rule(ports=[])], AllowedFlows(base.pods, ALL_PORTS), ("no-ports",)
        for part in (*self._peers, self._own_label):
            yield (
                f"peer {part.name}",
                [rule(peers=[part])],
                AllowedFlows(part.means, base.ports),
                (part.rule,),
            )
        for one, two in combinations(self._peers, 2):
            side = AllowedFlows(one.means | two.means, base.ports)
            shows = tuple(dict.fromkeys(("two-peers-or", one.rule, two.rule)))
            yield f"peers {one.name} | {two.name}", [rule(peers=[one, two])], side, shows
        for part in self._entries.values():
            yield f"port {part.name}", [rule(ports=[part])], AllowedFlows(base.pods, part.means), (part.rule,)
        for first, second in self._two_entries:
            one, two = self._entries[first], self._entries[second]
            side = AllowedFlows(base.pods, one.means | two.means)
            shows = tuple(dict.fromkeys((one.rule, two.rule)))
            yield f"ports {first} | {second}", [rule(ports=[one, two])], side, shows

    def _member(self, way: str, rules: Sequence[Object], side: AllowedFlows) -> CaseStep:
        """The base policy with one direction's rules replaced."""
        sides = {**self._base, way: side}
        sections = {key: self._base_rules(key) for key in SECTIONS} | {way: list(rules)}
        spec = _spec({"matchLabels": {"pod": "a"}}, sections["ingress"], [*sections["egress"], DNS_RULE])
        return CaseStep(
            [policy("x", spec, "base")], expected(names("x/a"), sides["ingress"], sides["egress"])
        )

    def _base_rules(self, way: str) -> list[Object]:
        return [{SECTIONS[way]: [self._base_peer[way]], "ports": [self._port]}]

    def _targets(self) -> Iterator[GeneratedCase]:
        """The base policy in other namespaces, and with other subjects."""
        pod_a: Object = {"matchLabels": {"pod": "a"}}
        pods_ab: Object = {"matchExpressions": [{"key": "pod", "operator": "In", "values": ["a", "b"]}]}
        for namespace in "xyz":
            yield self._target(f"a of {namespace}", namespace, pod_a, f"{namespace}/a")
        yield self._target("podSelector {}", "x", {}, "x/a x/b x/c")
        yield self._target("a and b by expression", "x", pods_ab, "x/a x/b")

    def _target(self, name: str, namespace: str, selector: Object, subjects: str) -> GeneratedCase:
        spec = _spec(selector, self._base_rules("ingress"), [*self._base_rules("egress"), DNS_RULE])
        means = expected(names(subjects), self._base["ingress"], self._base["egress"])
        step = CaseStep([policy(namespace, spec, "base")], means)
        return GeneratedCase(f"target: {name}", ("both-sides",), frozenset({"ingress", "egress"}), step)

    def _stacked(self) -> Iterator[GeneratedCase]:
        """One policy of each sort, and two of different sorts, on one pod; then one on each end."""
        for way in SECTIONS:
            for count in (1, 2):
                for wanted in combinations(self._stacks, count):
                    side = OPEN if any(kind["opens"] for kind in wanted) else CLOSED
                    policies = [_one_way(way, kind, f"p{number}") for number, kind in enumerate(wanted)]
                    name = f"{way}: {' + '.join(kind['name'] for kind in wanted)}"
                    single = "empty-rule" if side is OPEN else "no-rules"
                    shows = (single,) if count == 1 else ("union", single)
                    yield GeneratedCase(name, shows, frozenset({way}), CaseStep(policies, _stack(way, side)))
        deny, allow = self._stacks[0], next(kind for kind in self._stacks if kind["opens"])
        for out, into in ((deny, allow), (allow, deny)):
            policies = [_one_way("egress", out, "out"), _one_way("ingress", into, "in")]
            means = _stack("egress", CLOSED) if out is deny else _stack("ingress", CLOSED)
            name = f"source {out['name']}, destination {into['name']}"
            yield GeneratedCase(name, ("both-sides",), frozenset(SECTIONS), CaseStep(policies, means))


def _stack(way: str, side: AllowedFlows) -> Expected:
    return expected(names("y/c"), side, OPEN) if way == "ingress" else expected(names("x/b"), OPEN, side)


def policy(namespace: str, spec: Object, name: str) -> dict[str, Any]:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": namespace},
        "spec": dict(spec),
    }


def _one_way(way: str, kind: Mapping[str, Any], name: str) -> dict[str, Any]:
    namespace, pod = ("y", "c") if way == "ingress" else ("x", "b")
    peers = kind.get("peers")
    rules = [] if peers is None else [{SECTIONS[way]: peers} if peers else {}]
    spec = {"podSelector": {"matchLabels": {"pod": pod}}, "policyTypes": [way.capitalize()], way: rules}
    return policy(namespace, spec, name)


def _spec(selector: Object, into: Sequence[Object], out: Sequence[Object]) -> Object:
    return {
        "podSelector": selector,
        "policyTypes": ["Ingress", "Egress"],
        "ingress": list(into),
        "egress": list(out),
    }


def expected(subjects: Names, into: AllowedFlows, out: AllowedFlows) -> Expected:
    """What is allowed if a set of pods is isolated in both directions and no other pod is."""

    def passes(cell: Cell) -> bool:
        leaves = cell.source not in subjects or out.passes(cell.destination, cell.port)
        enters = cell.destination not in subjects or into.passes(cell.source, cell.port)
        return leaves and enters

    return passes
