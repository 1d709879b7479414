"""The policies that a demand needs: a default deny for each closed namespace, then one policy per subject."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from netprobe.generate.demand import (
    Closed,
    Demand,
    NamedPeers,
    Opening,
    Openings,
    PodClass,
    PortNumber,
    openings_by_port,
)
from netprobe.generate.rules import RuleMaker
from netprobe.model.flow import Protocol
from netprobe.model.labels import EVERYTHING, NAME_LABEL, Selector
from netprobe.model.policy import Direction, PodPeer, Policy, PolicyRef, PortRange, Rule, Subject

DNS_PORT = 53
_DNS_RULE = Rule(
    (PodPeer(Selector.of({"k8s-app": "kube-dns"}), Selector.of({NAME_LABEL: "kube-system"})),),
    (PortRange(Protocol.UDP, DNS_PORT, DNS_PORT), PortRange(Protocol.TCP, DNS_PORT, DNS_PORT)),
)


@dataclass(frozen=True, slots=True)
class GeneratedPolicy:
    """A policy, its purpose in one line, and the rows that it serves (None: the default)."""

    policy: Policy
    purpose: str
    rows: tuple[int | None, ...] = ()


class PolicyWriter:
    def __init__(
        self, demand: Demand, closed: Closed, rules: RuleMaker, dns: bool, named: NamedPeers
    ) -> None:
        self._space = demand.space
        self._closed, self._rules, self._dns = closed, rules, dns
        self._permissions = {direction: demand.permissions(direction) for direction in Direction}
        self._openings = {
            way: {subject: openings_by_port(each, way, named) for subject, each in found.items()}
            for way, found in self._permissions.items()
        }

    def policies(self) -> Iterator[GeneratedPolicy]:
        for name in sorted({namespace for namespace, _ in self._closed}):
            yield from self._namespace(name)

    def _namespace(self, name: str) -> Iterator[GeneratedPolicy]:
        directions = [direction for direction in Direction if (name, direction) in self._closed]
        classes = self._space.by_namespace[name]
        words = " and ".join(direction.value for direction in directions)
        deny = _policy(PolicyRef(name, "default-deny"), EVERYTHING, dict.fromkeys(directions, ()))
        yield GeneratedPolicy(deny, f"Closes {name} for {words}; the other policies open what is declared.")
        taken = {"default-deny"}
        if self._dns and Direction.EGRESS in directions:
            taken.add("allow-dns")
            dns = _policy(PolicyRef(name, "allow-dns"), EVERYTHING, {Direction.EGRESS: (_DNS_RULE,)})
            yield GeneratedPolicy(dns, f"Every pod of {name} may look up names in the cluster's DNS.")
        common = {direction: self._common(classes, direction) for direction in directions}
        if any(common.values()):
            yield self._shared(name, classes, common, taken)
        for pod_class in sorted(classes, key=lambda one: one.name):
            made = self._subject(pod_class, common, taken)
            if made is not None:
                yield made

    def _common(self, classes: list[PodClass], direction: Direction) -> Openings:
        """What every pod of a namespace may do: a class of one pod may be its own peer."""
        if len(classes) < 2:
            return {}
        own = [self._openings[direction].get(pod_class.bit, {}) for pod_class in classes]
        found: dict[PortNumber, Opening] = {}
        for port in own[0].keys() | own[1].keys():
            shared, once, twice, named = -1, 0, 0, 0
            for pod_class, openings in zip(classes, own, strict=True):
                opening = openings.get(port, Opening())
                shared &= opening.peers | (1 << pod_class.bit if len(pod_class.pods) == 1 else 0)
                twice |= once & opening.peers
                once |= opening.peers
                named |= opening.named
                if not shared:
                    break
            if shared & twice:
                found[port] = Opening(shared & twice, named)
        return found

    def _shared(
        self, name: str, classes: list[PodClass], common: Mapping[Direction, Openings], taken: set[str]
    ) -> GeneratedPolicy:
        ports = {number for openings in common.values() for number, _ in openings}
        title = _free("allow-dns" if ports == {DNS_PORT} else "allow-shared", taken)
        rules = {
            direction: self._rules.of(openings, name) for direction, openings in common.items() if openings
        }
        rows = {
            row
            for pod_class in classes
            for direction, openings in common.items()
            for row in self._rows(pod_class, direction, openings)
        }
        policy = _policy(PolicyRef(name, title), EVERYTHING, rules)
        return GeneratedPolicy(policy, f"What every pod of {name} may do.", _sorted(rows))

    def _subject(
        self, pod_class: PodClass, common: Mapping[Direction, Openings], taken: set[str]
    ) -> GeneratedPolicy | None:
        rules: dict[Direction, tuple[Rule, ...]] = {}
        rows: list[int | None] = []
        for direction, shared in common.items():
            own = _without(self._openings[direction].get(pod_class.bit, {}), shared)
            if own:
                rules[direction] = self._rules.of(own, pod_class.namespace, pod_class)
                rows += _sorted(self._rows(pod_class, direction, own))
        if not rules:
            return None
        policy = _policy(
            PolicyRef(pod_class.namespace, _free(pod_class.name, taken)),
            self._rules.selector(pod_class),
            rules,
        )
        return GeneratedPolicy(policy, f"What {pod_class} may do.", tuple(dict.fromkeys(rows)))

    def _rows(self, pod_class: PodClass, direction: Direction, openings: Openings) -> set[int | None]:
        """The rows that these openings of a class serve."""
        return {
            row
            for row, port, peers in self._permissions[direction].get(pod_class.bit, ())
            if port in openings and peers & openings[port].peers
        }


def _without(openings: Openings, shared: Openings) -> dict[PortNumber, Opening]:
    left: dict[PortNumber, Opening] = {}
    for port, opening in openings.items():
        peers = opening.peers & ~shared[port].peers if port in shared else opening.peers
        if peers:
            left[port] = Opening(peers, opening.named)
    return left


def _sorted(rows: Iterable[int | None]) -> tuple[int | None, ...]:
    return tuple(sorted(rows, key=lambda row: (row is None, row or 0)))


def _policy(ref: PolicyRef, subjects: Selector, rules: Mapping[Direction, tuple[Rule, ...]]) -> Policy:
    return Policy(ref, Subject(subjects), rules.get(Direction.INGRESS), rules.get(Direction.EGRESS))


def _free(name: str, taken: set[str]) -> str:
    """The name, or the first NAME-2, NAME-3, … that no policy of the namespace has yet."""
    number, found = 1, name
    while found in taken:
        number += 1
        found = f"{name}-{number}"
    taken.add(found)
    return found
