"""A policy of a kind that netprobe does not evaluate.

It decides flows too, so what netprobe says about the flows of its pods is not final: `simulate`, `explain`
and reports mark these answers with its name. Nothing in it is checked.

Example:

    - apiVersion: cilium.io/v2
    - kind: CiliumNetworkPolicy
    + apiVersion: networking.k8s.io/v1
    + kind: NetworkPolicy
      metadata: {name: api, namespace: production}
      spec:
    -   endpointSelector: {matchLabels: {app: api}}
    -   ingress: [{fromEndpoints: [{matchLabels: {app: web}}]}]
    +   podSelector: {matchLabels: {app: api}}
    +   ingress: [{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 8080}]}]
"""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.lint.finding import Finding, Severity
from netprobe.lint.view import View

SEVERITY = Severity.NOTE


def check(view: View) -> Iterator[Finding]:
    for each in view.all_kinds.unsimulated:
        whose = f"of the pods in {each.ref.namespace}" if each.ref.namespace else "of all pods"
        ends = "from and to nodes" if each.hosts else whose
        yield Finding(
            each.ref,
            "",
            f"{each.ref.kind} is not evaluated: it may decide flows {ends} too",
            origin=each.origin,
            severity=SEVERITY,
        )
