"""Rules about peers in other namespaces."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from netprobe.lint.located import LocatedRule, written
from netprobe.lint.rule import Finding, Severity, lint_rule
from netprobe.lint.selector_sets import impossible, keys, only
from netprobe.lint.view import View
from netprobe.manifests.change import Operation
from netprobe.model.labels import EVERYTHING, NAME_LABEL, Selector
from netprobe.model.policy import PodPeer
from netprobe.model.text import listed

WRONG_KEYS = (
    "name",
    "namespace",
    "ns",
    "metadata.name",
    "kubernetes.io/name",
    "kubernetes.io/metadata/name",
)
BUILT_IN_NAMESPACES = frozenset({"default", "kube-system", "kube-public", "kube-node-lease"})


@lint_rule(Severity.WARNING)
def namespace_by_name(view: View) -> Iterator[Finding]:
    """A namespaceSelector with a label `name`, which namespaces do not have by default.

    `matchLabels: {name: monitoring}` matches namespaces that were labelled with `name=monitoring`. The
    label that every namespace has, and that always contains its name, is `kubernetes.io/metadata.name`
    (Kubernetes 1.21 and later).

    It is reported if a namespace with that name is known and does not have the label, and as a note for
    Kubernetes' own namespaces, which have the label only if an administrator added it. `--fix` uses the label
    that is always there.

    Example:

          {apiVersion: v1, kind: Namespace, metadata: {name: monitoring}}
          ---
          apiVersion: networking.k8s.io/v1
          kind: NetworkPolicy
          metadata: {name: allow-monitoring, namespace: production}
          spec:
            podSelector: {}
            ingress:
        -     - from: [{namespaceSelector: {matchLabels: {name: monitoring}}}]
        +     - from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}]
                ports: [{port: 9090}]
    """
    for located, index, peer in view.all_peers(PodPeer):
        key = misnamed(view, peer.namespaces) if peer.namespaces is not None else None
        if peer.namespaces is None or key is None:
            continue
        name = only(peer.namespaces, key)
        sure = name in view.known.namespaces or view.known.whole
        yield Finding.about(
            located.policy,
            f"{located.peer_path(index)}.namespaceSelector",
            f"namespaceSelector requires the label {key}={name}, which namespace {name} does not have"
            if sure
            else f"namespace {name} has the label {key}={name} only if an administrator added it",
            suggestion=f"select it by {NAME_LABEL}: {name}, which it always has",
            severity=Severity.WARNING if sure else Severity.NOTE,
            fix=_use_name_label(located, index, peer.namespaces, key),
        )


def misnamed(view: View, selector: Selector) -> str | None:
    """The key that is wrongly used instead of `kubernetes.io/metadata.name`; None if no key is."""
    for key in WRONG_KEYS:
        name = only(selector, key) if key in keys(selector) else None
        if name is None:
            continue
        if any(key in labels for labels in view.labels.values()):
            return None  # namespaces do have such labels here
        if name in view.known.namespaces or (view.known.whole and name in view.labels):
            return key
        if name in BUILT_IN_NAMESPACES and key == "name":
            return key
    return None


def _use_name_label(located: LocatedRule, index: int, selector: Selector, key: str) -> tuple[Operation, ...]:
    def at(*keys: str | int) -> str:
        return located.pointer(located.list_name, index, "namespaceSelector", *keys)

    if key in dict(selector.match_labels):
        return ({"op": "move", "from": at("matchLabels", key), "path": at("matchLabels", NAME_LABEL)},)
    return tuple(
        {"op": "replace", "path": at("matchExpressions", number, "key"), "value": NAME_LABEL}
        for number, requirement in enumerate(selector.requirements)
        if requirement.key == key
    )


@dataclass(frozen=True, slots=True)
class Pair:
    """Two adjacent items in a list of peers, `first` and the next, that look like one split in two."""

    first: int
    namespaces: Selector
    pods: Selector


@lint_rule(Severity.WARNING)
def or_for_and(view: View) -> Iterator[Finding]:
    """Two peers where one was intended: the items of `from` and `to` are alternatives.

        - namespaceSelector: ...          - namespaceSelector: ...
        - podSelector: ...                  podSelector: ...
        every pod of those namespaces,    the matching pods
        OR matching pods of this one      of those namespaces

    The two differ by one dash, and the left one allows far more. It can be correct, so it is reported only if
    it looks like a mistake: a lone namespaceSelector next to a lone podSelector. If the pods are known, it is
    reported if pods in those namespaces have the labels (then AND would have selected some of them), or if no
    pod in the policy's own namespace does. Nothing is reported if the podSelector clearly means pods of the
    policy's own namespace.

    Example:

          apiVersion: networking.k8s.io/v1
          kind: NetworkPolicy
          metadata: {name: allow-prometheus, namespace: production}
          spec:
            podSelector: {}
            ingress:
              - from:
                  - namespaceSelector: {matchLabels: {team: monitoring}}
        -         - podSelector: {matchLabels: {app: prometheus}}
        +           podSelector: {matchLabels: {app: prometheus}}
                ports: [{port: 9187}]
    """
    for located in view.rules:
        for pair in pairs(view, located):
            yield Finding.about(
                located.policy,
                located.peer_path(pair.first),
                f"two items of `{located.list_name}` are OR: every pod in namespaces {pair.namespaces}, and "
                f"pods {pair.pods} of {located.policy.ref.namespace} itself; should it be pods {pair.pods} "
                "in those namespaces?",
                suggestion="if so, make them one item: remove the dash before the second selector",
            )


def pairs(view: View, located: LocatedRule) -> Iterator[Pair]:
    """The pairs that look like a mistake. No item is in two of them."""
    taken = -1
    for first in range(len(located.rule.peers) - 1):
        pair = _lone_selectors(located, first, first + 1) or _lone_selectors(located, first + 1, first)
        if first != taken and pair and _is_suspicious(view, located, pair):
            taken = first + 1
            yield pair


def _lone_selectors(located: LocatedRule, one: int, other: int) -> Pair | None:
    """A lone namespaceSelector at `one` and a lone podSelector at `other`."""
    match located.rule.peers[one], located.rule.peers[other]:
        case PodPeer(pods=everything, namespaces=Selector() as namespaces), PodPeer(
            pods=pods, namespaces=None
        ):
            if everything != EVERYTHING or pods == EVERYTHING or impossible(pods) or impossible(namespaces):
                return None
            if written(located.policy, f"{located.peer_path(one)}.podSelector"):
                return None  # `podSelector: {}` next to it: the author knows the difference
            return Pair(min(one, other), namespaces, pods)
        case _:
            return None


def _is_suspicious(view: View, located: LocatedRule, pair: Pair) -> bool:
    own = located.policy.ref.namespace
    if pair.namespaces == EVERYTHING:
        return True  # the podSelector would add nothing
    if only(pair.namespaces, NAME_LABEL) == own:
        return False
    if not view.matches_nobody(located.policy, PodPeer(pair.pods, pair.namespaces)):
        return True
    if any(view.has_pods(name) for name in view.namespaces(pair.namespaces)):
        return False  # the pods there are known, and none has the labels
    if view.knows_pods(own):
        return not view.pods(own, pair.pods)
    return len(located.rule.peers) == 2


@lint_rule(Severity.WARNING)
def other_namespace_pods(view: View) -> Iterator[Finding]:
    """A podSelector alone, intended for pods of another namespace.

    Without a namespaceSelector in the same item, a podSelector matches only pods of the policy's own
    namespace. It is reported if the pods are known: none in the policy's namespace has the labels, and pods
    elsewhere do.

    Example:

          {apiVersion: v1, kind: Pod, metadata: {name: pg, namespace: database, labels: {app: postgres}}}
          ---
          {apiVersion: v1, kind: Pod, metadata: {name: api, namespace: backend, labels: {app: api}}}
          ---
          apiVersion: networking.k8s.io/v1
          kind: NetworkPolicy
          metadata: {name: allow-api, namespace: database}
          spec:
            podSelector: {matchLabels: {app: postgres}}
            ingress:
        -     - from: [{podSelector: {matchLabels: {app: api}}}]
        +     - from:
        +         - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: backend}}
        +           podSelector: {matchLabels: {app: api}}
                ports: [{port: 5432}]
    """
    for located, index, peer in view.all_peers(PodPeer):
        homes = elsewhere(view, located, index)
        if homes:
            home = f"{{{NAME_LABEL}: {homes[0]}}}"
            yield Finding.about(
                located.policy,
                f"{located.peer_path(index)}.podSelector",
                f"podSelector {peer.pods} alone matches only pods of {located.policy.ref.namespace}, and "
                f"there are none; such pods are in {listed(homes)}",
                suggestion=f"put namespaceSelector: {{matchLabels: {home}}} into the same item"
                if len(homes) == 1
                else "put a namespaceSelector for the right one into the same item",
            )


def elsewhere(view: View, located: LocatedRule, index: int) -> list[str]:
    """Other namespaces with pods that a podSelector alone would match; [] if it matches in its own."""
    peer = located.rule.peers[index]
    own = located.policy.ref.namespace
    if not isinstance(peer, PodPeer) or peer.namespaces is not None:
        return []
    if peer.pods == EVERYTHING or impossible(peer.pods):
        return []
    if not view.knows_pods(own) or view.pods(own, peer.pods):
        return []
    if any(index in {pair.first, pair.first + 1} for pair in pairs(view, located)):
        return []
    return sorted({pod.ref.namespace for pod in view.pods_anywhere(peer.pods)} - {own})


@lint_rule(Severity.WARNING)
def unmatched_namespace(view: View) -> Iterator[Finding]:
    """A namespaceSelector that matches no namespace: the peer allows nobody.

    Selectors match the labels of namespaces, not their names. Namespaces have no labels by default except
    `kubernetes.io/metadata.name`; all others have to be added.

    It is reported if the namespaces are known: in a dump of a cluster (one that contains `kube-system`), or
    if the input contains other namespaces than the policy's own, and an object for every one of them. A
    reference by `kubernetes.io/metadata.name` to a namespace outside the input is not reported.

    Example:

          {apiVersion: v1, kind: Namespace, metadata: {name: production}}
          ---
        - {apiVersion: v1, kind: Namespace, metadata: {name: frontend, labels: {team: web}}}
        + {apiVersion: v1, kind: Namespace, metadata: {name: frontend, labels: {tier: frontend}}}
          ---
          apiVersion: networking.k8s.io/v1
          kind: NetworkPolicy
          metadata: {name: allow-frontend, namespace: production}
          spec:
            podSelector: {}
            ingress:
              - from: [{namespaceSelector: {matchLabels: {tier: frontend}}}]
                ports: [{port: 8080}]
    """
    for located, index, peer in view.all_peers(PodPeer):
        selector = peer.namespaces
        if selector is None or impossible(selector):
            continue
        if view.namespaces(selector) or misnamed(view, selector):
            continue
        if _is_conclusive(view, selector, located.policy.ref.namespace):
            yield Finding.about(
                located.policy,
                f"{located.peer_path(index)}.namespaceSelector",
                f"namespaceSelector {selector} matches none of the given namespaces: "
                + _given_labels(view, selector),
                suggestion=f"add the label to the namespaces, or select them by {NAME_LABEL}",
            )


def _is_conclusive(view: View, selector: Selector, own: str) -> bool:
    if view.known.whole:
        return True
    others = view.labels.keys() - {own}
    return bool(others) and others <= view.known.namespaces and NAME_LABEL not in keys(selector)


def _given_labels(view: View, selector: Selector) -> str:
    """The keys of the selector and their values on the namespaces."""
    parts = []
    for key in sorted(keys(selector)):
        values = sorted({labels[key] for labels in view.labels.values() if key in labels})
        if key == NAME_LABEL:
            parts.append("there is no namespace with that name")
        elif values:
            parts.append(f"the values of the label {key} are {listed(values)}")
        else:
            parts.append(f"none has the label {key}")
    return "; ".join(parts)
