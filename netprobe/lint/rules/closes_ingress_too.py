"""An egress policy that also closes ingress, because `policyTypes` is missing.

Without `policyTypes`, every policy applies to ingress, and to egress as well if it has egress rules. So a
policy with only egress rules, intended to limit what its pods connect to, also rejects all connections to
them.

Nothing is reported if another policy isolates the same pods for ingress: then this one closes nothing.

Example:

      apiVersion: networking.k8s.io/v1
      kind: NetworkPolicy
      metadata: {name: api-to-postgres, namespace: production}
      spec:
        podSelector: {matchLabels: {app: api}}
    +   policyTypes: [Egress]
        egress:
          - to: [{podSelector: {matchLabels: {app: postgres}}}]
            ports: [{port: 5432}]
"""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.lint.finding import Finding, Severity
from netprobe.lint.located import written
from netprobe.lint.selector_sets import implies
from netprobe.lint.view import View

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
            "spec.egress",
            "without policyTypes this policy also applies to ingress, and without ingress rules it closes it",
            suggestion="write policyTypes: [Egress], or [Ingress, Egress] if ingress should be closed",
        )
