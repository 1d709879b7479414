"""Rules about the order of tiers, policies and rules."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import chain, groupby

from netprobe.lint.cover import at_home, peer_within, peers_meet, ports_meet, ports_within
from netprobe.lint.located import LocatedRule, located_rules
from netprobe.lint.rule import Finding, Severity, lint_rule
from netprobe.lint.selector_sets import required_labels
from netprobe.lint.view import View
from netprobe.model.policy import (
    ANY_PORT,
    BASELINE_TIER,
    CLUSTER_NETWORK_POLICY,
    DEFAULT_TIER,
    NETWORK_POLICY,
    PRIORITY_KINDS,
    Action,
    AnyPeer,
    Direction,
    DomainPeer,
    NodePeer,
    Peer,
    Policy,
    UnknownPeer,
)
from netprobe.model.text import listed


@lint_rule(Severity.WARNING)
def pass_in_last_tier(view: View) -> Iterator[Finding]:
    """A Pass with no tier behind it: what it passes on is allowed.

    Pass hands a flow over to the next tier. After the last one every flow is allowed, so a Pass there means
    the same as Allow, and the tier's Deny rules and its default no longer count for the flow. In the tier
    Baseline it is always the last one. In another tier that comes after NetworkPolicies, or in Calico's tier
    `default`, it is a note and reported only if the input has no policy in a later tier.

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
                    severity=Severity.WARNING if always else Severity.NOTE,
                )


@lint_rule(Severity.WARNING)
def shadowed_rule(view: View) -> Iterator[Finding]:
    """A rule that never decides, because an earlier one matches everything that it matches.

    ClusterNetworkPolicies and Calico's policies are evaluated in order: tiers, policies by priority or order,
    rules top down, and the first match decides. A rule after a wider one is dead, and so is a rule of a
    NetworkPolicy whose flows an earlier tier already denies. If both do the same, the later one is only
    superfluous, and this is a note. A Pass hides only later rules of its own tier, and what it hands over is
    not decided by that tier.

    Earlier rules count together if they apply to all pods that the later one applies to. Redundant rules
    among NetworkPolicies, which have no order, are reported by `redundant-policy` and `redundant-item`.

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
                    yield _shadowed(located, hiding)
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
        required = [*required_labels(subject), None]
        found = self._plain if located.policy.kind == NETWORK_POLICY else self._ordered
        found[required[0]].append((tier, located))

    def around(self, policy: Policy) -> list[tuple[str, LocatedRule]]:
        """Those of policies that select everything that a policy selects.

        NetworkPolicies have no order among themselves.
        """
        kinds = [self._ordered] if policy.kind == NETWORK_POLICY else [self._ordered, self._plain]
        own = self.view.subject_peer(policy)
        labels = [*required_labels(own)]
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


def _shadowed(located: LocatedRule, hiding: list[LocatedRule]) -> Finding:
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
        severity=Severity.NOTE if same else Severity.WARNING,
    )


@lint_rule(Severity.WARNING)
def tied_order(view: View) -> Iterator[Finding]:
    """Policies of one priority or order whose rules contradict each other.

    Which one comes first then decides. Among ClusterNetworkPolicies of one tier and priority the API leaves
    that to the network plugin, so the same manifests may allow on one cluster and deny on another. Calico
    goes by the names of the policies, so renaming one changes who may connect to whom: this is a note. A
    Calico policy without `order` comes last, and all such policies of a tier are tied.

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
    for _, tied in groupby(view.sequence, key=lambda item: (item[0].name, item[1].order)):
        reported: set[int] = set()
        for one, other in _tied_pairs([policy for _, policy in tied]):
            if id(other) in reported:
                continue
            found = _contradiction(view, one, other)
            if found is not None:
                reported.add(id(other))
                yield _tied(*found)


def _tied_pairs(policies: Sequence[Policy]) -> Iterator[tuple[Policy, Policy]]:
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


def _tied(first: LocatedRule, second: LocatedRule) -> Finding:
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
        severity=Severity.WARNING if open_ else Severity.NOTE,
    )
