"""What the policies of a cluster mention: all that can tell one pod from another.

A label that no selector names, a value that none of them uses, a port name that no rule uses and an address
on the same side of every block's edge make no difference to any verdict.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from netprobe.model.cluster import Cluster
from netprobe.model.flow import Address, ContainerPort, Family
from netprobe.model.labels import Labels, Selector
from netprobe.model.policy import Direction, IPBlock, NamedPort, Network, Networks, PodPeer, Policy

Words: TypeAlias = dict[str, set[str]]  # label key -> the values that selectors use
Kept: TypeAlias = tuple[tuple[str, str | None], ...]  # (key, value); None for a value that no selector uses


class Vocabulary:
    """The labels, port names and address edges that matter, found in one pass over the policies.

    Selectors that look at one namespace only (subjects, peers without namespaceSelector) add to the
    vocabulary of that namespace, the others to that of all.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._everywhere: Words = defaultdict(set)
        self._local: dict[str, Words] = defaultdict(lambda: defaultdict(set))
        self._merged: dict[str, Words] = {}
        self.names: set[str] = set()
        self.blocks: dict[Family, set[Network]] = {4: set(), 6: set()}
        self.networks: dict[Family, set[Network]] = {4: set(), 6: set()}
        for policy in cluster.policies:
            self._collect(policy)

    def _collect(self, policy: Policy) -> None:
        local = self._local[policy.ref.namespace]
        subject = policy.subject
        _learn(local if subject.namespaces is None else self._everywhere, subject.pods)
        for direction in Direction:
            for rule in policy.rules(direction) or ():
                for peer in rule.peers:
                    if isinstance(peer, PodPeer):
                        _learn(local if peer.namespaces is None else self._everywhere, peer.pods)
                    elif isinstance(peer, IPBlock):
                        self.blocks[peer.cidr.version].update((peer.cidr, *peer.excluded))
                    elif isinstance(peer, Networks):
                        for cidr in peer.cidrs:
                            self.networks[cidr.version].add(cidr)
                self.names.update(entry.name for entry in rule.ports if isinstance(entry, NamedPort))

    def labels(self, namespace: str, labels: Labels) -> Kept:
        """What selectors can see of a pod's labels, in the order of the keys."""
        words = self._merged.get(namespace)
        if words is None:
            words = self._merged[namespace] = _union(self._everywhere, self._local.get(namespace, {}))
        if not words:
            return ()
        return tuple(sorted((k, v if v in words[k] else None) for k, v in labels.items() if k in words))

    def ports(self, declared: Iterable[ContainerPort]) -> frozenset[ContainerPort]:
        """The named ports that some rule may look up."""
        return frozenset(port for port in declared if port.name in self.names)


def _learn(words: Words, selector: Selector) -> None:
    for key, value in selector.match_labels:
        words[key].add(value)
    for requirement in selector.requirements:
        words[requirement.key].update(requirement.values)


def _union(one: Mapping[str, set[str]], other: Mapping[str, set[str]]) -> Words:
    return {key: one.get(key, set()) | other.get(key, set()) for key in {*one, *other}}


class Edges:
    """Divides the addresses of a family into classes that no block tells apart.

    Between two neighbouring edges every block covers all or nothing; stretches that the same blocks cover are
    one class. Costs the number of blocks times the blocks (as bits) once, then a binary search an address.
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
