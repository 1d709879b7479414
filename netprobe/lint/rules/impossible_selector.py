"""A selector that contradicts itself: no labels satisfy it.

All parts of a selector must match at once. `matchLabels: {tier: web}` with `tier In [api]`, or `Exists`
with `DoesNotExist`, matches nothing in any cluster. Write alternatives as values of one `In`, or as
several peers.

Example:

      apiVersion: networking.k8s.io/v1
      kind: NetworkPolicy
      metadata: {name: api, namespace: production}
      spec:
        podSelector:
    -     matchLabels: {tier: web}
    -     matchExpressions: [{key: tier, operator: In, values: [api]}]
    +     matchExpressions: [{key: tier, operator: In, values: [web, api]}]
        policyTypes: [Ingress]
"""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.lint.finding import Finding, Severity
from netprobe.lint.selector_sets import terms
from netprobe.lint.view import View, all_selectors
from netprobe.model.text import listed

SEVERITY = Severity.ERROR


def check(view: View) -> Iterator[Finding]:
    for policy, path, selector in all_selectors(view):
        keys = sorted(key for key, term in terms(selector).items() if term.empty)
        if keys:
            yield Finding.about(
                policy,
                path,
                f"{selector} can match nothing: its requirements for {listed(keys)} contradict each other",
                suggestion="write alternatives as values of one In, or as several peers",
                severity=SEVERITY,
            )
