"""One side of a flow: which policies isolate the subject in a direction, and which of their rules match."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import assert_never

from netprobe.model.cluster import Cluster
from netprobe.model.flow import Address, ContainerPort, Family, Flow, Pod, PodRef, Protocol
from netprobe.model.policy import (
    AnyPeer,
    AnyPort,
    Direction,
    IPBlock,
    NamedPort,
    Network,
    Networks,
    NoPeer,
    Peer,
    PodPeer,
    Policy,
)
from netprobe.model.verdict import Cause, Effect, Side
from netprobe.simulate.endpoint import ASSUMED, Directory, Endpoint
from netprobe.simulate.match import opens, selects, within
from netprobe.simulate.profile import Profile


@dataclass(slots=True)
class _Opening:
    """What a subject's policies open on one port: peers, each with its policy and, where it matches, causes.

    `sides`: those that were given out, by the peers that matched (as bits). They are few, however many ends
    the subject is held against.
    """

    entries: list[tuple[Peer, Policy, tuple[Cause, ...]]]
    sides: dict[int, Side] = field(default_factory=dict)


class _Stance:
    """A pod in one direction: the policies that isolate it, and what they open, worked out once a port."""

    def __init__(self, direction: Direction, policies: list[Policy]) -> None:
        self.policies = policies
        self._direction = direction
        self._isolating = tuple(Cause(direction, policy.ref, Effect.ISOLATES) for policy in policies)
        self._openings: dict[tuple[int, Protocol, tuple[ContainerPort, ...]], _Opening] = {}
        self._by_name = any(
            isinstance(entry, NamedPort)
            for policy in policies
            for rule in policy.rules(direction) or ()
            for entry in rule.ports
        )

    def opening(self, flow: Flow, declared: tuple[ContainerPort, ...]) -> _Opening:
        """`declared`: the destination's container ports, where names are looked up if there are any."""
        key = (flow.port, flow.protocol, declared if self._by_name else ())
        found = self._openings.get(key)
        if found is None:
            found = self._openings[key] = _Opening(list(self._entries(flow, declared)))
        return found

    def side(self, opening: _Opening, matched: int) -> Side:
        """The side where those entries of an opening match, as bits."""
        found = opening.sides.get(matched)
        if found is None:
            allowing = (causes for i, (*_, causes) in enumerate(opening.entries) if matched >> i & 1)
            found = Side(self._direction, self._isolating, tuple(chain.from_iterable(allowing)))
            opening.sides[matched] = found
        return found

    def _entries(
        self, flow: Flow, declared: tuple[ContainerPort, ...]
    ) -> Iterator[tuple[Peer, Policy, tuple[Cause, ...]]]:
        for policy in self.policies:
            for index, rule in enumerate(policy.rules(self._direction) or ()):
                ports = [
                    None if isinstance(entry, AnyPort) else number
                    for number, entry in enumerate(rule.ports)
                    if opens(entry, flow.port, flow.protocol, declared)
                ]
                if not ports:
                    continue
                for number, entry in enumerate(rule.peers):
                    peer = None if isinstance(entry, AnyPeer) else number
                    yield (
                        entry,
                        policy,
                        tuple(
                            Cause(self._direction, policy.ref, Effect.ALLOWS, index, peer, port)
                            for port in ports
                        ),
                    )


class Sides:
    """Judges sides by all policies of a cluster. Causes come in the order of the policies' names.

    What isolates a pod is looked up once, and equal sides of a pod are one object.
    """

    def __init__(self, cluster: Cluster, profile: Profile, directory: Directory) -> None:
        self._profile = profile
        self._directory = directory
        self._policies: dict[str, list[Policy]] = defaultdict(list)
        for policy in sorted(cluster.policies, key=lambda policy: policy.ref):
            self._policies[policy.ref.namespace].append(policy)
        self._stances: dict[Direction, dict[PodRef, _Stance]] = {direction: {} for direction in Direction}
        self._open = {direction: Side(direction) for direction in Direction}

    def isolating(self, subject: Pod, direction: Direction) -> Sequence[Policy]:
        """The policies of the pod's namespace that select it and speak about the direction."""
        return self._stance(subject, direction).policies

    def _stance(self, subject: Pod, direction: Direction) -> _Stance:
        found = self._stances[direction].get(subject.ref)
        if found is None:
            policies = [
                policy
                for policy in self._policies.get(subject.ref.namespace, ())
                if policy.rules(direction) is not None and selects(policy.subject.pods, subject.labels)
            ]
            found = self._stances[direction][subject.ref] = _Stance(direction, policies)
        return found

    def judge(
        self,
        direction: Direction,
        subject: Endpoint,
        peer: Endpoint,
        flow: Flow,
        family: Family | None,
    ) -> Side:
        """All causes on one side. An address without a pod has no policies: it is not isolated."""
        if subject.pod is None:
            return self._open[direction]
        stance = self._stance(subject.pod, direction)
        if not stance.policies:
            return self._open[direction]
        destination = peer if direction is Direction.EGRESS else subject
        opening = stance.opening(flow, destination.pod.ports if destination.pod else ())
        matched = 0
        for number, (entry, policy, _) in enumerate(opening.entries):
            if self.admits(entry, policy, peer, family):
                matched |= 1 << number
        return stance.side(opening, matched)

    def admits(self, entry: Peer, policy: Policy, peer: Endpoint, family: Family | None) -> bool:
        """Whether one item of `from` or `to` matches whoever the subject talks to."""
        match entry:
            case AnyPeer() | NoPeer():
                return isinstance(entry, AnyPeer)
            case PodPeer():
                return _selected(entry, policy, peer)
            case IPBlock():
                address = _address(peer, entry.cidr, family)
                return address is not None and self.blocks_see(peer) and within(entry, address)
            case Networks(cidrs):
                return any(_address(peer, cidr, family) in cidr for cidr in cidrs)
            case _:
                assert_never(entry)

    def blocks_see(self, peer: Endpoint) -> bool:
        """Whether this plugin holds blocks against such an end at all."""
        if peer.pod is not None:
            return self._profile.blocks_match_pods
        return self._profile.blocks_match_nodes or not self._directory.is_node(peer)


def _selected(entry: PodPeer, policy: Policy, peer: Endpoint) -> bool:
    if peer.pod is None:  # "never an external address"
        return False
    if entry.namespaces is None:  # "pods of the policy's own namespace"
        return peer.pod.ref.namespace == policy.ref.namespace and selects(entry.pods, peer.pod.labels)
    return selects(entry.namespaces, peer.namespace_labels or {}) and selects(entry.pods, peer.pod.labels)


def _address(peer: Endpoint, network: Network, family: Family | None) -> Address | None:
    """The address of an end that a network of some family is compared with."""
    return ASSUMED[network.version] if peer.assumed else peer.address(family)
