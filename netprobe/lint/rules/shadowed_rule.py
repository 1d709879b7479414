"""A rule that never decides, because an earlier one matches everything that it matches.

ClusterNetworkPolicies and Calico's policies are evaluated in order: tiers, policies by priority or order,
rules top down, and the first match decides. A rule after a wider one is dead, and so is a rule of a
NetworkPolicy whose flows an earlier tier already denies. If both do the same, the later one is only
superfluous, and this is a note. A Pass hides only later rules of its own tier, and what it hands over is not
decided by that tier.

Earlier rules count together if they apply to all pods that the later one applies to. Redundant rules among
NetworkPolicies, which have no order, are reported by `redundant-policy` and `redundant-item`.

Example:

      apiVersion: policy.networking.k8s.io/v1beta1
      kind: ClusterNetworkPolicy
      metadata: {name: guard}
      spec:
        tier: Admin
        priority: 10
        subject: {namespaces: {}}
        ingress:
    +     - action: Accept
    +       from: [{namespaces: {matchLabels: {team: monitoring}}}]
          - action: Deny
            from: [{namespaces: {}}]
    -     - action: Accept
    -       from: [{namespaces: {matchLabels: {team: monitoring}}}]

Example:

      apiVersion: policy.networking.k8s.io/v1beta1
      kind: ClusterNetworkPolicy
      metadata: {name: no-databases}
      spec:
        tier: Admin
        priority: 10
        subject: {namespaces: {}}
        ingress:
    -     - action: Deny
    +     - action: Pass
            from: [{namespaces: {}}]
      ---
      apiVersion: networking.k8s.io/v1
      kind: NetworkPolicy
      metadata: {name: postgres, namespace: shop}
      spec:
        podSelector: {matchLabels: {app: postgres}}
        ingress:
          - from: [{podSelector: {matchLabels: {app: api}}}]
            ports: [{port: 5432}]
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import chain

from netprobe.lint.cover import at_home, peer_within, peers_meet, ports_meet, ports_within
from netprobe.lint.finding import Finding, Severity
from netprobe.lint.located import LocatedRule
from netprobe.lint.selector_sets import single_values
from netprobe.lint.view import View
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

SEVERITY = Severity.WARNING


def check(view: View) -> Iterator[Finding]:
    for direction in Direction:
        earlier = _Earlier(view)
        for tier, policy in view.sequence:
            before = earlier.around(policy)
            for index, rule in enumerate(policy.rules(direction) or ()):
                located = LocatedRule(policy, direction, index, rule)
                hiding = _hiding(earlier, tier.name, located, before) if rule.action is not Action.LOG else []
                if rule.action is Action.PASS:
                    earlier.passes[tier.name].append(located)
                if hiding:
                    yield _finding(located, hiding)
                elif _hides(located):
                    before.append((tier.name, located))
                    earlier.add(tier.name, located)


class _Earlier:
    """The rules met so far, by a label that their policies require; those of NetworkPolicies apart."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.passes: dict[str, list[LocatedRule]] = defaultdict(list)
        self._ordered: dict[object, list[tuple[str, LocatedRule]]] = defaultdict(list)
        self._plain: dict[object, list[tuple[str, LocatedRule]]] = defaultdict(list)

    def add(self, tier: str, located: LocatedRule) -> None:
        subject = self.view.subject_peer(located.policy)
        required = [*_labels(subject), None]
        found = self._plain if located.policy.kind == NETWORK_POLICY else self._ordered
        found[required[0]].append((tier, located))

    def around(self, policy: Policy) -> list[tuple[str, LocatedRule]]:
        """Those of policies that select everything that a policy selects.

        NetworkPolicies have no order among themselves.
        """
        kinds = [self._ordered] if policy.kind == NETWORK_POLICY else [self._ordered, self._plain]
        own = self.view.subject_peer(policy)
        labels = [*_labels(own)]
        known_labels = self.view.labels.get(policy.ref.namespace, {}) if policy.ref.namespace else {}
        labels += [("namespace", *label) for label in known_labels.items()]
        known: dict[int, bool] = {}
        found = []
        for label in (None, *dict.fromkeys(labels)):
            for tier, located in chain.from_iterable(each.get(label, ()) for each in kinds):
                other = located.policy
                if id(other) not in known:
                    known[id(other)] = peer_within(own, self.view.subject_peer(other), "", self.view.labels)
                if known[id(other)]:
                    found.append((tier, located))
        return found

    def hands_over(self, tier: str, located: LocatedRule, peer: Peer) -> bool:
        """Whether a Pass of a tier may keep flows that a later rule matches from the rest of that tier."""
        return any(
            ports_meet(located.rule.ports, each.rule.ports)
            and any(peers_meet(peer, at_home(other, each.policy.ref.namespace)) for other in each.rule.peers)
            and self.view.share_pods(each.policy, located.policy)
            for each in self.passes[tier]
        )


def _labels(peer: PodPeer) -> Iterator[tuple[str, str, str]]:
    yield from single_values(peer.pods, "pod")
    if peer.namespaces is not None:
        yield from single_values(peer.namespaces, "namespace")


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
    earlier: _Earlier, tier: str, located: LocatedRule, before: list[tuple[str, LocatedRule]]
) -> list[LocatedRule]:
    """The earlier rules that together match everything that a rule matches; [] if they do not."""
    used: dict[int, LocatedRule] = {}
    rule, labels = located.rule, earlier.view.labels
    apart = tier in earlier.view.unplaced
    for peer in rule.peers:
        own = at_home(peer, located.policy.ref.namespace)
        wider = [
            (other_tier, each)
            for other_tier, each in before
            if (other_tier == tier or (each.rule.action is not Action.PASS and not apart))
            and ports_meet(rule.ports, each.rule.ports)
            and any(
                peer_within(own, at_home(other, each.policy.ref.namespace), "", labels)
                for other in each.rule.peers
            )
        ]
        passing = {name for name, _ in wider if name != tier and earlier.hands_over(name, located, own)}
        around = [each for name, each in wider if name not in passing]
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
        located.path,
        f"this {located.action} never decides: {names}, which {'comes' if len(hiding) == 1 else 'come'} "
        f"first, {'matches' if len(hiding) == 1 else 'match'} everything that it matches",
        suggestion="remove it" if same else "move it in front, or remove it",
        severity=Severity.NOTE if same else SEVERITY,
    )
