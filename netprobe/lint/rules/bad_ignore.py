"""An annotation that should silence a rule but does not.

`netprobe.dev/ignore-RULE: reason` silences one rule for one policy. If the rule does not exist, its name
is probably misspelled. An empty reason silences nothing: the next reader needs to know why the rule is
ignored.

Example:

      apiVersion: networking.k8s.io/v1
      kind: NetworkPolicy
      metadata:
        name: gateway
        namespace: edge
    -   annotations: {netprobe.dev/ignore-egress-to-anywere: the gateway calls the whole internet}
    +   annotations: {netprobe.dev/ignore-egress-to-anywhere: the gateway calls the whole internet}
      spec: {podSelector: {}, policyTypes: [Ingress]}
"""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches

from netprobe.lint.finding import Finding, Severity
from netprobe.lint.linter import IGNORE
from netprobe.lint.rule import catalogue
from netprobe.lint.view import View

SEVERITY = Severity.WARNING


def check(view: View) -> Iterator[Finding]:
    for policy in view.cluster.policies:
        for key, reason in view.annotations.get(policy.ref, {}).items():
            if not key.startswith(IGNORE):
                continue
            name = key.removeprefix(IGNORE)
            if name not in catalogue():
                near = get_close_matches(name, catalogue(), n=1)
                message = f"there is no rule {name}"
                suggestion = (
                    f"did you mean {near[0]}?" if near else "`netprobe lint --explain` lists the rules"
                )
            elif not reason.strip():
                message = f"{key} has no effect without a reason"
                suggestion = "give the reason as its value"
            else:
                continue
            path = f"metadata.annotations.{key}"
            yield Finding.about(policy, path, message, suggestion=suggestion)
