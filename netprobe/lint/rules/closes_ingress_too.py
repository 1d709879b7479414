"""An egress policy that also closes ingress, because `policyTypes` is missing.

Without `policyTypes` a policy is for Ingress always, and for Egress where it has egress rules. A policy
with egress rules only, meant to limit what its pods call, thus lets nobody call them any more.

The rule is silent where another policy isolates the same pods for ingress: then this one closes nothing
that was open.

Fails:

    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: api-to-postgres, namespace: production}
    spec:
      podSelector: {matchLabels: {app: api}}
      egress:
        - to: [{podSelector: {matchLabels: {app: postgres}}}]
          ports: [{port: 5432}]

Passes:

    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: api-to-postgres, namespace: production}
    spec:
      podSelector: {matchLabels: {app: api}}
      policyTypes: [Egress]
      egress:
        - to: [{podSelector: {matchLabels: {app: postgres}}}]
          ports: [{port: 5432}]
"""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.lint.finding import Finding, Severity
from netprobe.lint.selector_sets import implies
from netprobe.lint.view import View, written

ID = "closes-ingress-too"
SEVERITY = Severity.WARNING


def check(view: View) -> Iterator[Finding]:
    for policy in view.cluster.policies:
        if policy.ingress != () or not policy.egress or not written(policy, "spec.egress"):
            continue
        if written(policy, "spec.policyTypes") or written(policy, "spec.ingress"):
            continue
        neighbours = view.policies[policy.ref.namespace]
        if any(
            other.ingress is not None
            and other is not policy
            and implies(policy.subject.pods, other.subject.pods)
            for other in neighbours
        ):
            continue
        yield Finding.about(
            policy,
            ID,
            SEVERITY,
            "spec.egress",
            "without policyTypes this is a policy for Ingress too; with no ingress rule, it closes ingress",
            suggestion="write policyTypes: [Egress], or [Ingress, Egress] if that is meant",
        )
