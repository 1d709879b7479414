"""What the policies of a cluster mention: all that can tell one pod from another.

A label that no selector names, a value that none of them uses, a port name that no rule uses and an address
on the same side of every network's edge make no difference to any verdict.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from netprobe.model.cluster import Cluster
from netprobe.model.expression import ValuePart, leaves
from netprobe.model.flow import Address, ContainerPort, Family, Pod, ServiceRef
from netprobe.model.labels import CALICO_PREFIX, CHOSEN_LATER, Labels, Selector, labels_of_pod
from netprobe.model.policy import (
    AllPeers,
    Direction,
    IPBlock,
    NamedPort,
    Network,
    Networks,
    NotPeer,
    Peer,
    PodPeer,
    Policy,
    ServicePeer,
    Subject,
)

Words: TypeAlias = dict[str, set[str | None]]
"""Label key -> the values that selectors use; None among them if they look at parts of the value."""
Kept: TypeAlias = tuple[tuple[str, str | None], ...]  # (key, value); None for a value that no selector uses


class Vocabulary:
    """The labels, port names and address edges that matter, found in one pass over the policies.

    Selectors that look at one namespace only (subjects, peers without namespaceSelector) add to the
    vocabulary of that namespace, the others to that of all. `accounts`: some selector looks at service
    accounts.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._everywhere: Words = defaultdict(set)
        self._local: dict[str, Words] = defaultdict(lambda: defaultdict(set))
        self._merged: dict[str, Words] = {}
        self._reserved = self._sets = False
        self.accounts = False
        self.names: set[str] = set()
        self.services: dict[ServiceRef, None] = {}
        self.blocks: dict[Family, set[Network]] = {4: set(), 6: set()}
        self.networks: dict[Family, set[Network]] = {4: set(), 6: set()}
        for policy in cluster.policies:
            self._collect(policy)
        if self._sets:
            for each in cluster.network_sets:
                self._divide(each.networks, self.networks)

    @property
    def by_account(self) -> bool:
        """Whether some policy selects pods by their service accounts, or by labels that tell these."""
        return self.accounts or self._reserved

    def _collect(self, policy: Policy) -> None:
        self._learn_of(policy, policy.subject)
        for direction in Direction:
            for rule in policy.rules(direction) or ():
                for peer in (*rule.peers, rule.own):
                    self._collect_peer(policy, peer)
                for entry in (*rule.ports, *rule.not_ports):
                    if isinstance(entry, NamedPort):
                        self.names.add(entry.name)

    def _collect_peer(self, policy: Policy, peer: Peer) -> None:
        match peer:
            case PodPeer():
                self._sets = self._sets or peer.sets is not False
                self._learn_of(policy, peer)
            case IPBlock():
                self._divide((peer.cidr, *peer.excluded), self.blocks)
            case Networks():
                self._divide((*peer.cidrs, *peer.excluded), self.networks)
            case ServicePeer(service):
                self.services[service] = None
            case AllPeers(peers):
                for each in peers:
                    self._collect_peer(policy, each)
            case NotPeer(negated):
                self._collect_peer(policy, negated)
            case _:  # everyone, and peers that are not pods
                pass

    def _learn_of(self, policy: Policy, wanted: PodPeer | Subject) -> None:
        self.accounts = self.accounts or wanted.accounts is not None
        self._learn(
            self._local[policy.ref.namespace] if wanted.namespaces is None else self._everywhere, wanted.pods
        )

    def _learn(self, words: Words, selector: Selector) -> None:
        for key, value in selector.match_labels:
            words[key].add(value)
        for requirement in selector.requirements:
            words[requirement.key].update(requirement.values)
        for leaf in leaves(selector.expression) if selector.expression is not None else ():
            words[leaf.key].update((None,) if isinstance(leaf, ValuePart) else leaf.values)
            self._reserved = self._reserved or leaf.key.startswith(CALICO_PREFIX)

    @staticmethod
    def _divide(networks: Iterable[Network], edges: Mapping[Family, set[Network]]) -> None:
        for network in networks:
            edges[network.version].add(network)

    def labels(self, namespace: str, labels: Labels) -> Kept:
        """What selectors can see of a pod's labels, in the order of the keys."""
        return tuple(
            [
                (key, value if value in values or value.startswith(CHOSEN_LATER) else None)
                for key, values in self._words(namespace).items()
                if (value := labels.get(key)) is not None
            ]
        )

    def values(self, namespace: str, key: str) -> tuple[str, ...]:
        """The values of a label of that namespace's pods that selectors use."""
        return tuple(sorted(value for value in self._words(namespace).get(key, ()) if value is not None))

    def _words(self, namespace: str) -> Words:
        words = self._merged.get(namespace)
        if words is None:
            words = self._merged[namespace] = _union(self._everywhere, self._local.get(namespace, {}))
        return words

    def labels_of(self, pod: Pod) -> Kept:
        """The same of a pod with all the labels that selectors see."""
        namespace = pod.ref.namespace
        if self._reserved:
            return self.labels(namespace, labels_of_pod(namespace, pod.service_account, pod.labels))
        return self.labels(namespace, pod.labels)

    def ports(self, declared: Iterable[ContainerPort]) -> tuple[object, ...]:
        """The named ports that some rule may look up, as the pod declares them."""
        names = self.names
        return tuple([(port.name, port.number, port.protocol) for port in declared if port.name in names])


def _union(one: Mapping[str, set[str | None]], other: Mapping[str, set[str | None]]) -> Words:
    """All of both, in the order of the keys."""
    found = {key: one.get(key, set()) | other.get(key, set()) for key in sorted({*one, *other})}
    return {key: _Every() if None in values else values for key, values in found.items()}


class _Every(set[str | None]):
    """All values."""

    def __contains__(self, value: object) -> bool:
        return True


class Edges:
    """Divides the addresses of a family into classes that no block tells apart.

    Between two neighbouring edges every block covers all or nothing; stretches that the same blocks cover are
    one class. Costs the number of blocks times the blocks (as bits) once, then a binary search per address.
    """

    def __init__(self, networks: Iterable[Network]) -> None:
        changes: dict[int, int] = defaultdict(int)
        for number, network in enumerate(networks):
            first = int(network.network_address)
            changes[first] |= 1 << number
            changes[first + network.num_addresses] |= 1 << number
        self._starts = sorted(changes)
        covering, known = 0, {0: 0}
        self._classes = [0]
        for start in self._starts:
            covering ^= changes[start]
            self._classes.append(known.setdefault(covering, len(known)))

    def classify(self, address: Address) -> int:
        return self._classes[bisect_right(self._starts, int(address))]
