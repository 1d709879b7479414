"""A policy whose name says deny but which allows everything.

`ingress: [{}]` is one rule that matches everyone on every port; `ingress: []` is no rule at all. A
"default deny" with the braces isolates its pods and then allows everything. It also cancels the
restrictions of all other policies for these pods, because policies only add permissions.

Example:

      apiVersion: networking.k8s.io/v1
      kind: NetworkPolicy
      metadata: {name: default-deny, namespace: production}
      spec:
        podSelector: {}
    -   ingress:
    -     - {}
    +   policyTypes: [Ingress]
    +   ingress: []
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from netprobe.lint.finding import Finding, Severity
from netprobe.lint.view import View
from netprobe.model.policy import Direction, Rule

SEVERITY = Severity.WARNING
CATCH_ALL = Rule()
SAYS_DENY = re.compile(r"(^|[-.])(deny|block|isolate)([-.]|$)")


def check(view: View) -> Iterator[Finding]:
    for policy in view.cluster.policies:
        if not SAYS_DENY.search(policy.ref.name) or "allow" in policy.ref.name:
            continue
        sections = {d: rules for d in Direction if (rules := policy.rules(d)) is not None}
        if not sections or not all(CATCH_ALL in rules for rules in sections.values()):
            continue
        direction, rules = next(iter(sections.items()))
        yield Finding.about(
            policy,
            f"spec.{direction.value}[{rules.index(CATCH_ALL)}]",
            f"the name says deny, but this rule allows everyone on every port ({direction.value})",
            suggestion=f"write {direction.value}: [] to allow nobody",
        )
