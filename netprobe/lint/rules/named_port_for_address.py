"""An egress rule that allows a named port to addresses.

A port name is looked up on the destination pod. Addresses outside the cluster have no port names, so a
named port with an ipBlock allows nothing there.

Example:

      apiVersion: networking.k8s.io/v1
      kind: NetworkPolicy
      metadata: {name: api, namespace: production}
      spec:
        podSelector: {matchLabels: {app: api}}
        policyTypes: [Egress]
        egress:
          - to: [{ipBlock: {cidr: 203.0.113.0/24}}]
    -       ports: [{port: https}]
    +       ports: [{port: 443}]
"""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.explain.phrases import describe_peer
from netprobe.lint.finding import Finding, Severity
from netprobe.lint.view import View
from netprobe.model.policy import Direction, IPBlock, NamedPort

SEVERITY = Severity.WARNING


def check(view: View) -> Iterator[Finding]:
    for located in view.rules:
        block = next((peer for peer in located.rule.peers if isinstance(peer, IPBlock)), None)
        if located.direction is Direction.INGRESS or block is None:
            continue
        numbers = any(not isinstance(port, NamedPort) for port in located.rule.ports)
        mixed = any(not isinstance(peer, IPBlock) for peer in located.rule.peers)
        if numbers or mixed:
            continue  # the rule allows something
        for index, port in enumerate(located.rule.ports):
            if isinstance(port, NamedPort):
                yield Finding.about(
                    located.policy,
                    f"{located.port_path(index)}.port",
                    f"addresses outside have no port names: {port.name} allows nothing to "
                    f"{describe_peer(block)}",
                    suggestion="write the number of the port",
                )
