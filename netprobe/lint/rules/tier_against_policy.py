"""An earlier tier that opens what NetworkPolicies close, or closes at its end what they open.

An Allow (Accept) in an earlier tier ends the evaluation, so no NetworkPolicy is consulted: a default deny
does not apply to its flows. That may be what a platform team wants, for monitoring say, so it is a note; for
a rule that opens everything to all pods it is a warning.

A Deny of everything, in a tier before NetworkPolicies, closes what they allow; as a default it belongs in
the Baseline tier.

In a tier of Calico whose default action is Deny, a policy that selects a pod denies at the end of the tier
everything that no rule of the tier allows or passes. What a NetworkPolicy allows for that pod then never gets
through. `defaultAction: Pass` for the tier, or a last rule with the action Pass, hands the rest over.

The pods must be in the input.

Example:

      apiVersion: policy.networking.k8s.io/v1beta1
      kind: ClusterNetworkPolicy
      metadata: {name: open}
      spec:
        tier: Admin
        priority: 10
        subject: {namespaces: {}}
    -   ingress: [{action: Accept, from: [{namespaces: {}}]}]
    +   ingress: [{action: Pass, from: [{namespaces: {}}]}]
      ---
      apiVersion: networking.k8s.io/v1
      kind: NetworkPolicy
      metadata: {name: default-deny, namespace: shop}
      spec: {podSelector: {}, policyTypes: [Ingress]}
      ---
      {apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop},
        spec: {containers: [{name: web, image: nginx, ports: [{containerPort: 80}]}]}}
      ---
      {apiVersion: v1, kind: Pod, metadata: {name: api, namespace: shop},
        spec: {containers: [{name: api, image: api}]}}

Example:

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
    +     - {action: Pass}
      ---
      apiVersion: networking.k8s.io/v1
      kind: NetworkPolicy
      metadata: {name: web, namespace: shop}
      spec:
        podSelector: {}
        ingress: [{ports: [{port: 80}]}]
      ---
      {apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop},
        spec: {containers: [{name: web, image: nginx, ports: [{containerPort: 80}]}]}}
      ---
      {apiVersion: v1, kind: Pod, metadata: {name: api, namespace: shop},
        spec: {containers: [{name: api, image: api}]}}
"""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.lint.cover import is_blanket
from netprobe.lint.finding import Finding, Severity
from netprobe.lint.view import View
from netprobe.lint.walk import Step, Subjects, Walks
from netprobe.model.flow import Family
from netprobe.model.policy import NETWORK_POLICY, Action, Direction, Policy
from netprobe.model.text import listed
from netprobe.simulate.compared import PortNumber

SEVERITY = Severity.WARNING


def check(view: View) -> Iterator[Finding]:
    if not view.ordered or not view.cluster.policies:
        return
    walks = view.walks
    reported: set[object] = set()
    for direction in Direction:
        for subjects in walks.subjects(direction):
            if not subjects.mixed:
                continue
            for port in walks.ports(subjects):
                for family in walks.families:
                    yield from _against(walks, subjects, port, family, reported)


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
        denies = step.action is Action.DENY and _is_blanket(step, subjects.direction)
        closed = step.peers & allowed & others if denies else 0
        if (opened or closed) and key not in reported:
            reported.add(key)
            sample = walks.name(subjects, opened or closed, port)
            yield _finding(step, subjects.direction, policies, sample)


def _is_blanket(step: Step, direction: Direction) -> bool:
    """Whether it is the end of a tier, or a rule for all pods and ports."""
    located = step.located(direction)
    return located is None or is_blanket(located.rule)


def _finding(step: Step, direction: Direction, policies: list[Policy], sample: str) -> Finding:
    what, path = step.described(direction)
    allows = step.action is Action.ALLOW
    does, would = ("opens", "deny") if allows else ("closes", "allow")
    suggestion = "use Pass if NetworkPolicies should decide"
    if step.rule is None:
        suggestion = "add a last rule with action Pass, or set the tier's defaultAction to Pass"
    elif not allows:
        suggestion += ", or the tier Baseline for a default"
    return Finding.about(
        step.policy,
        path,
        f"{what}{'' if step.rule is None else f' in the tier {step.tier.name}'} {does} what NetworkPolicy "
        f"{listed(f'{policy.ref}' for policy in policies)} would {would}, such as {sample}",
        suggestion=suggestion,
        severity=SEVERITY if _is_blanket(step, direction) else Severity.NOTE,
    )
