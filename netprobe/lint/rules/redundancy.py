"""Rules about what has no effect because something else allows it already."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from typing import TypeVar

from netprobe.lint.cover import peer_within, ports_within, rule_within
from netprobe.lint.located import LocatedRule, located_rules
from netprobe.lint.rule import Finding, Severity, lint_rule
from netprobe.lint.rules.namespaces import pairs
from netprobe.lint.selector_sets import implies, impossible, required_labels
from netprobe.lint.view import View
from netprobe.manifests.change import pointer
from netprobe.model.labels import NAME_LABEL
from netprobe.model.policy import AnyPeer, Direction, IPBlock, Network, PodPeer, Policy

T = TypeVar("T")


@lint_rule(Severity.NOTE)
def redundant_item(view: View) -> Iterator[Finding]:
    """An item of a policy that another item already covers.

    The same peer or port twice, a namespace next to `namespaceSelector: {}`, a network inside a wider one, a
    rule inside another. It does no harm, but readers think that the item limits or adds something. `--fix`
    removes exact repetitions.

    Example:

          apiVersion: networking.k8s.io/v1
          kind: NetworkPolicy
          metadata: {name: office, namespace: production}
          spec:
            podSelector: {}
            ingress:
              - from:
                  - ipBlock: {cidr: 198.51.100.0/24}
        -         - ipBlock: {cidr: 198.51.100.64/26}
        +         - ipBlock: {cidr: 203.0.113.0/24}
                ports:
                  - port: 443
        -         - port: 443
    """
    for policy in view.cluster.policies:
        for direction in Direction:
            yield from _covered_rules(policy, direction)
        for located in located_rules(policy):
            yield from _covered_peers(view, located)
            for index, other, same in _covered(located.rule.ports, lambda a, b: ports_within([a], [b])):
                where = located.pointer("ports", index)
                yield _repeated(policy, located.port_path(index), located.port_path(other), same, where)


def _covered_peers(view: View, located: LocatedRule) -> Iterator[Finding]:
    own = located.policy.ref.namespace
    split = {index for pair in pairs(view, located) for index in (pair.first, pair.first + 1)}
    for index, other, same in _covered(located.rule.peers, lambda a, b: peer_within(a, b, own)):
        if not {index, other} <= split:
            where = located.pointer(located.list_name, index)
            yield _repeated(located.policy, located.peer_path(index), located.peer_path(other), same, where)


def _covered(items: Sequence[T], within: Callable[[T, T], bool]) -> Iterator[tuple[int, int, bool]]:
    """(index, index of the item that covers it, whether they are equal). Of equal items, the later ones."""
    for index, item in enumerate(items):
        for other, wider in enumerate(items):
            if index == other or not within(item, wider):
                continue
            if within(wider, item) and other > index:
                continue
            yield index, other, item == wider
            break


def _covered_rules(policy: Policy, direction: Direction) -> Iterator[Finding]:
    rules = policy.rules(direction) or ()
    for index, other, same in _covered(rules, lambda a, b: rule_within(a, [b], policy.ref.namespace)):
        section = f"spec.{direction.value}"
        where = pointer("spec", direction.value, index)
        yield _repeated(policy, f"{section}[{index}]", f"{section}[{other}]", same, where)


def _repeated(policy: Policy, path: str, other: str, same: bool, where: str) -> Finding:
    return Finding.about(
        policy,
        path,
        f"adds nothing: {other} {'says the same' if same else 'covers it'}",
        suggestion="remove it",
        severity=Severity.NOTE,
        fix=({"op": "remove", "path": where},) if same else (),
    )


@lint_rule(Severity.NOTE)
def redundant_policy(view: View) -> Iterator[Finding]:
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
    for policies in view.policies.values():
        sieve = _Sieve(policies)
        for policy in policies:
            if not impossible(policy.subject.pods):  # impossible-selector reports it
                other = _covering(policy, sieve.candidates(policy))
                if other is not None:
                    yield _redundant(policy, other)


class _Sieve:
    """The policies of one namespace, by what one of their peers requires, so that few pairs are compared.

    A peer that covers another requires no label that the other does not. So each is filed under the rarest
    label that it requires, and those that may cover a policy are found under the labels of one of its peers.
    """

    def __init__(self, policies: Sequence[Policy]) -> None:
        self._policies = policies
        kept = [(number, *each) for number, policy in enumerate(policies) for each in _required(policy)]
        common = Counter((part, label) for _, part, labels in kept for label in labels)
        self._found: dict[tuple[object, object], set[int]] = defaultdict(set)
        for number, part, labels in kept:
            rarest = min(labels, key=lambda label: common[part, label], default=None)
            self._found[part, rarest].add(number)

    def candidates(self, policy: Policy) -> Iterable[Policy]:
        """Every policy that may cover a policy, itself included, in the order given."""
        part, labels = max(_required(policy), key=lambda each: len(each[1]), default=(None, frozenset()))
        home = ("namespace", NAME_LABEL, policy.ref.namespace)  # for a peer without namespaceSelector
        found = (self._found.get((part, label), ()) for label in (None, home, *labels))
        return (self._policies[number] for number in sorted(set().union(*found)))


def _required(policy: Policy) -> Iterator[tuple[object, frozenset[object]]]:
    """For each peer that can match, its direction and the labels that it requires.

    For a policy without rules, what it closes.
    """
    if not (policy.ingress or policy.egress):
        yield (policy.ingress is None, policy.egress is None), frozenset()
    for direction in Direction:
        for rule in policy.rules(direction) or ():
            for peer in rule.peers:
                if isinstance(peer, PodPeer):
                    if not _matches_nobody(peer):
                        yield direction, frozenset(("pods", *required_labels(peer)))
                else:
                    yield direction, frozenset(() if isinstance(peer, AnyPeer) else ("block",))


def _matches_nobody(peer: PodPeer) -> bool:
    return impossible(peer.pods) or (peer.namespaces is not None and impossible(peer.namespaces))


def _covering(policy: Policy, others: Iterable[Policy]) -> Policy | None:
    """One of the policies that select the same pods and more, if it makes this one redundant.

    Of two that say the same, the later one is redundant.
    """
    earlier = True
    for other in others:
        if other is policy:
            earlier = False
        elif (
            implies(policy.subject.pods, other.subject.pods)
            and _is_redundant(policy, other)
            and (earlier or not _the_same(policy, other))
        ):
            return other
    return None


def _the_same(policy: Policy, other: Policy) -> bool:
    return implies(other.subject.pods, policy.subject.pods) and _is_redundant(other, policy)


def _redundant(policy: Policy, other: Policy) -> Finding:
    return Finding.about(
        policy,
        "",
        f"redundant: {other.ref.name} selects the same pods and "
        + ("allows all of this" if policy.ingress or policy.egress else "isolates them as well"),
        suggestion="remove it",
        severity=Severity.NOTE,
    )


def _is_redundant(policy: Policy, other: Policy) -> bool:
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


@lint_rule(Severity.WARNING)
def reopened_except(view: View) -> Iterator[Finding]:
    """An `except` that another rule opens again.

    Policies and rules add up: an `except` only limits its own rule. If another rule for the same pods allows
    all of the excepted addresses on the same ports, the `except` has no effect.

    A rule that opens a part of the excepted addresses, or fewer ports, is not reported: "everything outside,
    and DNS inside" is written like that.

    Example:

          apiVersion: networking.k8s.io/v1
          kind: NetworkPolicy
          metadata: {name: outside-only, namespace: shop}
          spec:
            podSelector: {matchLabels: {app: web}}
            policyTypes: [Egress]
            egress:
              - to: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8]}}]
                ports: [{port: 443}]
        - ---
        - apiVersion: networking.k8s.io/v1
        - kind: NetworkPolicy
        - metadata: {name: https, namespace: shop}
        - spec:
        -   podSelector: {}
        -   policyTypes: [Egress]
        -   egress:
        -     - to: [{ipBlock: {cidr: 0.0.0.0/0}}]
        +     - to: [{ipBlock: {cidr: 10.0.0.10/32}}]
                ports: [{port: 443}]
    """
    opening: dict[tuple[str, Direction], list[LocatedRule]] = defaultdict(list)
    for located in view.rules:
        if any(isinstance(peer, AnyPeer | IPBlock) for peer in located.rule.peers):
            opening[located.policy.ref.namespace, located.direction].append(located)

    @cache
    def allowing(namespace: str, direction: Direction, network: Network) -> list[LocatedRule]:
        """The rules that allow a network on some port."""
        return [
            each
            for each in opening[namespace, direction]
            if any(peer_within(IPBlock(network), peer, "") for peer in each.rule.peers)
        ]

    for located, index, block in view.all_peers(IPBlock):
        for number, network in enumerate(block.excluded):
            others = allowing(located.policy.ref.namespace, located.direction, network)
            other = next((each for each in others if _covers(view, each, located)), None)
            if other is not None:
                yield Finding.about(
                    located.policy,
                    f"{located.peer_path(index)}.ipBlock.except[{number}]",
                    f"{network} is excepted here, but {other.path} of {other.policy.ref} allows all of "
                    "it for the same pods: rules add up",
                    suggestion="except it there too, if it should stay closed",
                )


def _covers(view: View, other: LocatedRule, located: LocatedRule) -> bool:
    """Whether another rule is for all pods of a rule, on all of its ports."""
    return (
        other is not located
        and view.selects_all_of(other.policy, located.policy)
        and ports_within(located.rule.ports, other.rule.ports)
    )
