"""A section that `policyTypes` does not include: it is accepted and has no effect.

With `policyTypes: [Ingress]`, an `egress` section neither closes nor allows anything. The same happens
without `policyTypes`: the default is Ingress, and Egress only if there is an egress rule, so `egress:
[]`, intended to close egress, does nothing.

`--fix` adds the missing type if the section has rules. An empty list with explicit policyTypes is a note:
tools that write manifests often leave such lists.

Example:

      apiVersion: networking.k8s.io/v1
      kind: NetworkPolicy
      metadata: {name: api, namespace: production}
      spec:
        podSelector: {matchLabels: {app: api}}
    -   policyTypes: [Ingress]
    +   policyTypes: [Ingress, Egress]
        ingress: [{ports: [{port: 8080}]}]
        egress:
          - to: [{podSelector: {matchLabels: {app: postgres}}}]
            ports: [{port: 5432}]

Example:

      apiVersion: networking.k8s.io/v1
      kind: NetworkPolicy
      metadata: {name: close-egress, namespace: production}
      spec:
        podSelector: {}
    +   policyTypes: [Egress]
        egress: []
"""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.lint.finding import Finding, Severity
from netprobe.lint.located import written
from netprobe.lint.view import View
from netprobe.model.policy import Direction, Policy

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
        suggestion = f"write policyTypes with {word}, if {direction.value} should be closed"
    elif filled:
        severity = SEVERITY
        message = f"policyTypes does not include {word}, so this section has no effect"
        suggestion = f"add {word} to policyTypes"
    else:
        severity = Severity.NOTE
        message = f"policyTypes does not include {word}, so this empty list closes nothing"
        suggestion = f"add {word} to policyTypes, or remove the list"
    add = {"op": "add", "path": "/spec/policyTypes/-", "value": word}
    fix = (add,) if explicit and filled else ()
    return Finding.about(policy, section, message, suggestion=suggestion, severity=severity, fix=fix)
