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

from __future__ import annotations

from collections.abc import Iterator

from netprobe.lint.cover import peer_within, ports_within
from netprobe.lint.finding import Finding, Severity
from netprobe.lint.located import LocatedRule, located_rules
from netprobe.lint.view import View
from netprobe.model.policy import IPBlock, Network

SEVERITY = Severity.WARNING


def check(view: View) -> Iterator[Finding]:
    for located, index, block in view.all_peers(IPBlock):
        for number, network in enumerate(block.excluded):
            other = _opening(view, located, network)
            if other is not None:
                yield Finding.about(
                    located.policy,
                    f"{located.peer_path(index)}.ipBlock.except[{number}]",
                    f"{network} is excepted here, but {other.path} of {other.policy.ref} allows all of "
                    "it for the same pods: rules add up",
                    suggestion="except it there too, if it should stay closed",
                )


def _opening(view: View, located: LocatedRule, network: Network) -> LocatedRule | None:
    """Another rule that allows a network on the ports of a rule, for all of its pods."""
    for policy in view.beside(located.policy):
        for other in located_rules(policy):
            if other.direction is not located.direction or other == located:
                continue
            if ports_within(located.rule.ports, other.rule.ports) and any(
                peer_within(IPBlock(network), peer, policy.ref.namespace) for peer in other.rule.peers
            ):
                return other
    return None
