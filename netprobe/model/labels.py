"""Label selectors, and whether they match. The simulator and the lab share this."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, TypeAlias

from netprobe.model.fastenum import FastEnum

if TYPE_CHECKING:
    from netprobe.model.expression import Expression

Labels: TypeAlias = Mapping[str, str]

NAME_LABEL = "kubernetes.io/metadata.name"
"""The label that the API server keeps on every namespace, equal to its name (docs, Namespaces)."""

CALICO_NAME = "projectcalico.org/name"
CALICO_NAMESPACE = "projectcalico.org/namespace"
CALICO_ACCOUNT = "projectcalico.org/serviceaccount"
CALICO_ORCHESTRATOR = "projectcalico.org/orchestrator"
CALICO_PREFIX = "projectcalico.org/"
_LONGEST = 63  # characters; Calico gives a pod no label for an account with such a name


def labels_of_namespace(name: str, labels: Labels) -> Labels:
    """The labels of a namespace as selectors see them; the server does not let go of NAME_LABEL."""
    return {**labels, NAME_LABEL: name, CALICO_NAME: name}


def labels_of_account(name: str, labels: Labels | None) -> Labels:
    """The labels of a service account as selectors see them; None and {}: it does not exist."""
    return {} if labels is None else {**labels, CALICO_NAME: name}


def labels_of_pod(namespace: str, account: str, labels: Labels) -> Labels:
    """The labels of a pod as selectors see them, with those that Calico adds."""
    own = {CALICO_ACCOUNT: account} if len(account) < _LONGEST else {}
    return {**labels, **own, CALICO_NAMESPACE: namespace, CALICO_ORCHESTRATOR: "k8s"}


def labels_of_set(namespace: str, labels: Labels) -> Labels:
    """The labels of a network set as selectors see them; a global one has the namespace ""."""
    return {**labels, CALICO_NAMESPACE: namespace} if namespace else labels


CHOSEN_LATER = "?"
"""Begins the value of a label that a controller sets and no manifest shows, such as a hash; no real one does.

The rest is a pattern of what it may be: "?*", "?backup-*".
"""


def may_be(chosen: str, value: str) -> bool:
    """Whether a label that is chosen later may have this value."""
    return fnmatchcase(value, chosen.removeprefix(CHOSEN_LATER))


class Operator(FastEnum):
    """The operators of a matchExpressions entry, spelled as the API spells them."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


@dataclass(frozen=True, slots=True)
class Requirement:
    """One entry of matchExpressions; `values` is empty for Exists and DoesNotExist."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()

    def matches(self, labels: Labels) -> bool:
        """Whether labels meet the requirement (apimachinery, labels/selector.go, Requirement.Matches)."""
        match self.operator:
            case Operator.IN:  # "the key must be present"
                return self.key in labels and labels[self.key] in self.values
            case Operator.NOT_IN:  # also if the key is absent
                return self.key not in labels or labels[self.key] not in self.values
            case Operator.EXISTS:
                return self.key in labels
            case Operator.DOES_NOT_EXIST:
                return self.key not in labels

    def __str__(self) -> str:
        match self.operator:
            case Operator.IN:
                return f"{self.key} in ({', '.join(self.values)})"
            case Operator.NOT_IN:
                return f"{self.key} notin ({', '.join(self.values)})"
            case Operator.EXISTS:
                return self.key
            case Operator.DOES_NOT_EXIST:
                return f"!{self.key}"


@dataclass(frozen=True, slots=True)
class Selector:
    """A LabelSelector: matchLabels and matchExpressions; or a boolean expression. All given must hold.

    Without any it selects everything of its kind (types.go, metav1.LabelSelector).
    `match_labels` holds (key, value) pairs, sorted by key.
    """

    match_labels: tuple[tuple[str, str], ...] = ()
    requirements: tuple[Requirement, ...] = ()
    expression: Expression | None = None

    @classmethod
    def of(cls, labels: Labels | None = None, *requirements: Requirement) -> Selector:
        return cls(tuple(sorted((labels or {}).items())), requirements)

    def matches(self, labels: Labels) -> bool:
        """Whether labels meet all of the selector.

        An empty value matches only a present, empty value: an absent key equals nothing.
        """
        return (
            all(key in labels and labels[key] == value for key, value in self.match_labels)
            and all(requirement.matches(labels) for requirement in self.requirements)
            and (self.expression is None or self.expression.matches(labels))
        )

    def may_match(self, labels: Labels) -> bool:
        """Whether labels meet all of the selector for some values of those that a controller chooses."""
        chosen = {key: value for key, value in labels.items() if value.startswith(CHOSEN_LATER)}
        if not chosen:
            return self.matches(labels)
        if not all(may_be(chosen[key], value) for key, value in self.match_labels if key in chosen):
            return False
        wanted = [each for each in self.requirements if each.operator is Operator.IN and each.key in chosen]
        if not all(any(may_be(chosen[each.key], value) for value in each.values) for each in wanted):
            return False
        rest = replace(
            self,
            match_labels=tuple((key, value) for key, value in self.match_labels if key not in chosen),
            requirements=tuple(each for each in self.requirements if each not in wanted),
        )
        return rest.matches(labels)

    def __str__(self) -> str:
        """As `kubectl get -l` writes it, an expression as Calico does; "everything" for an empty selector."""
        parts = [f"{key}={value}" for key, value in self.match_labels]
        parts += [str(requirement) for requirement in self.requirements]
        if self.expression is not None:
            from netprobe.model.expression import write  # which imports this module

            parts.append(write(self.expression))
        return ",".join(parts) or "everything"


EVERYTHING = Selector()
