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

from __future__ import annotations

from collections.abc import Iterator

from netprobe.lint.finding import Finding, Severity
from netprobe.lint.located import LocatedRule
from netprobe.lint.selector_sets import keys, only
from netprobe.lint.view import View
from netprobe.manifests.change import Operation
from netprobe.model.labels import NAME_LABEL, Selector
from netprobe.model.policy import PodPeer

SEVERITY = Severity.WARNING
KEYS = ("name", "namespace", "ns", "metadata.name", "kubernetes.io/name", "kubernetes.io/metadata/name")
BUILT_IN = frozenset({"default", "kube-system", "kube-public", "kube-node-lease"})


def check(view: View) -> Iterator[Finding]:
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
            severity=SEVERITY if sure else Severity.NOTE,
            fix=_fix(located, index, peer.namespaces, key),
        )


def misnamed(view: View, selector: Selector) -> str | None:
    """The key that is used instead of `kubernetes.io/metadata.name`; None if there is none."""
    for key in KEYS:
        name = only(selector, key) if key in keys(selector) else None
        if name is None:
            continue
        if any(key in labels for labels in view.labels.values()):
            return None  # namespaces do have such labels here
        if name in view.known.namespaces or (view.known.whole and name in view.labels):
            return key
        if name in BUILT_IN and key == "name":
            return key
    return None


def _fix(located: LocatedRule, index: int, selector: Selector, key: str) -> tuple[Operation, ...]:
    def at(*keys: str | int) -> str:
        return located.pointer(located.list_name, index, "namespaceSelector", *keys)

    if key in dict(selector.match_labels):
        return ({"op": "move", "from": at("matchLabels", key), "path": at("matchLabels", NAME_LABEL)},)
    return tuple(
        {"op": "replace", "path": at("matchExpressions", number, "key"), "value": NAME_LABEL}
        for number, requirement in enumerate(selector.requirements)
        if requirement.key == key
    )
