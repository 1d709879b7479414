"""Policies of one priority or order whose rules contradict each other.

Which one comes first then decides. Among ClusterNetworkPolicies of one tier and priority the API leaves that
to the network plugin, so the same manifests may allow on one cluster and deny on another. Calico goes by the
names of the policies, so renaming one changes who may connect to whom: this is a note. A Calico policy
without `order` comes last, and all such policies of a tier are tied.

Reported are rules with different actions that may match the same flow.

Example:

      apiVersion: policy.networking.k8s.io/v1beta1
      kind: ClusterNetworkPolicy
      metadata: {name: deny-shop}
      spec:
        tier: Admin
    -   priority: 10
    +   priority: 20
        subject: {namespaces: {matchLabels: {team: shop}}}
        ingress: [{action: Deny, from: [{namespaces: {}}]}]
      ---
      apiVersion: policy.networking.k8s.io/v1beta1
      kind: ClusterNetworkPolicy
      metadata: {name: monitoring}
      spec:
        tier: Admin
        priority: 10
        subject: {namespaces: {}}
        ingress: [{action: Accept, from: [{namespaces: {matchLabels: {team: monitoring}}}]}]
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from netprobe.lint.cover import at_home, peers_meet, ports_meet
from netprobe.lint.finding import Finding, Severity
from netprobe.lint.located import LocatedRule, located_rules
from netprobe.lint.view import View
from netprobe.model.policy import NETWORK_POLICY, PRIORITY_KINDS, Action, Policy

SEVERITY = Severity.WARNING


def check(view: View) -> Iterator[Finding]:
    for _, tied in groupby(view.sequence, key=lambda item: (item[0].name, item[1].order)):
        reported: set[int] = set()
        for one, other in _pairs([policy for _, policy in tied]):
            if id(other) in reported:
                continue
            found = _contradiction(view, one, other)
            if found is not None:
                reported.add(id(other))
                yield _finding(*found)


def _pairs(policies: Sequence[Policy]) -> Iterator[tuple[Policy, Policy]]:
    """Every two in their order, but no two NetworkPolicies: there may be thousands, and they only allow."""
    later = [policy for policy in policies if policy.kind != NETWORK_POLICY]
    if not later:
        return
    for index, one in enumerate(policies):
        if one.kind != NETWORK_POLICY:
            del later[0]
            yield from ((one, other) for other in policies[index + 1 :])
        else:
            yield from ((one, other) for other in later)


def _contradiction(view: View, one: Policy, other: Policy) -> tuple[LocatedRule, LocatedRule] | None:
    """The first rules of two policies that may match one flow and treat it differently."""
    if not view.share_pods(one, other):
        return None
    for first in located_rules(one):
        for second in located_rules(other):
            actions = {first.rule.action, second.rule.action}
            if (
                first.direction is second.direction
                and len(actions) == 2
                and Action.LOG not in actions
                and ports_meet(first.rule.ports, second.rule.ports)
                and any(
                    peers_meet(at_home(peer, one.ref.namespace), at_home(another, other.ref.namespace))
                    for peer in first.rule.peers
                    for another in second.rule.peers
                )
            ):
                return first, second
    return None


def _finding(first: LocatedRule, second: LocatedRule) -> Finding:
    one, other = first.policy, second.policy
    open_ = {one.kind, other.kind} <= PRIORITY_KINDS
    word = "priority" if open_ else "order"
    outcome = (
        "which of them decides is up to the network plugin"
        if open_
        else f"Calico goes by their names, and {one.ref} comes first"
    )
    return Finding.about(
        other,
        second.path,
        f"{one.kind} {one.ref} of the same {word} has {first.path} ({first.action}) for some of the flows of "
        f"this {second.action}: {outcome}",
        suggestion=f"give them different {'priorities' if open_ else 'orders'}",
        severity=SEVERITY if open_ else Severity.NOTE,
    )
