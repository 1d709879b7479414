"""One side of a flow: which policies isolate the subject in a direction, and which of their rules match."""

from __future__ import annotations

from collections import defaultdict
from typing import assert_never

from netprobe.model.cluster import Cluster
from netprobe.model.flow import Family, Flow, Pod
from netprobe.model.policy import AnyPeer, AnyPort, Direction, IPBlock, Peer, PodPeer, Policy
from netprobe.model.verdict import Cause, Effect, Side
from netprobe.simulate.endpoint import Directory, Endpoint
from netprobe.simulate.match import opens, selects, within
from netprobe.simulate.profile import Profile


class Sides:
    """Judges sides by all policies of a cluster. Causes come in the order of the policies' names."""

    def __init__(self, cluster: Cluster, profile: Profile, directory: Directory) -> None:
        self._profile = profile
        self._directory = directory
        self._policies: dict[str, list[Policy]] = defaultdict(list)
        for policy in sorted(cluster.policies, key=lambda policy: policy.ref):
            self._policies[policy.ref.namespace].append(policy)

    def isolating(self, subject: Pod, direction: Direction) -> list[Policy]:
        """The policies of the pod's namespace that select it and speak about the direction."""
        return [
            policy
            for policy in self._policies.get(subject.ref.namespace, ())
            if policy.rules(direction) is not None and selects(policy.subjects, subject.labels)
        ]

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
            return Side(direction)
        destination = peer if direction is Direction.EGRESS else subject
        declared = destination.pod.ports if destination.pod else ()
        isolating: list[Cause] = []
        allowing: list[Cause] = []
        for policy in self.isolating(subject.pod, direction):
            isolating.append(Cause(direction, policy.ref, Effect.ISOLATES))
            for index, rule in enumerate(policy.rules(direction) or ()):
                ports = [
                    None if isinstance(entry, AnyPort) else number
                    for number, entry in enumerate(rule.ports)
                    if opens(entry, flow.port, flow.protocol, declared)
                ]
                if not ports:
                    continue
                allowing += [
                    Cause(
                        direction,
                        policy.ref,
                        Effect.ALLOWS,
                        index,
                        None if isinstance(entry, AnyPeer) else number,
                        matched,
                    )
                    for number, entry in enumerate(rule.peers)
                    if self.admits(entry, policy, peer, family)
                    for matched in ports
                ]
        return Side(direction, tuple(isolating), tuple(allowing))

    def admits(self, entry: Peer, policy: Policy, peer: Endpoint, family: Family | None) -> bool:
        """Whether one item of `from` or `to` matches whoever the subject talks to."""
        match entry:
            case AnyPeer():
                return True
            case PodPeer(pods, namespaces):
                if peer.pod is None:  # "never an external address"
                    return False
                if namespaces is None:  # "pods of the policy's own namespace"
                    return peer.pod.ref.namespace == policy.ref.namespace and selects(pods, peer.pod.labels)
                return selects(namespaces, peer.namespace_labels or {}) and selects(pods, peer.pod.labels)
            case IPBlock():
                address = peer.address(family)
                if address is None or not self.blocks_see(peer):
                    return False
                return within(entry, address)
            case _:
                assert_never(entry)

    def blocks_see(self, peer: Endpoint) -> bool:
        """Whether this plugin holds blocks against such an end at all."""
        if peer.pod is not None:
            return self._profile.blocks_match_pods
        return self._profile.blocks_match_nodes or not self._directory.is_node(peer)
