"""Which pods a policy means: label selectors and namespaces, matched here and nowhere else in the lab.

The simulator does the same on its own. That the two agree is evidence only while they share no code.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from netprobe.lab.fabric.state import Member, NetworkState
from netprobe.model.labels import Labels


def matches(selector: Mapping[str, Any], labels: Labels) -> bool:
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


class Selection:
    """The pods of a state, to be selected from; equal questions are answered once.

    Left out are external hosts, which are in no selector, and pods that share their node's network:
    NetworkPolicy leaves these undefined, and Calico treats them as the node.
    """

    def __init__(self, state: NetworkState) -> None:
        self._namespaces = state.namespaces
        self._pods: dict[str, list[Member]] = defaultdict(list)
        for member in state.members.values():
            if not (member.external or member.host_network):
                self._pods[member.ref.namespace].append(member)
        self._answers: dict[str, tuple[Member, ...]] = {}

    def everyone(self) -> tuple[Member, ...]:
        return tuple(member for members in self._pods.values() for member in members)

    def subjects(self, policy: Mapping[str, Any]) -> tuple[Member, ...]:
        """The pods that a policy selects."""
        return self.peers(policy["metadata"]["namespace"], {"podSelector": self.selector_of(policy)})

    @staticmethod
    def selector_of(policy: Mapping[str, Any]) -> Mapping[str, Any]:
        return (policy.get("spec") or {}).get("podSelector") or {}

    def peers(self, namespace: str, peer: Mapping[str, Any]) -> tuple[Member, ...]:
        """The pods that a peer of a policy of `namespace` means.

        Without namespaceSelector, the policy's own namespace; without podSelector, every pod (types.go).
        """
        key = self.key(namespace, peer)
        if key not in self._answers:
            spaces, pods = peer.get("namespaceSelector"), peer.get("podSelector") or {}
            names = (
                [namespace]
                if spaces is None
                else [name for name in self._pods if matches(spaces, self._namespaces.get(name, {}))]
            )
            self._answers[key] = tuple(
                member
                for name in names
                for member in self._pods.get(name, ())
                if matches(pods, member.labels)
            )
        return self._answers[key]

    @staticmethod
    def key(namespace: str, peer: Mapping[str, Any]) -> str:
        """The same text for peers that mean the same pods by the same selectors."""
        spaces = peer.get("namespaceSelector")
        where = namespace if spaces is None else _canonical(spaces)
        return f"{where} {_canonical(peer.get('podSelector') or {})}"


def _canonical(selector: Mapping[str, Any]) -> str:
    return json.dumps({key: value for key, value in selector.items() if value}, sort_keys=True)
