"""A selector on a label that the next rollout or upgrade changes.

`pod-template-hash`, `controller-revision-hash` and the uid and name labels of Jobs are made anew by
controllers; `helm.sh/chart` and `app.kubernetes.io/version` carry a version. The policy works today, and
after the next deployment it selects nothing: the pods are open, or cut off, without a word.

Fails:

    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: api, namespace: production}
    spec:
      podSelector: {matchLabels: {app: api, pod-template-hash: 6d4b75cb6d}}
      policyTypes: [Ingress]

Passes:

    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: api, namespace: production}
    spec:
      podSelector: {matchLabels: {app: api}}
      policyTypes: [Ingress]
"""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.lint.finding import Finding, Severity
from netprobe.lint.selector_sets import ANYTHING, terms
from netprobe.lint.view import View, all_selectors
from netprobe.model.text import listed

ID = "volatile-label"
SEVERITY = Severity.WARNING
VOLATILE = frozenset(
    {
        "pod-template-hash",
        "controller-revision-hash",
        "pod-template-generation",
        "controller-uid",
        "batch.kubernetes.io/controller-uid",
        "helm.sh/chart",
        "chart",
        "app.kubernetes.io/version",
    }
)


def check(view: View) -> Iterator[Finding]:
    for policy, path, selector in all_selectors(view):
        asked = terms(selector)
        keys = sorted(
            key for key in VOLATILE & asked.keys() if not asked[key].absent and asked[key] != ANYTHING
        )
        pinned = [key for key in keys if not asked[key].complement]
        if pinned:
            yield Finding.about(
                policy,
                ID,
                SEVERITY,
                path,
                f"the value of {listed(pinned)} changes with a rollout or an upgrade, and the selector "
                "then matches nothing",
                suggestion="select by labels that stay, such as app or app.kubernetes.io/name",
            )
