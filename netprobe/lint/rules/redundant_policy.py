"""A policy that another one makes redundant: without it, nothing changes in any cluster.

Another policy of the namespace selects at least the same pods, whatever their labels, isolates them in the
same directions, and opens all that this one opens. That is worked out on the selectors, addresses and ports
as sets, not on the pods that happen to run. A policy that opens nothing is reported only where another one
says the same, and as a note: an explicit default deny beside allow rules is good practice.

Fails:

    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: api-wide, namespace: production}
    spec:
      podSelector: {matchLabels: {app: api}}
      ingress:
        - from: [{namespaceSelector: {matchLabels: {tier: frontend}}}]
          ports: [{port: 8000, endPort: 9000}]
    ---
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: api-narrow, namespace: production}
    spec:
      podSelector: {matchLabels: {app: api, version: v2}}
      ingress:
        - from:
            - namespaceSelector: {matchLabels: {tier: frontend}}
              podSelector: {matchLabels: {app: web}}
          ports: [{port: 8080}]

Passes:

    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: api-wide, namespace: production}
    spec:
      podSelector: {matchLabels: {app: api}}
      ingress: [{from: [{namespaceSelector: {matchLabels: {tier: frontend}}}], ports: [{port: 8080}]}]
    ---
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: api-metrics, namespace: production}
    spec:
      podSelector: {matchLabels: {app: api}}
      ingress: [{from: [{namespaceSelector: {matchLabels: {tier: frontend}}}], ports: [{port: 9090}]}]
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from netprobe.lint.cover import rule_within
from netprobe.lint.finding import Finding, Severity
from netprobe.lint.terms import implies, terms
from netprobe.lint.view import View
from netprobe.model.labels import Selector
from netprobe.model.policy import Direction, Policy

ID = "redundant-policy"
SEVERITY = Severity.WARNING


def check(view: View) -> Iterator[Finding]:
    for policies in view.policies.values():
        by_subjects: dict[Selector, list[Policy]] = defaultdict(list)
        for policy in policies:
            by_subjects[policy.subjects].append(policy)
        wider = _Wider(by_subjects)
        order = {id(policy): number for number, policy in enumerate(policies)}
        for subjects, group in by_subjects.items():
            candidates = [policy for selector in wider.than(subjects) for policy in by_subjects[selector]]
            for policy in group:
                other = _covering(policy, candidates, order)
                if other is not None:
                    yield _finding(policy, other)


def _covering(policy: Policy, candidates: list[Policy], order: dict[int, int]) -> Policy | None:
    """A policy that makes this one redundant; of two that say the same, the earlier."""
    for other in candidates:
        if other is policy or not redundant(policy, other):
            continue
        if order[id(other)] < order[id(policy)] or not _the_same(policy, other):
            return other
    return None


def _the_same(policy: Policy, other: Policy) -> bool:
    return implies(other.subjects, policy.subjects) and redundant(other, policy)


def _finding(policy: Policy, other: Policy) -> Finding:
    return Finding.about(
        policy,
        ID,
        SEVERITY if policy.ingress or policy.egress else Severity.NOTE,
        "",
        f"redundant: {other.ref.name} selects the same pods and allows all of this",
        suggestion="remove it",
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


class _Wider:
    """Finds the selectors that hold another, without comparing all with all.

    A selector that asks for a label value can only hold selectors that ask for the same, so they are kept
    by one label that they ask for.
    """

    def __init__(self, selectors: Iterable[Selector]) -> None:
        self.by_label: dict[tuple[str, str] | None, list[Selector]] = defaultdict(list)
        for selector in selectors:
            self.by_label[next(_labels(selector), None)].append(selector)

    def than(self, selector: Selector) -> Iterator[Selector]:
        """Itself among them."""
        for label in (None, *_labels(selector)):
            for other in self.by_label.get(label, ()):
                if implies(selector, other):
                    yield other


def _labels(selector: Selector) -> Iterator[tuple[str, str]]:
    """The labels of which a selector admits one value only."""
    for key, term in terms(selector).items():
        if len(term.values) == 1 and not term.complement and not term.absent:
            yield key, next(iter(term.values))
