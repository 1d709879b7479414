"""A section that `policyTypes` leaves out: written, validated, without effect.

`policyTypes: [Ingress]` beside an `egress` section closes and opens nothing for egress. The same trap
without `policyTypes`: the field then means Ingress, and Egress only where there is an egress rule, so that
`egress: []`, meant to close the egress, does nothing.

`--fix` adds the missing type where the section has rules. An empty list under explicit policyTypes is a
note: programs that write manifests leave such lists behind.

Fails:

    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: api, namespace: production}
    spec:
      podSelector: {matchLabels: {app: api}}
      policyTypes: [Ingress]
      ingress: [{ports: [{port: 8080}]}]
      egress:
        - to: [{podSelector: {matchLabels: {app: postgres}}}]
          ports: [{port: 5432}]

Fails:

    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: close-egress, namespace: production}
    spec:
      podSelector: {}
      egress: []

Passes:

    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: api, namespace: production}
    spec:
      podSelector: {matchLabels: {app: api}}
      policyTypes: [Ingress, Egress]
      ingress: [{ports: [{port: 8080}]}]
      egress:
        - to: [{podSelector: {matchLabels: {app: postgres}}}]
          ports: [{port: 5432}]
"""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.lint.finding import Finding, Severity
from netprobe.lint.view import View, written
from netprobe.model.policy import Direction, Policy

ID = "ineffective-section"
SEVERITY = Severity.ERROR


def check(view: View) -> Iterator[Finding]:
    for policy in view.cluster.policies:
        for direction in Direction:
            section = f"spec.{direction.value}"
            if policy.rules(direction) is None and written(policy, section):
                yield _finding(policy, direction, section)


def _finding(policy: Policy, direction: Direction, section: str) -> Finding:
    word = direction.value.capitalize()
    explicit = written(policy, "spec.policyTypes")
    filled = written(policy, f"{section}[0]")
    if not explicit:
        severity = Severity.WARNING
        message = (
            f"without policyTypes an empty {direction.value} list has no effect: {direction.value} stays open"
        )
        suggestion = f"write policyTypes with {word} in it, if {direction.value} is to be closed"
    elif filled:
        severity = SEVERITY
        message = f"policyTypes leaves {word} out, so this section has no effect"
        suggestion = f"add {word} to policyTypes"
    else:
        severity = Severity.NOTE
        message = f"policyTypes leaves {word} out, so this empty list closes nothing"
        suggestion = f"add {word} to policyTypes, or remove the list"
    add = {"op": "add", "path": "/spec/policyTypes/-", "value": word}
    fix = (add,) if explicit and filled else ()
    return Finding.about(policy, ID, severity, section, message, suggestion=suggestion, fix=fix)
