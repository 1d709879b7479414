"""Which pods a policy or a peer selects, and how that changes from one state to the next."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from netprobe.lab.fabric.state import NetworkState, PolicyPod
from netprobe.model.flow import PodRef
from netprobe.model.labels import Labels, Selector
from netprobe.model.policy import Network, PodPeer, Subject


@dataclass(frozen=True, slots=True)
class Query:
    """Pods of `namespace`, or, with `namespaces`, of the namespaces that this selects.

    Queries for the same pods by the same selectors are equal.
    """

    namespace: str
    namespaces: Selector | None
    pods: Selector
    accounts: Selector | None = None

    @classmethod
    def of(cls, own_namespace: str, wanted: PodPeer | Subject) -> Query:
        """The pods of a peer or a subject, in a policy of that namespace."""
        namespaces = wanted.namespaces
        own = own_namespace if namespaces is None else ""
        return cls(own, namespaces, wanted.pods, wanted.accounts)

    def covers(self, name: str, labels: Labels) -> bool:
        """Whether it looks at pods of this namespace; "" is that of GlobalNetworkSets, without labels."""
        return name == self.namespace if self.namespaces is None else self.namespaces.matches(labels)

    def matches(self, labels: Labels, account: Labels) -> bool:
        """Whether it selects an end with these labels, of a namespace that it covers."""
        return self.pods.matches(labels) and (self.accounts is None or self.accounts.matches(account))


class Selection:
    """The pods of a state, to be selected from; equal queries are answered once.

    External hosts are in no selector. Pods on their node's network are left out too: NetworkPolicy leaves
    these undefined, and Calico treats them as the node.

    `before`: the selection of an earlier state. Its answers are taken over, as the very same objects, except
    those that a changed pod is in, or was in: a change costs what it changes.
    """

    def __init__(self, state: NetworkState, before: Selection | None = None) -> None:
        self.namespaces = state.namespaces
        self._network_sets = state.network_sets
        self.by_namespace: dict[str, dict[PodRef, PolicyPod]] = defaultdict(dict)
        for ref, member in state.members.items():
            if not (member.external or member.host_network):
                self.by_namespace[ref.namespace][ref] = member
        self.answers: dict[Query, tuple[PolicyPod, ...]] = {}
        self._still_true: dict[Query, tuple[PolicyPod, ...]] = {}
        if before is not None:
            gone, come = list(before.without(self)), list(self.without(before))
            for query, known in before.answers.items():
                if not any(before.selects(query, pod) for pod in gone) and not any(
                    self.selects(query, pod) for pod in come
                ):
                    self._still_true[query] = known

    def everyone(self) -> Iterator[PolicyPod]:
        for members in self.by_namespace.values():
            yield from members.values()

    def pods(self, query: Query) -> tuple[PolicyPod, ...]:
        """The pods that a query selects; the same object while they are the same."""
        known = self.answers.get(query)
        if known is None:
            known = self._still_true.get(query)
        if known is None:
            names = [n for n in self.by_namespace if query.covers(n, self.namespaces.get(n, {}))]
            known = tuple(
                member
                for name in names
                for member in self.by_namespace[name].values()
                if query.matches(member.labels, member.account_labels)
            )
        self.answers[query] = known
        return known

    def networks(self, query: Query) -> tuple[Network, ...]:
        """The networks of the network sets that a query selects."""
        return tuple(
            network
            for one in self._network_sets
            if query.covers(one.namespace, self.namespaces.get(one.namespace, {}))
            and query.matches(one.labels, {})
            for network in one.networks
        )

    def without(self, other: Selection) -> Iterator[PolicyPod]:
        """The pods that `other` does not have, or has otherwise, or in a namespace with other labels."""
        for name, members in self.by_namespace.items():
            theirs = other.by_namespace.get(name, {})
            same_labels = self.namespaces.get(name) == other.namespaces.get(name)
            for ref, member in members.items():
                if not same_labels or theirs.get(ref) is not member:
                    yield member

    def selects(self, query: Query, member: PolicyPod) -> bool:
        namespace = member.ref.namespace
        labels = self.namespaces.get(namespace, {})
        return query.covers(namespace, labels) and query.matches(member.labels, member.account_labels)
