"""Which policies may cover another: a quick sieve, so that few pairs are compared in full.

Theory of operation. A policy can only cover another if it asks for no more: each label that its selector
demands is demanded by the other too, and so for its peers and ports. So every policy is filed under one
thing that it demands, the rarest, or as open where it demands nothing; looking up all that the other
demands then finds every policy that may cover it, and few more. Policies are bits of big integers, so that
subjects, peers and ports of several rules are met by `&`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import TypeAlias, assert_never

from netprobe.lint.selector_sets import impossible, terms
from netprobe.model.labels import NAME_LABEL, Selector
from netprobe.model.policy import (
    AnyPeer,
    AnyPort,
    Direction,
    IPBlock,
    NamedPort,
    Networks,
    NoPeer,
    Peer,
    PodPeer,
    Policy,
    Port,
    PortRange,
)
from netprobe.simulate.bits import unpack

Demand: TypeAlias = Hashable


class Candidates:
    """The policies of one namespace, numbered as given."""

    def __init__(self, policies: Sequence[Policy]) -> None:
        self.policies = policies
        self._namespace = policies[0].ref.namespace if policies else ""
        self._sieve = _Sieve((number, way) for number, one in enumerate(policies) for way in self._ways(one))
        self._every = (1 << len(policies)) - 1

    def covering(self, policy: Policy) -> Iterator[Policy]:
        """Every policy that may cover it, itself among them, in the order given."""
        found = self._every
        for place, demands in self._needs(policy):
            found &= self._sieve.asking_no_more(place, demands)
        return (self.policies[number] for number in unpack(found))

    def _ways(self, policy: Policy) -> Iterator[tuple[Demand, frozenset[Demand]]]:
        """What a policy demands of those that it covers; any of the alternatives of a place will do."""
        yield "subjects", _labels(policy.subject.pods)
        if not (policy.ingress or policy.egress):
            yield _deny(policy), frozenset()
        for direction in Direction:
            for rule in policy.rules(direction) or ():
                for peer in rule.peers:
                    yield (direction, "peer"), _of_peer(peer)
                for port in rule.ports:
                    yield (direction, "port"), _of_port(port)

    def _needs(self, policy: Policy) -> Iterator[tuple[Demand, frozenset[Demand]]]:
        """What those that cover a policy may demand, for each part of it."""
        yield "subjects", _labels(policy.subject.pods)
        if not (policy.ingress or policy.egress):
            yield _deny(policy), frozenset()
        for direction in Direction:
            for rule in policy.rules(direction) or ():
                for peer in rule.peers:
                    if not _impossible(peer):
                        yield (direction, "peer"), _of_peer(peer) | _at_home(peer, self._namespace)
                for port in rule.ports:
                    yield (direction, "port"), _first_of(port)


class _Sieve:
    """Numbers by what they demand, a place at a time."""

    def __init__(self, entries: Iterable[tuple[int, tuple[Demand, frozenset[Demand]]]]) -> None:
        kept = list(entries)
        common = Counter((place, demand) for _, (place, demands) in kept for demand in demands)
        self._filed: dict[tuple[Demand, Demand], int] = defaultdict(int)
        for number, (place, demands) in kept:
            rarest = min(demands, key=lambda demand: common[place, demand], default=None)
            self._filed[place, rarest] |= 1 << number

    def asking_no_more(self, place: Demand, demands: frozenset[Demand]) -> int:
        bits = self._filed.get((place, None), 0)
        for demand in demands:
            bits |= self._filed.get((place, demand), 0)
        return bits


def _deny(policy: Policy) -> Demand:
    return "deny", policy.ingress is None, policy.egress is None


def _labels(selector: Selector) -> frozenset[Demand]:
    """The labels of which a selector admits one value only."""
    return frozenset(
        (key, next(iter(term.values)))
        for key, term in terms(selector).items()
        if len(term.values) == 1 and not term.complement and not term.absent
    )


def _of_peer(peer: Peer) -> frozenset[Demand]:
    match peer:
        case AnyPeer():
            return frozenset()
        case IPBlock(cidr):
            return frozenset({("block", cidr.version)})
        case Networks() | NoPeer():  # no peer of a NetworkPolicy
            return frozenset({("other", repr(peer))})
        case PodPeer(pods, namespaces):
            of_namespaces = _labels(namespaces) if namespaces is not None else frozenset()
            return frozenset(
                {"pods", *(("pod", d) for d in _labels(pods)), *(("ns", d) for d in of_namespaces)}
            )
        case _:
            assert_never(peer)


def _at_home(peer: Peer, namespace: str) -> frozenset[Demand]:
    """A peer without a namespaceSelector is covered by one that names its namespace."""
    home = isinstance(peer, PodPeer) and peer.namespaces is None
    return frozenset({("ns", (NAME_LABEL, namespace))}) if home else frozenset()


def _impossible(peer: Peer) -> bool:
    return isinstance(peer, PodPeer) and (
        impossible(peer.pods) or (peer.namespaces is not None and impossible(peer.namespaces))
    )


def _of_port(port: Port) -> frozenset[Demand]:
    match port:
        case PortRange(protocol, first, last) if first == last:
            return frozenset({(protocol, first)})
        case NamedPort(name, protocol):
            return frozenset({(protocol, name)})
        case AnyPort() | PortRange():
            return frozenset()
        case _:
            assert_never(port)


def _first_of(port: Port) -> frozenset[Demand]:
    """Whatever covers a port entry demands its first port, or nothing: several entries may share the rest."""
    return frozenset({(port.protocol, port.first)}) if isinstance(port, PortRange) else _of_port(port)
