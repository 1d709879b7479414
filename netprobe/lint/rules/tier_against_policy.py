"""An earlier tier that opens what NetworkPolicies close, or closes at its end what they open.

An Allow (Accept) in an earlier tier ends the walk, so no NetworkPolicy is asked: a default deny does not hold
for its flows. That may be what a platform team wants, for monitoring say, so it is a note; for a rule that
opens everything to all pods it is a warning.

In a tier of Calico whose default action is Deny, a policy that selects a pod denies at the end of the tier
all that no rule of the tier allows or passes. What a NetworkPolicy allows for that pod then never gets
through. `defaultAction: Pass` for the tier, or a last rule with the action Pass, hands the rest over.

The pods must be in the input.

Fails:

    apiVersion: policy.networking.k8s.io/v1beta1
    kind: ClusterNetworkPolicy
    metadata: {name: open}
    spec:
      tier: Admin
      priority: 10
      subject: {namespaces: {}}
      ingress: [{action: Accept, from: [{namespaces: {}}]}]
    ---
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: default-deny, namespace: shop}
    spec: {podSelector: {}, policyTypes: [Ingress]}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: web, namespace: shop}
    spec: {containers: [{name: web, image: nginx, ports: [{containerPort: 80}]}]}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: api, namespace: shop}
    spec: {containers: [{name: api, image: api}]}

Fails:

    apiVersion: projectcalico.org/v3
    kind: Tier
    metadata: {name: security}
    spec: {order: 100}
    ---
    apiVersion: projectcalico.org/v3
    kind: GlobalNetworkPolicy
    metadata: {name: security.no-scanners}
    spec:
      tier: security
      types: [Ingress]
      ingress: [{action: Deny, source: {selector: role == 'scanner'}}]
    ---
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: web, namespace: shop}
    spec:
      podSelector: {}
      ingress: [{ports: [{port: 80}]}]
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: web, namespace: shop}
    spec: {containers: [{name: web, image: nginx, ports: [{containerPort: 80}]}]}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: api, namespace: shop}
    spec: {containers: [{name: api, image: api}]}

Passes:

    apiVersion: projectcalico.org/v3
    kind: Tier
    metadata: {name: security}
    spec: {order: 100}
    ---
    apiVersion: projectcalico.org/v3
    kind: GlobalNetworkPolicy
    metadata: {name: security.no-scanners}
    spec:
      tier: security
      types: [Ingress]
      ingress:
        - {action: Deny, source: {selector: role == 'scanner'}}
        - {action: Pass}
    ---
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: web, namespace: shop}
    spec:
      podSelector: {}
      ingress: [{ports: [{port: 80}]}]
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: web, namespace: shop}
    spec: {containers: [{name: web, image: nginx, ports: [{containerPort: 80}]}]}
    ---
    apiVersion: v1
    kind: Pod
    metadata: {name: api, namespace: shop}
    spec: {containers: [{name: api, image: api}]}
"""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.lint.finding import Finding, Severity
from netprobe.lint.view import LocatedRule, View
from netprobe.lint.walk import Step, Subjects, Walks
from netprobe.model.flow import Family
from netprobe.model.policy import ANY_PORT, NETWORK_POLICY, Action, Direction, Policy
from netprobe.model.text import listed
from netprobe.simulate.compared import PortNumber

ID = "tier-against-policy"
SEVERITY = Severity.WARNING


def check(view: View) -> Iterator[Finding]:
    if not any(True for _ in view.ordered) or not view.cluster.policies:
        return
    walks = view.walks
    reported: set[object] = set()
    for direction in Direction:
        for subjects in walks.subjects(direction):
            if not subjects.mixed:
                continue
            for port in _ports(walks, subjects):
                for family in walks.families:
                    yield from _against(walks, subjects, port, family, reported)


def _ports(walks: Walks, subjects: Subjects) -> list[PortNumber]:
    """The ports of the destinations."""
    ends = subjects.groups
    if subjects.direction is Direction.EGRESS:
        ends = tuple(range(len(walks.evaluation.groups)))
    ports = {port for end in ends for port in walks.asked(end)}
    return sorted(ports, key=lambda port: (port[1].value, port[0]))


def _against(
    walks: Walks, subjects: Subjects, port: PortNumber, family: Family | None, reported: set[object]
) -> Iterator[Finding]:
    """The steps in front of the NetworkPolicies that decide other than these."""
    policies = [policy for policy in subjects.policies if policy.kind == NETWORK_POLICY]
    allowed = walks.allowed(subjects, policies, port, family)
    others = walks.others(subjects, port)
    for step in walks.steps(subjects, port, family):
        if step.policy.kind == NETWORK_POLICY:
            return
        key = (step.policy.ref, subjects.direction, step.rule)
        opened = step.peers & ~allowed & others if step.action is Action.ALLOW else 0
        at_end = step.rule is None and step.action is Action.DENY
        closed = step.peers & allowed & others if at_end else 0
        if (opened or closed) and key not in reported:
            reported.add(key)
            sample = walks.name(subjects, opened or closed, port)
            yield (
                _opens(walks, step, subjects.direction, policies, sample)
                if opened
                else _closes(step, policies, sample)
            )


def _opens(walks: Walks, step: Step, direction: Direction, policies: list[Policy], sample: str) -> Finding:
    index = step.rule or 0
    located = LocatedRule(step.policy, direction, index, (step.policy.rules(direction) or ())[index])
    everyone = walks.evaluation.universe.pods & ~step.peers == 0 and located.rule.ports == ANY_PORT
    return Finding.about(
        step.policy,
        ID,
        SEVERITY if everyone else Severity.NOTE,
        located.path,
        f"this {located.action} in the tier {step.tier.name} opens what {_named(policies)} would deny, such "
        f"as {sample}",
        suggestion="use Pass if NetworkPolicies should decide",
    )


def _closes(step: Step, policies: list[Policy], sample: str) -> Finding:
    return Finding.about(
        step.policy,
        ID,
        SEVERITY,
        "spec.tier",
        f"the tier {step.tier.name} denies at its end what no rule of it matches, and so what "
        f"{_named(policies)} would allow, such as {sample}",
        suggestion="add a last rule with action Pass, or set the tier's defaultAction to Pass",
    )


def _named(policies: list[Policy]) -> str:
    refs = [f"{policy.ref}" for policy in policies]
    return f"NetworkPolicy {listed(refs)}"
