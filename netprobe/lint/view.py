"""A cluster as rules see it: with indexes, and with what is known about it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import PurePath
from typing import Any, TypeVar

from netprobe.lint.cover import peers_meet
from netprobe.lint.indexes import AddressIndex, PodIndex
from netprobe.lint.known import ALWAYS_THERE, NOTHING, Known
from netprobe.lint.located import LocatedRule, located_rules, reached
from netprobe.lint.selector_sets import implies
from netprobe.lint.walk import Walks
from netprobe.manifests.change import value_at
from netprobe.manifests.kinds import WORKLOADS
from netprobe.manifests.repeats import Repeat
from netprobe.model.cluster import Cluster, by_namespace
from netprobe.model.flow import ContainerPort, Pod, PodRef
from netprobe.model.labels import EVERYTHING, NAME_LABEL, Labels, Selector
from netprobe.model.policy import (
    NETWORK_POLICY,
    Direction,
    IPBlock,
    Origin,
    Peer,
    PodPeer,
    Policy,
    PolicyRef,
    Rule,
    Tier,
)
from netprobe.simulate import CALICO, Evaluation, evaluate
from netprobe.simulate.compared import Ports, outside
from netprobe.simulate.tiers import in_order, unplaced

P = TypeVar("P", bound=Peer)


def folder(file: str) -> str:
    """The folder of a file: the files of one folder belong together."""
    return str(PurePath(file).parent)


@dataclass(frozen=True, slots=True)
class Refused:
    """One error of the API server's validation of a policy."""

    ref: PolicyRef
    path: str
    message: str
    origin: Origin | None = None


