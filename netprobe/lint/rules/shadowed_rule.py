"""A rule that never decides, because an earlier one matches everything that it matches.

ClusterNetworkPolicies and Calico's policies are evaluated in order: tiers, policies by priority or order,
rules top down, and the first match decides. A rule behind a wider one is dead, and so is a rule of a
NetworkPolicy whose flows an earlier tier already denies. If both do the same, the later one is only
superfluous, and this is a note. A Pass hides only later rules of its own tier, and what it hands over is not
decided by that tier.

Earlier rules count together if they apply to all pods that the later one applies to. Redundant rules among
NetworkPolicies, which have no order, are reported by `redundant-policy` and `redundant-item`.

Fails:

    apiVersion: policy.networking.k8s.io/v1beta1
    kind: ClusterNetworkPolicy
    metadata: {name: guard}
    spec:
      tier: Admin
      priority: 10
      subject: {namespaces: {}}
      ingress:
        - action: Deny
          from: [{namespaces: {}}]
        - action: Accept
          from: [{namespaces: {matchLabels: {team: monitoring}}}]

Fails:

    apiVersion: policy.networking.k8s.io/v1beta1
    kind: ClusterNetworkPolicy
    metadata: {name: no-databases}
    spec:
      tier: Admin
      priority: 10
      subject: {namespaces: {}}
      ingress:
        - action: Deny
          from: [{namespaces: {}}]
          protocols: [{tcp: {destinationPort: {number: 5432}}}]
    ---
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: postgres, namespace: shop}
    spec:
      podSelector: {matchLabels: {app: postgres}}
      ingress:
        - from: [{podSelector: {matchLabels: {app: api}}}]
          ports: [{port: 5432}]

Passes:

    apiVersion: policy.networking.k8s.io/v1beta1
    kind: ClusterNetworkPolicy
    metadata: {name: guard}
    spec:
      tier: Admin
      priority: 10
      subject: {namespaces: {}}
      ingress:
        - action: Accept
          from: [{namespaces: {matchLabels: {team: monitoring}}}]
        - action: Deny
          from: [{namespaces: {}}]
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from netprobe.lint.cover import at_home, peer_within, peers_meet, ports_meet, ports_within
from netprobe.lint.finding import Finding, Severity
from netprobe.lint.view import LocatedRule, View
from netprobe.model.policy import (
    ANY_PORT,
    NETWORK_POLICY,
    Action,
    AnyPeer,
    Direction,
    DomainPeer,
    NodePeer,
    Peer,
    PodPeer,
    Policy,
    UnknownPeer,
)
from netprobe.model.text import listed

ID = "shadowed-rule"
SEVERITY = Severity.WARNING


def check(view: View) -> Iterator[Finding]:
    for direction in Direction:
        earlier = _Earlier(view)
        for tier, policy in view.sequence:
            before = earlier.around(policy)
            passes = earlier.passes_around(tier.name, policy)
            for index, rule in enumerate(policy.rules(direction) or ()):
                located = LocatedRule(policy, direction, index, rule)
                hiding = (
                    _hiding(view, tier.name, located, before, passes) if rule.action is not Action.LOG else []
                )
                if rule.action is Action.PASS:
                    earlier.passes[tier.name].append(located)
                if hiding:
                    yield _finding(located, hiding)
                elif _hides(located):
                    before.append((tier.name, located))
                    earlier.add(tier.name, located)


class _Earlier:
    """The rules met so far, by a label that their policies require."""

    def __init__(self, view: View) -> None:
        self._view = view
        self.passes: dict[str, list[LocatedRule]] = defaultdict(list)
        self._found: dict[tuple[str, str] | None, list[tuple[str, LocatedRule]]] = defaultdict(list)

    def add(self, tier: str, located: LocatedRule) -> None:
        required = located.policy.subject.pods.match_labels
        self._found[required[0] if required else None].append((tier, located))

    def around(self, policy: Policy) -> list[tuple[str, LocatedRule]]:
        """Those of policies that select everything that a policy selects."""
        own = _subject(policy)
        known: dict[int, bool] = {}
        found = []
        for label in (None, *policy.subject.pods.match_labels):
            for tier, located in self._found[label]:
                other = located.policy
                if policy.kind == NETWORK_POLICY == other.kind:
                    continue
                if id(other) not in known:
                    known[id(other)] = peer_within(own, _subject(other), "", self._view.labels)
                if known[id(other)]:
                    found.append((tier, located))
        return found

    def passes_around(self, tier: str, policy: Policy) -> dict[str, list[LocatedRule]]:
        """By tier, the rules of earlier tiers that may hand flows of a policy's pods over to this tier."""
        return {
            name: [each for each in passes if self._view.share_pods(each.policy, policy)]
            for name, passes in self.passes.items()
            if name != tier
        }


def _subject(policy: Policy) -> Peer:
    subject = policy.subject
    return at_home(PodPeer(subject.pods, subject.namespaces, subject.accounts), policy.ref.namespace)


def _hides(located: LocatedRule) -> bool:
    """Whether a rule matches by its peers and ports alone."""
    rule = located.rule
    return (
        rule.action is not Action.LOG
        and isinstance(rule.own, AnyPeer)
        and not any(isinstance(peer, NodePeer | DomainPeer | UnknownPeer) for peer in rule.peers)
        and not rule.not_ports
        and rule.source_ports == ANY_PORT
    )


def _hiding(
    view: View,
    tier: str,
    located: LocatedRule,
    before: list[tuple[str, LocatedRule]],
    passes: Mapping[str, list[LocatedRule]],
) -> list[LocatedRule]:
    """The earlier rules that together match everything that a rule matches; [] if they do not."""
    used: dict[int, LocatedRule] = {}
    rule, home = located.rule, located.policy.ref.namespace
    same_kind = located.policy.kind == NETWORK_POLICY
    for peer in rule.peers:
        own = at_home(peer, home)
        handed_over = {
            name
            for name, rules in passes.items()
            for each in rules
            if ports_meet(rule.ports, each.rule.ports)
            and any(peers_meet(own, at_home(other, each.policy.ref.namespace)) for other in each.rule.peers)
        }
        around = [
            each
            for other_tier, each in before
            if other_tier not in handed_over
            and (other_tier == tier or (each.rule.action is not Action.PASS and tier not in view.unplaced))
            and not (same_kind and each.policy.kind == NETWORK_POLICY)
            and any(
                peer_within(own, at_home(other, each.policy.ref.namespace), "", view.labels)
                for other in each.rule.peers
            )
        ]
        enough = next((each for each in around if ports_within(rule.ports, each.rule.ports)), None)
        if enough is None and not ports_within(rule.ports, [p for each in around for p in each.rule.ports]):
            return []
        for each in around if enough is None else [enough]:
            used[id(each)] = each
    return list(used.values())


def _finding(located: LocatedRule, hiding: list[LocatedRule]) -> Finding:
    same = all(each.rule.action is located.rule.action for each in hiding)
    names = listed(
        f"{each.path} of {each.policy.kind} {each.policy.ref} ({each.action})"
        if each.policy is not located.policy
        else f"{each.path} ({each.action})"
        for each in hiding
    )
    return Finding.about(
        located.policy,
        ID,
        Severity.NOTE if same else SEVERITY,
        located.path,
        f"this {located.action} never decides: {names}, which {'comes' if len(hiding) == 1 else 'come'} "
        f"first, {'matches' if len(hiding) == 1 else 'match'} everything that it matches",
        suggestion="remove it" if same else "move it in front, or remove it",
    )
