"""A policy that another one makes redundant: removing it changes nothing in any cluster.

Another policy of the namespace selects at least the same pods, whatever their labels, isolates them in
the same directions, and allows everything that this one allows. This is decided on the selectors,
addresses and ports as sets, not on the pods that currently run. A policy that allows nothing is only
reported if another one says exactly the same: an explicit default deny next to allow rules is good
practice.

Example:

      apiVersion: networking.k8s.io/v1
      kind: NetworkPolicy
      metadata: {name: api-wide, namespace: production}
      spec:
        podSelector: {matchLabels: {app: api}}
    -   ingress:
    -     - from: [{namespaceSelector: {matchLabels: {tier: frontend}}}]
    -       ports: [{port: 8000, endPort: 9000}]
    +   ingress: [{from: [{namespaceSelector: {matchLabels: {tier: frontend}}}], ports: [{port: 8080}]}]
      ---
      apiVersion: networking.k8s.io/v1
      kind: NetworkPolicy
    - metadata: {name: api-narrow, namespace: production}
    + metadata: {name: api-metrics, namespace: production}
      spec:
    -   podSelector: {matchLabels: {app: api, version: v2}}
    -   ingress:
    -     - from:
    -         - namespaceSelector: {matchLabels: {tier: frontend}}
    -           podSelector: {matchLabels: {app: web}}
    -       ports: [{port: 8080}]
    +   podSelector: {matchLabels: {app: api}}
    +   ingress: [{from: [{namespaceSelector: {matchLabels: {tier: frontend}}}], ports: [{port: 9090}]}]
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from netprobe.lint.cover import rule_within
from netprobe.lint.finding import Finding, Severity
from netprobe.lint.selector_sets import implies, impossible
from netprobe.lint.view import View
from netprobe.model.labels import Selector
from netprobe.model.policy import Direction, Policy

SEVERITY = Severity.NOTE


def check(view: View) -> Iterator[Finding]:
    for policies in view.policies.values():
        by_selector: dict[Selector, list[Policy]] = defaultdict(list)
        for policy in policies:
            by_selector[policy.subject.pods].append(policy)
        position = {id(policy): number for number, policy in enumerate(policies)}
        for selector, own in by_selector.items():
            if impossible(selector):  # impossible-selector reports it
                continue
            others = [one for wider in by_selector if implies(selector, wider) for one in by_selector[wider]]
            others.sort(key=lambda one: position[id(one)])
            for policy in own:
                other = _covering(policy, others)
                if other is not None:
                    yield _finding(policy, other)


def _covering(policy: Policy, others: Iterable[Policy]) -> Policy | None:
    """One of the policies that select the same pods and more, if it makes this one redundant.

    Of two that say the same, the later one is redundant.
    """
    earlier = True
    for other in others:
        if other is policy:
            earlier = False
        elif redundant(policy, other) and (earlier or not _the_same(policy, other)):
            return other
    return None


def _the_same(policy: Policy, other: Policy) -> bool:
    return implies(other.subject.pods, policy.subject.pods) and redundant(other, policy)


def _finding(policy: Policy, other: Policy) -> Finding:
    return Finding.about(
        policy,
        "",
        f"redundant: {other.ref.name} selects the same pods and "
        + ("allows all of this" if policy.ingress or policy.egress else "isolates them as well"),
        suggestion="remove it",
        severity=SEVERITY,
    )


def redundant(policy: Policy, other: Policy) -> bool:
    """Whether `other` does all for its subjects that `policy` does, in the same namespace and any cluster."""
    if not (policy.ingress or policy.egress):  # a pure deny
        return (
            other.ingress == policy.ingress
            and other.egress == policy.egress
            and (policy.ingress is not None or policy.egress is not None)
        )
    for direction in Direction:
        own, others = policy.rules(direction), other.rules(direction)
        if own is None:
            continue
        if others is None or not all(rule_within(rule, others, policy.ref.namespace) for rule in own):
            return False
    return True
