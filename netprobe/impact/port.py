"""Which ports are compared, and which of them the policies can tell apart."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import TypeAlias

from netprobe.model.cluster import Cluster
from netprobe.model.flow import Pod, PodRef, Protocol
from netprobe.model.policy import AnyPeer, Direction, IPBlock, NamedPort, Policy, PortRange, Rule

Asked: TypeAlias = tuple[int, Protocol]


class Ports:
    """The ports of each destination, and the classes of ports that no rule of either state tells apart.

    A pod is asked on the ports that it declares in either state; one that declares none, on those that the
    ingress rules of its namespace name; an address outside, on those that egress rules to addresses name.
    Each is asked on `other` too: a TCP port that stands for all those that nobody names. With `given` every
    destination is asked on these alone.
    """

    def __init__(self, old: Cluster, new: Cluster, given: Iterable[Asked] = ()) -> None:
        self._clusters = (old, new)
        self._given = frozenset(given)
        self._starts = _starts(self._clusters)
        names = {
            (entry.name, entry.protocol)
            for rule in _rules(self._clusters, Direction)
            for entry in rule.ports
            if isinstance(entry, NamedPort)
        }
        self._named = {
            (port.number, port.protocol)
            for cluster in self._clusters
            for pod in cluster.pods.values()
            for port in pod.ports
            if (port.name, port.protocol) in names
        }
        self.other = None if self._given else self._other()
        self._mentioned = {
            name: _singles(rules) for name, rules in _ingress_by_namespace(self._clusters).items()
        }
        self._known: dict[frozenset[Asked], frozenset[Asked]] = {}

    def of(self, ref: PodRef) -> frozenset[Asked]:
        if self._given:
            return self._given
        declared = frozenset(
            (port.number, port.protocol) for cluster in self._clusters for port in cluster.pods[ref].ports
        )
        found = declared or self._mentioned.get(ref.namespace, frozenset())
        return self._known.setdefault(found, self._with_other(found))

    @cached_property
    def outside(self) -> frozenset[Asked]:
        if self._given:
            return self._given
        rules = _rules(self._clusters, [Direction.EGRESS])
        reaching = (r for r in rules if any(isinstance(peer, AnyPeer | IPBlock) for peer in r.peers))
        return self._with_other(_singles(reaching))

    def class_of(self, port: Asked) -> tuple[object, ...]:
        """Equal for ports that no rule of either state tells apart."""
        if port in self._named:
            return port
        return ("like", port[1], bisect_right(self._starts[port[1]], port[0]))

    def _with_other(self, ports: frozenset[Asked]) -> frozenset[Asked]:
        return ports if self.other is None else ports | {(self.other, Protocol.TCP)}

    def _other(self) -> int | None:
        """A TCP port of no special meaning; None in the rare case that there is none."""
        declared = {
            port.number
            for cluster in self._clusters
            for pod in cluster.pods.values()
            for port in pod.ports
            if port.protocol is Protocol.TCP
        }
        ranges = {
            (entry.first, entry.last)
            for rule in _rules(self._clusters, Direction)
            for entry in rule.ports
            if isinstance(entry, PortRange) and entry.protocol is Protocol.TCP
        } - {(1, 65535)}
        number = 65535
        while number and (number in declared or any(a <= number <= b for a, b in ranges)):
            below = min((a for a, b in ranges if a <= number <= b), default=number)
            number = below - 1
        return number or None


def _starts(clusters: Iterable[Cluster]) -> Mapping[Protocol, list[int]]:
    """For each protocol the numbers from which on another set of ranges holds."""
    found: dict[Protocol, set[int]] = defaultdict(set)
    for rule in _rules(clusters, Direction):
        for entry in rule.ports:
            if isinstance(entry, PortRange):
                found[entry.protocol].update((entry.first, entry.last + 1))
    return defaultdict(list, {protocol: sorted(numbers) for protocol, numbers in found.items()})


def _rules(clusters: Iterable[Cluster], directions: Iterable[Direction]) -> Iterator[Rule]:
    wanted = tuple(directions)
    for cluster in clusters:
        for policy in cluster.policies:
            for direction in wanted:
                yield from policy.rules(direction) or ()


def _ingress_by_namespace(clusters: Iterable[Cluster]) -> Mapping[str, list[Rule]]:
    found: dict[str, list[Rule]] = defaultdict(list)
    for cluster in clusters:
        for policy in cluster.policies:
            found[policy.ref.namespace] += policy.ingress or ()
    return found


def _singles(rules: Iterable[Rule]) -> frozenset[Asked]:
    """The ports that rules name one by one."""
    return frozenset(
        (entry.first, entry.protocol)
        for rule in rules
        for entry in rule.ports
        if isinstance(entry, PortRange) and entry.first == entry.last
    )


Numbers: TypeAlias = Mapping[tuple[str, Protocol], frozenset[int]]
"""What a named port stands for, over all pods."""


def numbers(pods: Iterable[Pod]) -> Numbers:
    found: dict[tuple[str, Protocol], set[int]] = defaultdict(set)
    for pod in pods:
        for port in pod.ports:
            if port.name is not None:
                found[port.name, port.protocol].add(port.number)
    return {name: frozenset(values) for name, values in found.items()}


def representatives(policies: Iterable[Policy], named: Numbers) -> list[Asked]:
    """One port of each class that these policies make, and each that their named ports stand for."""
    cluster = Cluster(policies=tuple(policies))
    starts = _starts([cluster])
    found = {(first, protocol) for protocol in Protocol for first in (1, *starts[protocol]) if first <= 65535}
    for rule in _rules([cluster], Direction):
        for entry in rule.ports:
            if isinstance(entry, NamedPort):
                values = named.get((entry.name, entry.protocol), frozenset())
                found |= {(value, entry.protocol) for value in values}
    return sorted(found, key=lambda port: (port[1].value, port[0]))
