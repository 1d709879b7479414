"""The rule redundant-policy."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

from netprobe.lint.cover import rule_within
from netprobe.lint.rule import Finding, Severity, lint_rule
from netprobe.lint.selector_sets import implies, impossible, single_values
from netprobe.lint.view import View
from netprobe.model.labels import NAME_LABEL
from netprobe.model.policy import AnyPeer, Direction, Peer, PodPeer, Policy


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
                    yield _finding(policy, other)


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
                if not (isinstance(peer, PodPeer) and _matches_nobody(peer)):
                    yield direction, frozenset(_labels(peer))


def _matches_nobody(peer: PodPeer) -> bool:
    return impossible(peer.pods) or (peer.namespaces is not None and impossible(peer.namespaces))


def _labels(peer: Peer) -> Iterator[object]:
    if isinstance(peer, PodPeer):
        yield "pods"
        yield from single_values(peer.pods, "pod")
        if peer.namespaces is not None:
            yield from single_values(peer.namespaces, "namespace")
    elif not isinstance(peer, AnyPeer):
        yield "block"


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
            and redundant(policy, other)
            and (earlier or not _the_same(policy, other))
        ):
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
        severity=Severity.NOTE,
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
