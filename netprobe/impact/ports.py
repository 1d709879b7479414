"""Which ports are compared, and which of them the policies tell apart."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

from netprobe.model.cluster import Cluster
from netprobe.model.flow import PodRef, Protocol
from netprobe.model.policy import AnyPeer, Direction, IPBlock, NamedPort, Policy, PortRange, Rule

PortNumber: TypeAlias = tuple[int, Protocol]


class Ports:
    """The ports on which each destination is compared.

    For a pod: the ports that it declares in either state; if it declares none, those that the ingress rules
    of its namespace name. For an address outside: those that egress rules to addresses name. In addition,
    for all of them, the port `other`: a TCP port that represents all those that are named nowhere. With
    `given`, every destination is compared on exactly these.
    """

    def __init__(self, before: Cluster, after: Cluster, given: Iterable[PortNumber] = ()) -> None:
        self._clusters = (before, after)
        self._given = frozenset(given)
        policies = (*before.policies, *after.policies)
        rules = [rule for policy in policies for rule in _rules(policy)]
        self._starts = _starts(rules)
        self._named = {port for cluster in self._clusters for port in _named(cluster, rules)}
        self.other = None if self._given else _other(self._clusters, rules)
        self._with_other = frozenset() if self.other is None else frozenset({(self.other, Protocol.TCP)})
        ingress: dict[str, list[Rule]] = defaultdict(list)
        for policy in policies:
            ingress[policy.ref.namespace] += policy.ingress or ()
        self._mentioned = {name: _singles(own) for name, own in ingress.items()}
        egress = (rule for policy in policies for rule in policy.egress or ())
        reaching = (r for r in egress if any(isinstance(peer, AnyPeer | IPBlock) for peer in r.peers))
        self.outside = self._given or _singles(reaching) | self._with_other

    def of(self, ref: PodRef) -> frozenset[PortNumber]:
        if self._given:
            return self._given
        pods = (cluster.pods[ref] for cluster in self._clusters)
        declared = frozenset((port.number, port.protocol) for pod in pods for port in pod.ports)
        return (declared or self._mentioned.get(ref.namespace, frozenset())) | self._with_other

    def class_of(self, port: PortNumber) -> object:
        """Equal for ports that no rule of either state tells apart."""
        return port if port in self._named else (port[1], bisect_right(self._starts[port[1]], port[0]))


def representatives(cluster: Cluster, policies: Iterable[Policy]) -> list[PortNumber]:
    """One port of each class that these policies tell apart, and all that their named ports stand for."""
    rules = [rule for policy in policies for rule in _rules(policy)]
    starts = _starts(rules)
    firsts = {
        (first, protocol) for protocol in Protocol for first in (1, *starts[protocol]) if first <= 65535
    }
    return sorted(firsts | _named(cluster, rules), key=lambda port: (port[1].value, port[0]))


def _rules(policy: Policy) -> Iterator[Rule]:
    for direction in Direction:
        yield from policy.rules(direction) or ()


def _starts(rules: Iterable[Rule]) -> Mapping[Protocol, list[int]]:
    """For each protocol the numbers at which the set of matching port ranges changes."""
    found: dict[Protocol, set[int]] = defaultdict(set)
    for rule in rules:
        for entry in rule.ports:
            if isinstance(entry, PortRange):
                found[entry.protocol].update((entry.first, entry.last + 1))
    return defaultdict(list, {protocol: sorted(numbers) for protocol, numbers in found.items()})


def _named(cluster: Cluster, rules: Iterable[Rule]) -> set[PortNumber]:
    """The numbers that the named ports of rules stand for, on any pod."""
    entries = (entry for rule in rules for entry in rule.ports)
    names = {(entry.name, entry.protocol) for entry in entries if isinstance(entry, NamedPort)}
    ports = (port for pod in cluster.pods.values() for port in pod.ports) if names else ()
    return {(port.number, port.protocol) for port in ports if (port.name, port.protocol) in names}


def _singles(rules: Iterable[Rule]) -> frozenset[PortNumber]:
    """The ports that rules name one by one."""
    entries = (entry for rule in rules for entry in rule.ports if isinstance(entry, PortRange))
    return frozenset((entry.first, entry.protocol) for entry in entries if entry.first == entry.last)


def _other(clusters: Iterable[Cluster], rules: Iterable[Rule]) -> int | None:
    """The highest TCP port that no pod declares and no rule names; None if there is none."""
    taken = {(1, 0)}
    for cluster in clusters:
        taken |= {(port.number,) * 2 for pod in cluster.pods.values() for port in pod.ports}
    entries = (entry for rule in rules for entry in rule.ports if isinstance(entry, PortRange))
    taken |= {(entry.first, entry.last) for entry in entries if entry.protocol is Protocol.TCP}
    number = 65535
    for first, last in sorted(taken - {(1, 65535)}, key=lambda span: span[1], reverse=True):
        if first <= number <= last:
            number = first - 1
    return number or None
