"""The addresses outside the cluster that policies tell apart, one of each kind.

Blocks nest or are disjoint, so the smallest block around an address says which blocks it is in. There is one
kind of address for each block, and one for the rest.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from ipaddress import ip_address, ip_network

from netprobe.model.cluster import Cluster
from netprobe.model.flow import Address, External, Family
from netprobe.model.policy import Direction, IPBlock, Network

REST = "any other address"
_WHOLE: dict[Family, Network] = {4: ip_network("0.0.0.0/0"), 6: ip_network("::/0")}
_PREFERRED: dict[Family, int] = {  # reserved for documentation
    4: int(ip_address("198.51.100.1")),
    6: int(ip_address("2001:db8::1")),
}


def outside(clusters: Iterable[Cluster], families: Iterable[Family]) -> tuple[External, ...]:
    """One address of each kind, named for the kind: "203.0.113.0/24", "rest of 10.0.0.0/8"."""
    both = tuple(clusters)
    blocks = {network for cluster in both for network in _networks(cluster)}
    taken = {
        address
        for cluster in both
        for pod in cluster.pods.values()
        for address in (*pod.addresses, *pod.node_addresses)
    }
    taken |= {address for cluster in both for one in cluster.services.values() for address in one.addresses}
    wanted = tuple(families)
    return tuple(
        External(address, name if len(wanted) == 1 or name != REST else f"{REST} (IPv{family})")
        for family in wanted
        for address, name in _kinds(family, {b for b in blocks if b.version == family}, taken)
    )


def _networks(cluster: Cluster) -> Iterator[Network]:
    for policy in cluster.policies:
        for direction in Direction:
            for rule in policy.rules(direction) or ():
                for peer in rule.peers:
                    if isinstance(peer, IPBlock):
                        yield peer.cidr
                        yield from peer.excluded


def _kinds(family: Family, blocks: set[Network], taken: set[Address]) -> Iterator[tuple[Address, str]]:
    ordered = sorted({_WHOLE[family], *blocks}, key=lambda n: (int(n.network_address), n.prefixlen))
    used = sorted(int(address) for address in taken if address.version == family)
    for index, block in enumerate(ordered):
        inner = []  # the blocks inside follow it
        for other in ordered[index + 1 :]:
            if int(other.network_address) > int(block.broadcast_address):
                break
            inner.append((int(other.network_address), int(other.broadcast_address)))
        first, last = int(block.network_address), int(block.broadcast_address)
        own = used[bisect_left(used, first) : bisect_right(used, last)]
        number = _free(first, last, sorted(inner + [(one, one) for one in own]), family)
        if number is not None:
            yield type(block.network_address)(number), _name(block, bool(inner))


def _free(first: int, last: int, spans: list[tuple[int, int]], family: Family) -> int | None:
    """A number from first to last that is in no span: the one for documentation, or the lowest."""
    known = _PREFERRED[family]
    if first <= known <= last and not any(one <= known <= end for one, end in spans):
        return known
    number = first + 1 if last - first > 2 else first  # a network's own address looks odd in a report
    for one, end in spans:
        if one > number:
            break
        number = max(number, end + 1)
    return number if number <= last else None


def _name(block: Network, partly: bool) -> str:
    if block.prefixlen == 0:
        return REST
    if block.num_addresses == 1:
        return str(block.network_address)
    return f"rest of {block}" if partly else str(block)
