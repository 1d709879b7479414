"""Which policies may cover another: a fast filter, so that few pairs have to be compared in full.

Theory of operation. A policy can only cover another if it requires no more: each label that its selector
requires, the other requires too, and the same for its peers and ports. So every policy is indexed by the
rarest thing that it requires, or as open if it requires nothing. Looking up everything that another policy
requires finds all policies that may cover it, and few more. Policies are bits of big integers, so the
results for subjects, peers and ports of several rules are combined with `&`.
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

Need: TypeAlias = Hashable


class Candidates:
    """The policies of one namespace, numbered in the given order."""

    def __init__(self, policies: Sequence[Policy]) -> None:
        self.policies = policies
        self._namespace = policies[0].ref.namespace if policies else ""
        self._index = _Index((number, way) for number, one in enumerate(policies) for way in self._ways(one))
        self._every = (1 << len(policies)) - 1

    def covering(self, policy: Policy) -> Iterator[Policy]:
        """Every policy that may cover it, including itself, in the given order."""
        found = self._every
        for place, needs in self._needs(policy):
            found &= self._index.requiring_no_more(place, needs)
        return (self.policies[number] for number in unpack(found))

    def _ways(self, policy: Policy) -> Iterator[tuple[Need, frozenset[Need]]]:
        """What a policy requires of those that it covers. One of the alternatives of a place is enough."""
        yield "subjects", _labels(policy.subject.pods)
        if not (policy.ingress or policy.egress):
            yield _deny(policy), frozenset()
        for direction in Direction:
            for rule in policy.rules(direction) or ():
                for peer in rule.peers:
                    yield (direction, "peer"), _of_peer(peer)
                for port in rule.ports:
                    yield (direction, "port"), _of_port(port)

    def _needs(self, policy: Policy) -> Iterator[tuple[Need, frozenset[Need]]]:
        """What policies that cover this one may require, for each part of it."""
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


class _Index:
    """Policies by what they require, for each place."""

    def __init__(self, entries: Iterable[tuple[int, tuple[Need, frozenset[Need]]]]) -> None:
        kept = list(entries)
        common = Counter((place, need) for _, (place, needs) in kept for need in needs)
        self._filed: dict[tuple[Need, Need], int] = defaultdict(int)
        for number, (place, needs) in kept:
            rarest = min(needs, key=lambda need: common[place, need], default=None)
            self._filed[place, rarest] |= 1 << number

    def requiring_no_more(self, place: Need, needs: frozenset[Need]) -> int:
        bits = self._filed.get((place, None), 0)
        for need in needs:
            bits |= self._filed.get((place, need), 0)
        return bits


def _deny(policy: Policy) -> Need:
    return "deny", policy.ingress is None, policy.egress is None


def _labels(selector: Selector) -> frozenset[Need]:
    """The labels for which a selector allows only one value."""
    return frozenset(
        (key, next(iter(term.values)))
        for key, term in terms(selector).items()
        if len(term.values) == 1 and not term.complement and not term.absent
    )


def _of_peer(peer: Peer) -> frozenset[Need]:
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


def _at_home(peer: Peer, namespace: str) -> frozenset[Need]:
    """A peer that names the policy's namespace also covers one without a namespaceSelector."""
    home = isinstance(peer, PodPeer) and peer.namespaces is None
    return frozenset({("ns", (NAME_LABEL, namespace))}) if home else frozenset()


def _impossible(peer: Peer) -> bool:
    return isinstance(peer, PodPeer) and (
        impossible(peer.pods) or (peer.namespaces is not None and impossible(peer.namespaces))
    )


def _of_port(port: Port) -> frozenset[Need]:
    match port:
        case PortRange(protocol, first, last) if first == last:
            return frozenset({(protocol, first)})
        case NamedPort(name, protocol):
            return frozenset({(protocol, name)})
        case AnyPort() | PortRange():
            return frozenset()
        case _:
            assert_never(port)


def _first_of(port: Port) -> frozenset[Need]:
    """What covers a port entry requires its first port, or nothing: other entries may cover the rest."""
    return frozenset({(port.protocol, port.first)}) if isinstance(port, PortRange) else _of_port(port)
