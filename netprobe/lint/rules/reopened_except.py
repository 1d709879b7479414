"""The rule reopened-except."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from functools import cache

from netprobe.lint.cover import peer_within, ports_within
from netprobe.lint.located import LocatedRule
from netprobe.lint.rule import Finding, Severity, lint_rule
from netprobe.lint.view import View
from netprobe.model.policy import AnyPeer, Direction, IPBlock, Network


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
