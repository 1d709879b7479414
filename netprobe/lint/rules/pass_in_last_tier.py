"""A Pass with no tier behind it: what it passes on is allowed.

Pass hands a flow over to the next tier. After the last one every flow is allowed, so a Pass there means the
same as Allow, and the tier's Deny rules and its default no longer count for the flow. In the tier Baseline
it is always the last one. In another tier that comes after NetworkPolicies, or in Calico's tier `default`, it
is a note and reported only if the input has no policy in a later tier.

Example:

      apiVersion: policy.networking.k8s.io/v1beta1
      kind: ClusterNetworkPolicy
      metadata: {name: baseline}
      spec:
        tier: Baseline
        priority: 10
        subject: {namespaces: {}}
        ingress:
    -     - action: Pass
    +     - action: Accept
            from: [{namespaces: {matchLabels: {team: monitoring}}}]
          - action: Deny
            from: [{namespaces: {}}]
"""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.lint.finding import Finding, Severity
from netprobe.lint.located import located_rules
from netprobe.lint.view import View
from netprobe.model.policy import BASELINE_TIER, CLUSTER_NETWORK_POLICY, DEFAULT_TIER, Action

SEVERITY = Severity.WARNING


def check(view: View) -> Iterator[Finding]:
    last = view.sequence[-1][0] if view.sequence else BASELINE_TIER
    for tier, policy in view.sequence:
        if tier.name in view.unplaced:
            continue
        always = tier.name == BASELINE_TIER.name
        if not (always or (tier.name == last.name and tier.order >= DEFAULT_TIER.order)):
            continue
        allow = "Accept" if policy.kind == CLUSTER_NETWORK_POLICY else "Allow"
        for located in located_rules(policy):
            if located.rule.action is Action.PASS:
                yield Finding.about(
                    policy,
                    located.path,
                    f"no tier follows {tier.name}: what this rule passes on is allowed",
                    suggestion=f"write {allow} if that is meant",
                    severity=SEVERITY if always else Severity.NOTE,
                )
