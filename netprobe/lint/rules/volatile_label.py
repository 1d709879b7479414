"""A selector on a label that changes with the next rollout or upgrade.

The labels `pod-template-hash`, `controller-revision-hash` and the uid and name of a Job change by
themselves; `helm.sh/chart` and `app.kubernetes.io/version` contain a version. The policy works today, and
after the next deployment it selects nothing: its pods are open, or cut off, without any message.

Example:

      apiVersion: networking.k8s.io/v1
      kind: NetworkPolicy
      metadata: {name: api, namespace: production}
      spec:
    -   podSelector: {matchLabels: {app: api, pod-template-hash: 6d4b75cb6d}}
    +   podSelector: {matchLabels: {app: api}}
        policyTypes: [Ingress]
"""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.lint.finding import Finding, Severity
from netprobe.lint.selector_sets import ANYTHING, terms
from netprobe.lint.view import View, all_selectors
from netprobe.manifests.workload import ROLLOUT_LABELS
from netprobe.model.text import listed

SEVERITY = Severity.WARNING
VOLATILE = ROLLOUT_LABELS | {"helm.sh/chart", "chart", "app.kubernetes.io/version"}


def check(view: View) -> Iterator[Finding]:
    for policy, path, selector in all_selectors(view):
        found = terms(selector)
        keys = sorted(
            key for key in VOLATILE & found.keys() if not found[key].absent and found[key] != ANYTHING
        )
        pinned = [key for key in keys if not found[key].complement]
        if pinned:
            yield Finding.about(
                policy,
                path,
                f"the value of {listed(pinned)} changes with a rollout or an upgrade, and then the selector "
                "matches nothing",
                suggestion="select by stable labels, such as app or app.kubernetes.io/name",
            )
