"""What is compared: ports and addresses outside the cluster, one for each kind that policies tell apart."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_address, ip_network
from typing import TypeAlias

from netprobe.model.cluster import Cluster
from netprobe.model.flow import Address, External, Family, PodRef, Protocol
from netprobe.model.policy import (
    WHOLE,
    AllPeers,
    AnyPeer,
    Direction,
    IPBlock,
    NamedPort,
    Network,
    Networks,
    NotPeer,
    Peer,
    Policy,
    PortRange,
    Rule,
)

PortNumber: TypeAlias = tuple[int, Protocol]

REST = "any other address"
_OWN = tuple(map(ip_network, ("0.0.0.0/8", "127.0.0.0/8", "::/127")))
"""Every machine's own addresses: loopback and unspecified ones."""
_PREFERRED: dict[Family, Address] = {  # reserved for documentation
    4: ip_address("198.51.100.1"),
    6: ip_address("2001:db8::1"),
}


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
        reaching = (r for r in egress if any(_is_address(peer) for peer in r.peers))
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


def _is_address(peer: Peer) -> bool:
    return isinstance(peer, AnyPeer) or any(True for _ in networks_of(peer))


def representatives(cluster: Cluster, policies: Iterable[Policy]) -> set[PortNumber]:
    """One port of each class that these policies tell apart, and all that their named ports stand for."""
    rules = [rule for policy in policies for rule in _rules(policy)]
    starts = _starts(rules)
    firsts = {
        (first, protocol) for protocol in Protocol for first in (1, *starts[protocol]) if first <= 65535
    }
    return firsts | _named(cluster, rules)


def _rules(policy: Policy) -> Iterator[Rule]:
    for direction in Direction:
        yield from policy.rules(direction) or ()


def _ranges(rules: Iterable[Rule]) -> Iterator[PortRange]:
    """The ranges and single ports that rules name by number."""
    for rule in rules:
        for entry in (*rule.ports, *rule.not_ports):
            if isinstance(entry, PortRange):
                yield entry


def _starts(rules: Iterable[Rule]) -> Mapping[Protocol, list[int]]:
    """For each protocol the numbers at which the set of matching port ranges changes."""
    found: dict[Protocol, set[int]] = defaultdict(set)
    for entry in _ranges(rules):
        found[entry.protocol].update((entry.first, entry.last + 1))
    return defaultdict(list, {protocol: sorted(numbers) for protocol, numbers in found.items()})


def _named(cluster: Cluster, rules: Iterable[Rule]) -> set[PortNumber]:
    """The numbers that the named ports of rules stand for, on any pod."""
    entries = (entry for rule in rules for entry in (*rule.ports, *rule.not_ports))
    names = {(entry.name, entry.protocol) for entry in entries if isinstance(entry, NamedPort)}
    ports = (port for pod in cluster.pods.values() for port in pod.ports) if names else ()
    return {
        (port.number, port.protocol)
        for port in ports
        if not names.isdisjoint(((port.name, port.protocol), (port.name, None)))
    }


def _singles(rules: Iterable[Rule]) -> frozenset[PortNumber]:
    """The ports that rules name one by one."""
    return frozenset((entry.first, entry.protocol) for entry in _ranges(rules) if entry.first == entry.last)


def _other(clusters: Iterable[Cluster], rules: Iterable[Rule]) -> int | None:
    """The highest TCP port that no pod declares and no rule names; None if there is none."""
    pods = (pod for cluster in clusters for pod in cluster.pods.values())
    declared = {(port.number, port.number) for pod in pods for port in pod.ports}
    named = {(entry.last, entry.first) for entry in _ranges(rules) if entry.protocol is Protocol.TCP}
    number = 65535
    for last, first in sorted((declared | named) - {(65535, 1)}, reverse=True):
        if first <= number <= last:
            number = first - 1
    return number or None


def outside(
    clusters: Iterable[Cluster], families: Iterable[Family], besides: Iterable[Address] = ()
) -> tuple[External, ...]:
    """One address of each kind, named for the kind: "203.0.113.0/24", "rest of 10.0.0.0/8".

    `besides`: addresses that are compared anyway, so that none of them represents its kind.

    Blocks nest or are disjoint, so the smallest block around an address says which blocks it is in. There is
    one kind of address for each block, and one for the rest.
    """
    both = tuple(clusters)
    blocks = {network for cluster in both for network in _networks(cluster)}
    blocks |= {net for cluster in both for each in cluster.network_sets for net in each.networks}
    taken = {
        address
        for cluster in both
        for pod in cluster.pods.values()
        for address in (*pod.addresses, *pod.node_addresses)
    }
    taken |= {address for cluster in both for one in cluster.services.values() for address in one.addresses}
    taken.update(besides)
    wanted = tuple(families)
    return tuple(
        External(address, name if len(wanted) == 1 or name != REST else f"{REST} (IPv{family})")
        for family in wanted
        for address, name in _kinds(family, {b for b in blocks if b.version == family}, taken)
    )


def _networks(cluster: Cluster) -> Iterator[Network]:
    for policy in cluster.policies:
        for rule in _rules(policy):
            for peer in (*rule.peers, rule.own):
                yield from networks_of(peer)


def networks_of(peer: Peer) -> Iterator[Network]:
    """Every network that a peer names."""
    match peer:
        case IPBlock(cidr, excluded):
            yield from (cidr, *excluded)
        case Networks(cidrs, excluded):
            yield from (*cidrs, *excluded)
        case AllPeers(peers):
            for each in peers:
                yield from networks_of(each)
        case NotPeer(inner):
            yield from networks_of(inner)


def _kinds(family: Family, blocks: set[Network], taken: set[Address]) -> Iterator[tuple[Address, str]]:
    ordered = sorted({WHOLE[family], *blocks}, key=lambda n: (int(n.network_address), n.prefixlen))
    used = sorted(int(address) for address in taken if address.version == family)
    for index, block in enumerate(ordered):
        first, last = _span(block)
        inner = [_span(own) for own in _OWN if own.overlaps(block)]
        for other in ordered[index + 1 :]:  # the blocks inside follow it
            if int(other.network_address) > last:
                break
            inner.append(_span(other))
        own = used[bisect_left(used, first) : bisect_right(used, last)]
        address = _free(block, sorted(inner + [(one, one) for one in own]))
        if address is not None:
            yield address, _name(block, bool(inner))


def _span(block: Network) -> tuple[int, int]:
    return int(block.network_address), int(block.broadcast_address)


def _free(block: Network, spans: list[tuple[int, int]]) -> Address | None:
    """An address of a block that is in no span: the one for documentation, or the lowest."""
    known = _PREFERRED[block.version]
    if known in block and not any(first <= int(known) <= last for first, last in spans):
        return known
    number = int(block.network_address) + (block.num_addresses >= 4)  # not the network's own, which looks odd
    for first, last in spans:
        if first > number:
            break
        number = max(number, last + 1)
    return type(known)(number) if number <= int(block.broadcast_address) else None


def _name(block: Network, partly: bool) -> str:
    if block.prefixlen == 0:
        return REST
    if block.num_addresses == 1:
        return str(block.network_address)
    return f"rest of {block}" if partly else str(block)
