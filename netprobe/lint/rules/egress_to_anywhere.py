"""Egress to 0.0.0.0/0 or ::/0: every address there is.

Anyone who takes over the pod can send data to any address on the internet. With most network plugins this
also includes every pod, node and metadata service, because an ipBlock of all addresses contains those
too. Name the networks that are needed. A block with `except` is a note: private networks are excluded,
the internet is not. Rules for port 53 only are not reported.

Example:

      apiVersion: networking.k8s.io/v1
      kind: NetworkPolicy
      metadata: {name: allow-partner, namespace: production}
      spec:
        podSelector: {matchLabels: {app: api}}
        policyTypes: [Egress]
        egress:
    -     - to: [{ipBlock: {cidr: 0.0.0.0/0}}]
    +     - to: [{ipBlock: {cidr: 203.0.113.0/24}}]
            ports: [{port: 443}]
"""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.lint.finding import Finding, Severity
from netprobe.lint.located import LocatedRule
from netprobe.lint.view import View
from netprobe.model.policy import Direction, IPBlock, PortRange

SEVERITY = Severity.WARNING


def check(view: View) -> Iterator[Finding]:
    for located in view.rules:
        if located.direction is Direction.INGRESS or _dns_only(located):
            continue
        blocks = [(index, peer) for index, peer in enumerate(located.rule.peers) if isinstance(peer, IPBlock)]
        halves = {block.cidr.version for _, block in blocks if block.cidr.prefixlen == 1}
        for index, block in blocks:
            half = block.cidr.prefixlen == 1 and _both_halves(blocks, block) and block.cidr.version in halves
            if block.cidr.prefixlen > 0 and not half:
                continue
            halves.discard(block.cidr.version)
            yield Finding.about(
                located.policy,
                f"{located.peer_path(index)}.ipBlock.cidr",
                f"egress to {block.cidr}{' and its other half' if half else ''}: every address"
                + (
                    " except the excluded ones"
                    if block.excluded
                    else ", including pods and nodes of the cluster"
                ),
                suggestion="name the networks that are needed",
                severity=Severity.NOTE if block.excluded else SEVERITY,
            )


def _both_halves(blocks: list[tuple[int, IPBlock]], one: IPBlock) -> bool:
    return any(
        other.cidr.prefixlen == 1 and other.cidr.version == one.cidr.version and other.cidr != one.cidr
        for _, other in blocks
    )


def _dns_only(located: LocatedRule) -> bool:
    return all(isinstance(port, PortRange) and port.first == port.last == 53 for port in located.rule.ports)
