"""Which pods a policy means: label selectors and namespaces, matched here and nowhere else in the lab.

The simulator does the same on its own. That the two agree is evidence only while they share no code.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from netprobe.lab.fabric.state import Member, NetworkState
from netprobe.model.flow import PodRef
from netprobe.model.labels import Labels

Selector: TypeAlias = Mapping[str, Any]


def matches(selector: Selector, labels: Labels) -> bool:
    """metav1.LabelSelector against labels: all of matchLabels and all of matchExpressions must hold.

    NotIn and DoesNotExist match also where the key is absent (apimachinery, labels/selector.go).
    """
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    for requirement in selector.get("matchExpressions") or ():
        key, values = requirement["key"], requirement.get("values") or ()
        match requirement["operator"]:
            case "In":
                holds = key in labels and labels[key] in values
            case "NotIn":
                holds = key not in labels or labels[key] not in values
            case "Exists":
                holds = key in labels
            case "DoesNotExist":
                holds = key not in labels
            case operator:
                raise ValueError(f"{operator!r} is not an operator of a label selector")
        if not holds:
            return False
    return True


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """Which pods are meant: those of `namespace`, or, with `spaces`, of the namespaces that it selects.

    `key` is the same for queries that mean the same pods by the same selectors.
    """

    key: str
    namespace: str
    spaces: Selector | None
    pods: Selector

    @classmethod
    def of_peer(cls, namespace: str, peer: Mapping[str, Any]) -> Query:
        """A peer of a policy of `namespace`.

        Without namespaceSelector, the policy's own namespace; without podSelector, every pod (types.go).
        """
        spaces, pods = peer.get("namespaceSelector"), peer.get("podSelector") or {}
        where = namespace if spaces is None else _canonical(spaces)
        return cls(f"{where} {_canonical(pods)}", namespace, spaces, pods)

    @classmethod
    def of_subjects(cls, policy: Mapping[str, Any]) -> Query:
        """The pods that a policy selects."""
        selector = (policy.get("spec") or {}).get("podSelector") or {}
        return cls.of_peer(policy["metadata"]["namespace"], {"podSelector": selector})

    def names(self, name: str, labels: Labels) -> bool:
        """Whether it means pods of this namespace."""
        return name == self.namespace if self.spaces is None else matches(self.spaces, labels)


class Selection:
    """The pods of a state, to be selected from; equal questions are answered once.

    Left out are external hosts, which are in no selector, and pods that share their node's network:
    NetworkPolicy leaves these undefined, and Calico treats them as the node.

    `before`: the selection of an earlier state. Its answers hold, as the very same objects, but for those
    that a pod that changed is in, or was in: a change costs what it changes.
    """

    def __init__(self, state: NetworkState, before: Selection | None = None) -> None:
        self.namespaces = state.namespaces
        self.by_namespace: dict[str, dict[PodRef, Member]] = defaultdict(dict)
        for ref, member in state.members.items():
            if not (member.external or member.host_network):
                self.by_namespace[ref.namespace][ref] = member
        self.answers: dict[str, tuple[Query, tuple[Member, ...]]] = {}
        self._still_true: dict[str, tuple[Query, tuple[Member, ...]]] = {}
        self.changed = True
        """Whether it has other pods than `before`, or in other namespaces."""
        if before is not None:
            gone, come = list(before.without(self)), list(self.without(before))
            self.changed = bool(gone or come)
            for key, known in before.answers.items():
                query = known[0]
                if not any(before.means(query, pod) for pod in gone) and not any(
                    self.means(query, pod) for pod in come
                ):
                    self._still_true[key] = known

    def everyone(self) -> Iterator[Member]:
        for members in self.by_namespace.values():
            yield from members.values()

    def pods(self, query: Query) -> tuple[Member, ...]:
        """The pods that a query means; the same object while they are the same."""
        known = self.answers.get(query.key) or self._still_true.get(query.key)
        if known is None:
            names = [n for n in self.by_namespace if query.names(n, self.namespaces.get(n, {}))]
            found = tuple(
                member
                for name in names
                for member in self.by_namespace[name].values()
                if matches(query.pods, member.labels)
            )
            known = query, found
        self.answers[query.key] = known
        return known[1]

    def without(self, other: Selection) -> Iterator[Member]:
        """The pods that `other` has not, or otherwise, or in a namespace with other labels."""
        for name, members in self.by_namespace.items():
            theirs = other.by_namespace.get(name, {})
            same_labels = self.namespaces.get(name) == other.namespaces.get(name)
            for ref, member in members.items():
                if not same_labels or theirs.get(ref) is not member:
                    yield member

    def means(self, query: Query, member: Member) -> bool:
        """Whether a query means this pod."""
        namespace = member.ref.namespace
        return query.names(namespace, self.namespaces.get(namespace, {})) and matches(
            query.pods, member.labels
        )


def _canonical(selector: Selector) -> str:
    return json.dumps({key: value for key, value in selector.items() if value}, sort_keys=True)
