"""Peers and ports of a rule in the language of nft, and the sets that they look up. Pure; see ruleset.py.

Theory of operation
-------------------

A peer is a formula over the address of one end of a packet, and nft knows conjunctions only. So for each
address family a peer becomes alternatives (a disjunction), each a tuple of tests that all have to hold:

    no alternative     no address matches
    an empty tuple     every address does

A negation is pushed inwards: that of "all of these" is "not the first, or not the second", and a test is
negated by `!=`. They depend on the rule alone, not on the pods that exist: those are in the sets.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, collapse_addresses
from itertools import chain, product
from typing import TypeAlias, assert_never

from netprobe.lab.fabric.selection import Query
from netprobe.model.flow import Protocol, ServiceRef
from netprobe.model.labels import Selector
from netprobe.model.policy import (
    AllPeers,
    AnyPeer,
    AnyPort,
    Direction,
    DomainPeer,
    IPBlock,
    NamedPort,
    Network,
    Networks,
    NodePeer,
    NotPeer,
    OtherProtocol,
    Peer,
    PodPeer,
    Port,
    PortRange,
    Rule,
    ServicePeer,
    UnknownPeer,
)

_FAR_END = {Direction.EGRESS: "daddr", Direction.INGRESS: "saddr"}
_OWN_END = {Direction.EGRESS: "saddr", Direction.INGRESS: "daddr"}
_IP = {4: "ip", 6: "ip6"}
_FAMILY = {4: "ipv4", 6: "ipv6"}
_OTHER_PROTOCOLS = {"ICMP": "icmp", "ICMPv6": "ipv6-icmp", "UDPLite": "udplite"}


@dataclass(frozen=True, slots=True)
class PeerSet:
    """The addresses of one family of the pods that a peer selects."""

    query: Query
    version: int


@dataclass(frozen=True, slots=True)
class NetworkPeerSet:
    """The same, and the networks of the network sets that it selects."""

    query: Query
    version: int


@dataclass(frozen=True, slots=True)
class NodeSet:
    """The addresses of one family of the nodes that a peer selects."""

    nodes: Selector
    version: int


@dataclass(frozen=True, slots=True)
class ServiceSet:
    """The addresses of the endpoints of a Service; with `on_ports` "address . protocol . number"."""

    service: ServiceRef
    on_ports: bool
    version: int


@dataclass(frozen=True, slots=True)
class PortSet:
    """ "address . number" of every pod that has a port of this name."""

    protocol: Protocol
    name: str
    version: int


AddressSet: TypeAlias = PeerSet | NetworkPeerSet | NodeSet | ServiceSet | PortSet


@dataclass(frozen=True, slots=True)
class Match:
    """What a packet is compared with. `version` and `protocol`: what it needs to have; None: any."""

    text: str = ""
    version: int | None = None
    protocol: Protocol | None = None

    def meets(self, other: Match) -> Match | None:
        """Both; None if no packet matches both."""
        if None not in {self.version, other.version} and self.version != other.version:
            return None
        if None not in {self.protocol, other.protocol} and self.protocol != other.protocol:
            return None
        text = " ".join(filter(None, (self.text, other.text)))
        return Match(text, self.version or other.version, self.protocol or other.protocol)


Tests: TypeAlias = tuple[str, ...]


class Matcher:
    """The matches of rules of one policy, in one direction; `sets` are those that they name."""

    def __init__(self, namespace: str, direction: Direction, versions: Sequence[int]) -> None:
        self._namespace = namespace
        self._far, self._own = _FAR_END[direction], _OWN_END[direction]
        self._versions = versions
        self.sets: dict[str, AddressSet] = {}

    def matches(self, rule: Rule) -> Iterator[tuple[str, Match]]:
        """What a rule matches, with the places of peer and port in the rule."""
        for number, peer in enumerate(rule.peers):
            peer_place = "" if isinstance(peer, AnyPeer) else f" peer {number}"
            for index, entry in enumerate(rule.ports):
                port_place = "" if isinstance(entry, AnyPort) else f" port {index}"
                for ends, excluded in self._variants(peer, rule, named=isinstance(entry, NamedPort)):
                    for ports in self._ports(entry, excluded, rule.source_ports):
                        if found := ends.meets(ports):
                            yield peer_place + port_place, found

    def _variants(self, peer: Peer, rule: Rule, *, named: bool) -> Iterator[tuple[Match, tuple[Port, ...]]]:
        """Both ends, each with the ports that do not match; `named`: the port is named.

        A port that is excluded by its name is one of a pod that the destination itself selects. What only a
        network set around it matches has no such port.
        """
        destination = peer if self._far == "daddr" else rule.own
        yield from ((ends, rule.not_ports) for ends in self._ends(peer, rule.own, named=named))
        numbers = tuple(port for port in rule.not_ports if not isinstance(port, NamedPort))
        if numbers != rule.not_ports and _has_sets(destination) and not named:
            for ends in self._ends(peer, rule.own, named=False, beyond=destination):
                yield ends, numbers

    def _ends(self, peer: Peer, own: Peer, *, named: bool, beyond: Peer | None = None) -> Iterator[Match]:
        """Both ends of a packet. `named`: the destination has to be a pod; `beyond`: but not one of these."""
        if isinstance(peer, AnyPeer) and isinstance(own, AnyPeer):
            yield Match()
            return
        for version in self._versions:
            far = self._alternatives(peer, self._far, version, pods=named and self._far == "daddr")
            near = self._alternatives(own, self._own, version, pods=named and self._own == "daddr")
            rest: list[Tests] = [()]
            if beyond is not None:
                rest = self._alternatives(beyond, "daddr", version, negated=True, pods=True)
            for tests in product(far, near, rest):
                text = " ".join(chain.from_iterable(tests))
                yield Match(text or f"meta nfproto {_FAMILY[version]}", version)

    def _alternatives(
        self, peer: Peer, end: str, version: int, *, negated: bool = False, pods: bool = False
    ) -> list[Tests]:
        """The peer as alternatives; `pods`: network sets do not count."""
        field = f"{_IP[version]} {end}"
        match peer:
            case AnyPeer():
                found = _constant(not negated)
            case UnknownPeer() | DomainPeer():
                found = _constant(negated)
            case PodPeer() | NodePeer() | ServicePeer():
                found = [self._selected(peer, field, version, negated=negated, pods=pods)]
            case IPBlock(cidr, excluded):
                found = _networks(field, version, (cidr,), excluded, negated=negated)
            case Networks(cidrs, excluded):
                found = _networks(field, version, cidrs, excluded, negated=negated)
            case AllPeers(peers):
                parts = [self._alternatives(p, end, version, negated=negated, pods=pods) for p in peers]
                if negated:
                    found = [tests for part in parts for tests in part]
                else:
                    found = [tuple(chain.from_iterable(chosen)) for chosen in product(*parts)]
            case NotPeer(inner):
                found = self._alternatives(inner, end, version, negated=not negated)
            case _:
                assert_never(peer)
        return found

    def _selected(
        self, peer: PodPeer | NodePeer | ServicePeer, field: str, version: int, *, negated: bool, pods: bool
    ) -> Tests:
        """The tests for an address in the set of a peer."""
        wanted: AddressSet
        match peer:
            case PodPeer(sets=sets):
                query = Query.of(self._namespace, peer)
                wide = bool(sets) and not pods
                wanted = NetworkPeerSet(query, version) if wide else PeerSet(query, version)
                kind = "nets" if wide else "pods"
            case NodePeer(nodes):
                wanted, kind = NodeSet(nodes, version), "nodes"
            case ServicePeer(service, on_ports):
                wanted, kind = ServiceSet(service, on_ports, version), "service"
                field = f"{field} . meta l4proto . th dport" if on_ports else field
            case _:
                assert_never(peer)
        name = f"{kind}{version}/{digest(repr(wanted))}"
        self.sets[name] = wanted
        return (f"{field} {'!= ' if negated else ''}@{name}",)

    def _ports(self, entry: Port, excluded: Sequence[Port], sources: Sequence[Port]) -> Iterator[Match]:
        """A port entry without excluded ports, from the source ports."""
        for destination in self._port(entry, "dport", limited=bool(excluded)):
            for match in self._without(destination, excluded):
                for source in sources:
                    for sending in self._port(source, "sport"):
                        if found := match.meets(sending):
                            yield found

    def _port(self, entry: Port, side: str, *, limited: bool = False) -> Iterator[Match]:
        """`limited`: each match has a protocol, so that ports of it can be excluded."""
        match entry:
            case AnyPort():
                yield from (map(_of_protocol, Protocol) if limited else (Match(),))
            case PortRange(protocol, 1, 65535):
                yield _of_protocol(protocol)
            case PortRange(protocol, first, last):
                yield Match(f"{protocol.value.lower()} {side} {_span(first, last)}", protocol=protocol)
            case NamedPort(name, wanted):
                for protocol in (wanted,) if wanted else tuple(Protocol):
                    for version in self._versions:
                        yield Match(self._named(name, protocol, version, side), version, protocol)
            case OtherProtocol(name):
                if name in _OTHER_PROTOCOLS or name.isdecimal():
                    yield Match(f"meta l4proto {_OTHER_PROTOCOLS.get(name, name)}")
            case _:
                assert_never(entry)

    def _without(self, match: Match, excluded: Iterable[Port]) -> Iterator[Match]:
        """The match, with one more test for each excluded port of its protocol."""
        tests: list[str] = []
        families: set[NamedPort] = set()
        for port in excluded:
            match port:
                case PortRange(protocol, 1, 65535) if protocol is match.protocol:
                    return
                case PortRange(protocol, first, last) if protocol is match.protocol:
                    tests.append(f"{protocol.value.lower()} dport != {_span(first, last)}")
                case NamedPort(_, wanted) if wanted in {None, match.protocol}:
                    families.add(port)
                case _:
                    pass
        if not families or match.protocol is None:
            yield Match(" ".join((match.text, *tests)).strip(), match.version, match.protocol)
            return
        for version in self._versions:
            if match.version in {None, version}:
                named = [
                    self._named(port.name, match.protocol, version, "dport", negated=True)
                    for port in sorted(families, key=lambda port: port.name)
                ]
                yield Match(" ".join((match.text, *tests, *named)).strip(), version, match.protocol)

    def _named(self, name: str, protocol: Protocol, version: int, side: str, *, negated: bool = False) -> str:
        lower = protocol.value.lower()
        text = f"port{version}/{lower}/{name}"
        self.sets[text] = PortSet(protocol, name, version)
        end = "daddr" if side == "dport" else "saddr"
        return f"{_IP[version]} {end} . {lower} {side} {'!= ' if negated else ''}@{text}"


def _has_sets(peer: Peer) -> bool:
    match peer:
        case PodPeer(sets=sets):
            return bool(sets)
        case AllPeers(peers):
            return any(map(_has_sets, peers))
        case _:
            return False


def _of_protocol(protocol: Protocol) -> Match:
    return Match(f"meta l4proto {protocol.value.lower()}", protocol=protocol)


def _constant(matches: bool) -> list[Tests]:
    """What matches every address, or none."""
    return [()] if matches else []


def _networks(
    field: str, version: int, inside: Iterable[Network], outside: Iterable[Network], *, negated: bool
) -> list[Tests]:
    wanted, excluded = _operand(version, inside), _operand(version, outside)
    if wanted is None or excluded == "":  # nothing of this family, or all of it
        return _constant(negated)
    tests = [f"{field} {'!= ' if negated else ''}{wanted}"] if wanted else []
    tests += [f"{field} {'' if negated else '!= '}{excluded}"] if excluded else []
    return [(test,) for test in tests] if negated else [tuple(tests)]


def _operand(version: int, networks: Iterable[Network]) -> str | None:
    """The networks of a family as nft takes them; "" for all addresses, None for none."""
    merged = merged_networks(version, networks)
    if not merged:
        return None
    if merged[0].prefixlen == 0:
        return ""
    return str(merged[0]) if len(merged) == 1 else f"{{ {', '.join(map(str, merged))} }}"


def merged_networks(version: int, networks: Iterable[Network]) -> Sequence[Network]:
    """The networks of a family, without overlaps."""
    if version == 4:
        return list(collapse_addresses(n for n in networks if isinstance(n, IPv4Network)))
    return list(collapse_addresses(n for n in networks if isinstance(n, IPv6Network)))


def _span(first: int, last: int) -> str:
    return f"{first}-{last}" if last > first else str(first)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:20]
