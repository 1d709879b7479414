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

from __future__ import annotations

from collections.abc import Iterator

from netprobe.lint.finding import Finding, Severity
from netprobe.lint.rules.namespace_by_name import misnamed
from netprobe.lint.selector_sets import impossible, keys
from netprobe.lint.view import View
from netprobe.model.labels import NAME_LABEL, Selector
from netprobe.model.policy import PodPeer
from netprobe.model.text import listed

SEVERITY = Severity.WARNING


def check(view: View) -> Iterator[Finding]:
    for located, index, peer in view.all_peers(PodPeer):
        selector = peer.namespaces
        if selector is None or impossible(selector):
            continue
        if view.namespaces(selector) or misnamed(view, selector):
            continue
        if _conclusive(view, selector, located.policy.ref.namespace):
            yield Finding.about(
                located.policy,
                f"{located.peer_path(index)}.namespaceSelector",
                f"namespaceSelector {selector} matches none of the given namespaces: {_why(view, selector)}",
                suggestion=f"add the label to the namespaces, or select them by {NAME_LABEL}",
            )


def _conclusive(view: View, selector: Selector, own: str) -> bool:
    if view.known.whole:
        return True
    others = view.labels.keys() - {own}
    return bool(others) and others <= view.known.namespaces and NAME_LABEL not in keys(selector)


def _why(view: View, selector: Selector) -> str:
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
