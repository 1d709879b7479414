"""One side of a flow: the policies that apply to the subject in a direction, tier by tier.

`model.policy` says how tiers, policies and rules decide.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, groupby, takewhile
from typing import TypeAlias

from netprobe.model.cluster import Cluster
from netprobe.model.flow import Address, ContainerPort, Family, Flow, Pod, PodRef, Protocol
from netprobe.model.policy import (
    NETWORK_POLICY,
    Action,
    AnyPeer,
    AnyPort,
    Direction,
    IPBlock,
    NamedPort,
    Network,
    Networks,
    Peer,
    PodPeer,
    Policy,
    Subject,
    Tier,
    UnknownPeer,
)
from netprobe.model.verdict import Cause, Effect, Side
from netprobe.simulate.endpoint import ASSUMED, Directory, Endpoint
from netprobe.simulate.match import opens, within
from netprobe.simulate.profile import Profile
from netprobe.simulate.tiers import in_order

Tiers: TypeAlias = Sequence[tuple[Tier, Sequence[Policy]]]
"""Tiers in their order, each with policies in theirs."""

DestinationPort: TypeAlias = tuple[int, Protocol, tuple[ContainerPort, ...]]
"""A port of a flow's destination, and the ports that its containers declare, where names are looked up."""

_EFFECTS = {Action.ALLOW: Effect.ALLOWS, Action.DENY: Effect.DENIES, Action.PASS: Effect.PASSES}


@dataclass(frozen=True, slots=True)
class _Entry:
    """A peer of a rule whose ports match; `causes` apply if the peer matches too."""

    tier: Tier
    policy: Policy
    action: Action
    peer: Peer
    causes: tuple[Cause, ...]


@dataclass(slots=True)
class _Entries:
    """The entries for one port. `sides`: those already made, by the entries that matched (as bits).

    There are few different sides, however many ends the subject talks to.
    """

    entries: list[_Entry]
    sides: dict[int, Side] = field(default_factory=dict)


class _Applying:
    """The policies that apply to a pod in one direction; their entries are worked out once a port."""

    def __init__(self, direction: Direction, tiers: Tiers) -> None:
        self.policies = [policy for _, policies in tiers for policy in policies]
        self._direction = direction
        self._tiers = tiers
        self._by_port: dict[DestinationPort, _Entries] = {}
        self._uses_names = any(
            isinstance(entry, NamedPort)
            for policy in self.policies
            for rule in policy.rules(direction) or ()
            for entry in rule.ports
        )

    def on_port(self, port: DestinationPort) -> _Entries:
        number, protocol, declared = port
        key = (number, protocol, declared if self._uses_names else ())
        found = self._by_port.get(key)
        if found is None:
            found = self._by_port[key] = _Entries(list(self.entries(port)))
        return found

    def entries(self, port: DestinationPort, block_port: DestinationPort | None = None) -> Iterator[_Entry]:
        """`block_port`: the port for peers that are addresses, if it is another one."""
        for tier, policies in self._tiers:
            for policy in policies:
                for index, rule in enumerate(policy.rules(self._direction) or ()):
                    if rule.action is Action.LOG:
                        continue
                    for number, peer in enumerate(rule.peers):
                        own = block_port if block_port and isinstance(peer, IPBlock | Networks) else port
                        causes = tuple(
                            Cause(
                                self._direction,
                                policy.ref,
                                _EFFECTS[rule.action],
                                index,
                                None if isinstance(peer, AnyPeer) else number,
                                None if isinstance(entry, AnyPort) else at,
                                tier.name,
                            )
                            for at, entry in enumerate(rule.ports)
                            if opens(entry, *own)
                        )
                        if causes:
                            yield _Entry(tier, policy, rule.action, peer, causes)

    def side(self, matching: Iterable[_Entry]) -> Side:
        """The side if these entries match: the walk through the tiers."""
        by_tier = {tier: list(entries) for tier, entries in groupby(matching, key=lambda entry: entry.tier)}
        passing: tuple[Cause, ...] = ()
        for tier, policies in self._tiers:
            denies = tier.default is Action.DENY
            default = tuple(self._default(tier, policy) for policy in policies)
            isolating = default if denies else ()
            entries = by_tier.get(tier)
            if not entries:
                if denies:
                    return Side(self._direction, isolating, passing=passing)
                passing += default
                continue
            action = entries[0].action
            same = takewhile(lambda entry: entry.action is action, entries)  # noqa: B023 (used at once)
            causes = tuple(chain.from_iterable(entry.causes for entry in same))
            if action is Action.PASS:
                passing += causes
            elif action is Action.ALLOW:
                return Side(self._direction, isolating, allowing=causes, passing=passing)
            else:
                return Side(self._direction, isolating, denying=causes, passing=passing)
        return Side(self._direction, passing=passing)

    def _default(self, tier: Tier, policy: Policy) -> Cause:
        isolates = policy.kind == NETWORK_POLICY and tier.default is Action.DENY
        effect = Effect.ISOLATES if isolates else Effect.TIER_DEFAULT
        return Cause(self._direction, policy.ref, effect, tier=tier.name)


