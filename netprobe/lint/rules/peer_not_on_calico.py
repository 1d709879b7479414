"""A peer by `nodes` or `domainNames`, which Calico does not support.

Both are in the experimental channel of ClusterNetworkPolicy, and Calico 3.32 knows neither. It treats them as
the API asks for unknown peers: a rule that accepts is dropped, and one that denies or passes denies
everything that its ports match. So "deny egress to the nodes" cuts the pods off completely. The same happens
with any other field that is not known. On other network plugins it may be right, so it is a note unless the
input contains objects of Calico.

Example:

      apiVersion: policy.networking.k8s.io/v1beta1
      kind: ClusterNetworkPolicy
      metadata: {name: no-nodes}
      spec:
        tier: Admin
        priority: 10
        subject: {namespaces: {}}
        egress:
          - action: Deny
    -       to: [{nodes: {}}]
    +       to: [{networks: [172.18.0.0/16]}]
"""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.lint.finding import Finding, Severity
from netprobe.lint.located import located_rules
from netprobe.lint.view import View
from netprobe.model.policy import (
    CALICO_KINDS,
    STANDARD_TIERS,
    Action,
    DomainPeer,
    NodePeer,
    Peer,
    UnknownPeer,
)
from netprobe.model.text import listed

SEVERITY = Severity.WARNING


def check(view: View) -> Iterator[Finding]:
    severity = SEVERITY if _is_calico(view) else Severity.NOTE
    for policy in view.ordered:
        for located in located_rules(policy):
            names = dict.fromkeys(name for peer in located.rule.peers if (name := _field(peer)))
            if names:
                fate = "it matches nothing" if located.rule.action is Action.ALLOW else "it denies everything"
                yield Finding.about(
                    policy,
                    located.path,
                    f"Calico does not support a peer by {listed(names)}: there the {located.action} rule "
                    f"does not do what it says, {fate} on its ports",
                    suggestion="use `networks` with the addresses",
                    severity=severity,
                )


def _field(peer: Peer) -> str:
    match peer:
        case NodePeer():
            return "nodes"
        case DomainPeer():
            return "domainNames"
        case UnknownPeer(field):
            return field or "an unknown field"
        case _:
            return ""


def _is_calico(view: View) -> bool:
    cluster = view.all_kinds
    return bool(
        cluster.network_sets
        or cluster.staged
        or any(policy.kind in CALICO_KINDS for policy in cluster.policies)
        or {tier.name for tier in cluster.tiers} - {tier.name for tier in STANDARD_TIERS}
    )