class View:
    """Look-ups in one cluster, each computed once. Pods are in the order of the cluster.

    Most rules are about NetworkPolicies: `cluster`, `policies` and `rules` have no others. `all_kinds` is the
    cluster with the policies of every kind, and `sequence` their order.
    """

    def __init__(
        self,
        cluster: Cluster,
        known: Known = NOTHING,
        *,
        refused: Iterable[Refused] = (),
        repeated: Iterable[Policy] = (),
        variants: Iterable[Repeat] = (),
        possible: Iterable[Pod] = (),
        webhooks: Iterable[Mapping[str, Any]] = (),
        annotations: Mapping[PolicyRef, Labels] | None = None,
    ) -> None:
        self.refused = tuple(refused)
        self.repeated = tuple(repeated)
        self.variants = tuple(variants)
        self.possible = (*cluster.finished.values(), *possible)
        self.webhooks = tuple(webhooks)
        self.annotations = annotations or {}
        self.all_kinds = cluster
        self.cluster = cluster = _with_network_policies_only(cluster)
        self.known = known
        self.policies = by_namespace(cluster.policies)
        self.labels: dict[str, Labels] = {
            name: {**namespace.labels, NAME_LABEL: name} for name, namespace in cluster.namespaces.items()
        }
        self.services = by_namespace(cluster.services.values())
        self._pods = {name: PodIndex(pods) for name, pods in by_namespace(cluster.pods.values()).items()}
        self._all_pods = PodIndex(cluster.pods.values())
        self._addresses: AddressIndex[PodRef] | None = None
        self._namespaces: dict[Selector, tuple[str, ...]] = {}
        self.subject_bits: dict[int, int] = {}

    def varied(self, policies: tuple[Policy, ...], annotations: Mapping[PolicyRef, Labels]) -> View:
        """The same cluster with other policies; look-ups of pods are shared."""
        other = copy(self)
        other.refused = ()
        other.repeated = ()
        other.variants = ()
        other.annotations = annotations
        other.subject_bits = {}
        other.all_kinds = replace(self.all_kinds, policies=policies)
        other.cluster = _with_network_policies_only(other.all_kinds)
        other.policies = by_namespace(other.cluster.policies)
        for name, value in vars(View).items():
            if isinstance(value, cached_property):
                other.__dict__.pop(name, None)
        return other

    @cached_property
    def sequence(self) -> Sequence[tuple[Tier, Policy]]:
        """The policies of all kinds with their tiers, in the order of evaluation."""
        policies = self.all_kinds.policies
        return [(tier, policies[number]) for tier, number in in_order(self.all_kinds, CALICO)]

    def subject_peer(self, policy: Policy) -> PodPeer:
        """The pods that a policy of any kind applies to."""
        subject = policy.subject
        own = Selector.of({NAME_LABEL: policy.ref.namespace})
        return PodPeer(subject.pods, subject.namespaces or own, subject.accounts)

    @cached_property
    def evaluation(self) -> Evaluation:
        """All kinds of policies, evaluated by groups of pods that no policy tells apart."""
        externals = outside((self.all_kinds,), self.all_kinds.families)
        return evaluate(self.all_kinds, CALICO, externals=externals)

    @cached_property
    def walks(self) -> Walks:
        return Walks(self.evaluation, Ports(self.all_kinds, self.all_kinds))

    def _subjects_of(self, policy: Policy) -> int:
        """The groups of pods that a policy of any kind applies to, as bits."""
        known = self.subject_bits.get(id(policy))
        if known is None:
            known = self.subject_bits[id(policy)] = self.evaluation.universe.subjects(policy)
        return known

    def share_pods(self, one: Policy, other: Policy) -> bool:
        """Whether some pod may be subject to both policies; if pods are known, whether one is."""
        first, second = self._subjects_of(one), self._subjects_of(other)
        if first and second:
            return bool(first & second)
        return peers_meet(self.subject_peer(one), self.subject_peer(other))

    @cached_property
    def unplaced(self) -> frozenset[str]:
        """The tiers whose place is not known: they come after all others in `sequence`."""
        return unplaced(self.all_kinds)

    @cached_property
    def ranked(self) -> Sequence[tuple[Tier, Policy]]:
        """The part of `sequence` that has actions and an order: kinds other than NetworkPolicy."""
        return [(tier, policy) for tier, policy in self.sequence if policy.kind != NETWORK_POLICY]

    @cached_property
    def ordered(self) -> Sequence[Policy]:
        """The policies of other kinds than NetworkPolicy, in the order of evaluation."""
        return [policy for _, policy in self.ranked]

    def source(self, policy: Policy) -> Mapping[str, Any] | None:
        """The object of a policy as it was read; None if it is not known."""
        found = self.cluster.sources.get((policy.kind, str(policy.ref)))
        known = found is not None and found.origin in (None, policy.origin)
        return found.object if found is not None and known else None

    def source_of(self, located: LocatedRule, *steps: str | int) -> Any:
        """What the manifest has at a place in a rule; None for nothing, or if the manifest is not known."""
        where = ("spec", located.direction.value, located.index, *steps)
        return value_at(self.source(located.policy), where)

    def selects_all_of(self, other: Policy, policy: Policy) -> bool:
        """Whether a policy of the same namespace selects every pod that `policy` selects."""
        own = self._subjects_of(policy)
        if own:
            return not own & ~self._subjects_of(other)
        return other is policy or implies(policy.subject.pods, other.subject.pods)

    def rules_beside(self, policy: Policy, direction: Direction) -> list[Rule]:
        """All rules of a direction that apply to every pod that a policy selects."""
        return [
            rule
            for other in self.policies.get(policy.ref.namespace, ())
            if other.rules(direction) and self.selects_all_of(other, policy)
            for rule in other.rules(direction) or ()
        ]

    def may_select(self, namespaces: Iterable[str], selector: Selector) -> bool:
        """Whether other pods may match: finished ones, those of variants, or by a label that is not known."""
        homes = set(namespaces)
        if any(pod.ref.namespace in homes and selector.matches(pod.labels) for pod in self.possible):
            return True
        return any(selector.may_match(pod.labels) for name in homes for pod in self.all_pods(name))

    @cached_property
    def workload_labels(self) -> Mapping[str, list[tuple[str, Labels]]]:
        """By namespace, the workloads, as "CronJob/backup", with the labels that they have themselves."""
        found: dict[str, list[tuple[str, Labels]]] = defaultdict(list)
        for (kind, name), source in self.cluster.sources.items():
            metadata = source.object.get("metadata") if kind in WORKLOADS else None
            labels = metadata.get("labels") if isinstance(metadata, Mapping) else None
            if isinstance(labels, Mapping) and labels:
                namespace, _, own = name.partition("/")
                found[namespace].append((f"{kind}/{own}", labels))
        return found

    @cached_property
    def rules(self) -> Sequence[LocatedRule]:
        return [located for policy in self.cluster.policies for located in located_rules(policy)]

    def all_peers(self, kind: type[P]) -> Iterator[tuple[LocatedRule, int, P]]:
        """(rule, index, peer) of every peer of one kind."""
        for located in self.rules:
            for index, peer in enumerate(located.rule.peers):
                if isinstance(peer, kind):
                    yield located, index, peer

    def pods(self, namespace: str, selector: Selector) -> tuple[Pod, ...]:
        """The known pods of a namespace that a selector matches, including hostNetwork pods."""
        index = self._pods.get(namespace)
        return index.select(selector) if index else ()

    def pods_anywhere(self, selector: Selector) -> tuple[Pod, ...]:
        """The known pods of all namespaces that a selector matches."""
        return self._all_pods.select(selector)

    def pods_inside(self, block: IPBlock) -> list[PodRef]:
        """The known pods with an address in a block, without hostNetwork pods, which have their node's."""
        if self._addresses is None:
            pods = (pod for pod in self.cluster.pods.values() if not pod.host_network)
            self._addresses = AddressIndex((address, pod.ref) for pod in pods for address in pod.addresses)
        return self._addresses.inside(block)

    def all_pods(self, namespace: str) -> tuple[Pod, ...]:
        return self.pods(namespace, EVERYTHING)

    def subjects(self, policy: Policy) -> tuple[Pod, ...]:
        return self.pods(policy.ref.namespace, policy.subject.pods)

    def namespaces(self, selector: Selector) -> tuple[str, ...]:
        """The namespaces whose known labels a selector matches."""
        if selector not in self._namespaces:
            self._namespaces[selector] = tuple(
                name for name, labels in self.labels.items() if selector.matches(labels)
            )
        return self._namespaces[selector]

    def peers(self, policy: Policy, peer: PodPeer) -> Iterator[Pod]:
        """The known pods that a peer matches."""
        for index in self._indexes(policy, peer.namespaces):
            yield from index.select(peer.pods)

    def _indexes(self, policy: Policy, namespaces: Selector | None) -> Iterator[PodIndex]:
        """The indexes in which the pods of a peer are looked up."""
        if namespaces == EVERYTHING:
            yield self._all_pods
            return
        for name in [policy.ref.namespace] if namespaces is None else self.namespaces(namespaces):
            if name in self._pods:
                yield self._pods[name]

    def matches_nobody(self, policy: Policy, peer: PodPeer) -> bool:
        """Whether a peer matches no known pod."""
        return next(self.peers(policy, peer), None) is None

    def destinations(self, located: LocatedRule) -> tuple[Pod, ...]:
        """The known destination pods of a rule; () for egress to more than pods."""
        peers = reached(located)
        if len(peers) == 1 and peers[0].namespaces is None:
            return self.pods(located.policy.ref.namespace, peers[0].pods)
        found = {pod.ref: pod for peer in peers for pod in self.peers(located.policy, peer)}
        return tuple(found.values())

    def declared(self, located: LocatedRule) -> frozenset[ContainerPort]:
        """The container ports of the destinations of a rule."""
        return frozenset().union(
            *(
                index.declared(peer.pods)
                for peer in reached(located)
                for index in self._indexes(located.policy, peer.namespaces)
            )
        )

    def has_pods(self, namespace: str) -> bool:
        """Whether any pods of a namespace are known."""
        return namespace in self._pods

    def knows_pods(self, namespace: str) -> bool:
        """Whether pods of the namespace that are not in the input do not exist.

        A dump of a cluster with its pods contains some in kube-system.
        """
        if self.known.whole and self.has_pods(ALWAYS_THERE):
            return True
        return self.has_pods(namespace) and not self.known.foreign

    def knows_labels(self, namespace: str) -> bool:
        return self.known.whole or namespace in self.known.namespaces


def _with_network_policies_only(cluster: Cluster) -> Cluster:
    return replace(cluster, policies=tuple(p for p in cluster.policies if p.kind == NETWORK_POLICY))


def all_selectors(view: View) -> Iterator[tuple[Policy, str, Selector]]:
    """(policy, path, selector) of every selector: subjects first, then the peers of every rule in effect."""
    for policy in view.cluster.policies:
        yield policy, "spec.podSelector", policy.subject.pods
    for located in view.rules:
        for index, peer in enumerate(located.rule.peers):
            if isinstance(peer, PodPeer):
                path = located.peer_path(index)
                yield located.policy, f"{path}.podSelector", peer.pods
                if peer.namespaces is not None:
                    yield located.policy, f"{path}.namespaceSelector", peer.namespaces


def workloads(pods: Iterable[Pod]) -> list[str]:
    """ "Deployment/web" for pods of a workload, "pod/web" for others; each once."""
    return list(dict.fromkeys(pod.workload or f"pod/{pod.ref.name}" for pod in pods))