class Sides:
    """Judges sides by all policies of a cluster. Causes come in the order of evaluation.

    Which policies apply to a pod is looked up once, and equal sides of a pod are one object.
    """

    def __init__(self, cluster: Cluster, profile: Profile, directory: Directory) -> None:
        self._profile = profile
        self._directory = directory
        self._cluster = cluster
        self._order = in_order(cluster)
        self._by_namespace: dict[str, list[int]] = defaultdict(list)
        self._everywhere: list[int] = []
        for rank, (_, number) in enumerate(self._order):
            policy = cluster.policies[number]
            if policy.subject.namespaces is None:
                self._by_namespace[policy.ref.namespace].append(rank)
            else:
                self._everywhere.append(rank)
        self._applying: dict[Direction, dict[PodRef, _Applying]] = {direction: {} for direction in Direction}
        self._open = {direction: Side(direction) for direction in Direction}

    def applying(self, subject: Pod, direction: Direction) -> Sequence[Policy]:
        """The policies that select a pod and apply to a direction, in the order of evaluation."""
        return self._of(subject, direction).policies

    def _of(self, subject: Pod, direction: Direction) -> _Applying:
        found = self._applying[direction].get(subject.ref)
        if found is None:
            ranks = self._by_namespace.get(subject.ref.namespace, [])
            if self._everywhere:
                ranks = sorted((*ranks, *self._everywhere))
            found = _Applying(direction, self._tiers(subject, direction, ranks))
            self._applying[direction][subject.ref] = found
        return found

    def _tiers(self, subject: Pod, direction: Direction, ranks: Iterable[int]) -> Tiers:
        tiers: dict[Tier, list[Policy]] = {}
        for tier, number in (self._order[rank] for rank in ranks):
            policy = self._cluster.policies[number]
            if policy.rules(direction) is not None and self._selects(policy.subject, subject):
                tiers.setdefault(tier, []).append(policy)
        return tuple(tiers.items())

    def _selects(self, wanted: Subject, pod: Pod) -> bool:
        """Whether a policy has a pod as its subject. Its own namespace has been looked at already."""
        if wanted.namespaces is not None:
            labels = self._directory.namespace_labels[pod.ref.namespace]
            if not wanted.namespaces.matches(labels):
                return False
        return wanted.pods.matches(pod.labels)

    def judge(
        self,
        direction: Direction,
        subject: Endpoint,
        peer: Endpoint,
        flow: Flow,
        family: Family | None,
    ) -> Side:
        """All causes on one side. No policy applies to an address without a pod."""
        if subject.pod is None:
            return self._open[direction]
        applying = self._of(subject.pod, direction)
        if not applying.policies:
            return self._open[direction]
        destination = peer if direction is Direction.EGRESS else subject
        declared = destination.pod.ports if destination.pod else ()
        found = applying.on_port((flow.port, flow.protocol, declared))
        matched = 0
        for number, entry in enumerate(found.entries):
            if self.admits(entry.peer, entry.policy, peer, family):
                matched |= 1 << number
        side = found.sides.get(matched)
        if side is None:
            matching = (entry for number, entry in enumerate(found.entries) if matched >> number & 1)
            side = found.sides[matched] = applying.side(matching)
        return side

    def before_translation(
        self,
        source: Endpoint,
        backend: Endpoint,
        onward: Flow,
        service_port: int,
        addresses: Iterable[Address],
    ) -> Side:
        """The egress side of a flow to a Service as seen by blocks that see the Service's own address.

        Selectors see the pod behind it and the port there, as they do after translation.
        """
        if source.pod is None:
            return self._open[Direction.EGRESS]
        applying = self._of(source.pod, Direction.EGRESS)
        port = (onward.port, onward.protocol, backend.pod.ports if backend.pod else ())
        known = tuple(addresses)
        entries = applying.entries(port, (service_port, onward.protocol, ()))
        return applying.side(
            entry
            for entry in entries
            if (
                any(_inside(entry.peer, address) for address in known)
                if isinstance(entry.peer, IPBlock | Networks)
                else self.admits(entry.peer, entry.policy, backend, onward.family)
            )
        )

    def admits(self, entry: Peer, policy: Policy, peer: Endpoint, family: Family | None) -> bool:
        """Whether one item of `from` or `to` matches the end that the subject talks to."""
        match entry:
            case AnyPeer() | UnknownPeer():
                return isinstance(entry, AnyPeer)
            case PodPeer():
                return _selected(entry, policy, peer)
            case IPBlock():
                address = _address(peer, entry.cidr, family)
                return address is not None and self.blocks_see(peer) and within(entry, address)
            case Networks(cidrs):
                return any(_address(peer, cidr, family) in cidr for cidr in cidrs)
            case _:
                raise NotImplementedError(entry)

    def blocks_see(self, peer: Endpoint) -> bool:
        """Whether an ipBlock can match such an end with this plugin."""
        if peer.pod is not None:
            return self._profile.blocks_match_pods
        return self._profile.blocks_match_nodes or not self._directory.is_node(peer)


def _selected(entry: PodPeer, policy: Policy, peer: Endpoint) -> bool:
    if peer.pod is None:  # "never an external address"
        return False
    if entry.namespaces is None:  # "pods of the policy's own namespace"
        return peer.pod.ref.namespace == policy.ref.namespace and entry.pods.matches(peer.pod.labels)
    return entry.namespaces.matches(peer.namespace_labels or {}) and entry.pods.matches(peer.pod.labels)


def _address(peer: Endpoint, network: Network, family: Family | None) -> Address | None:
    """The address of an end that a network of some family is compared with."""
    return ASSUMED[network.version] if peer.assumed else peer.address(family)


def _inside(entry: IPBlock | Networks, address: Address) -> bool:
    if isinstance(entry, IPBlock):
        return within(entry, address)
    return any(address in cidr for cidr in entry.cidrs)
