"""An egress ipBlock that contains the address of a Service.

Most network plugins see a packet after the address of the Service has been translated to that of a pod,
so the block never matches. The result is undefined by the API. Select the pods behind the Service; for
the API server, whose Service is `default/kubernetes`, use the addresses of its endpoints.

It is reported if a known Service has its address in the block, and no known pod does.

Example:

      {apiVersion: v1, kind: Service, metadata: {name: kubernetes, namespace: default},
        spec: {clusterIP: 10.96.0.1, ports: [{port: 443, targetPort: 6443}]}}
      ---
      apiVersion: networking.k8s.io/v1
      kind: NetworkPolicy
      metadata: {name: to-api-server, namespace: production}
      spec:
        podSelector: {matchLabels: {app: operator}}
        policyTypes: [Egress]
        egress:
    -     - to: [{ipBlock: {cidr: 10.96.0.1/32}}]
    -       ports: [{port: 443}]
    +     - to: [{ipBlock: {cidr: 172.31.255.1/32}}]
    +       ports: [{port: 6443}]
"""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.lint.cover import is_narrow
from netprobe.lint.finding import Finding, Severity
from netprobe.lint.indexes import AddressIndex
from netprobe.lint.view import View
from netprobe.model.policy import Direction, IPBlock
from netprobe.model.text import listed

SEVERITY = Severity.WARNING


def check(view: View) -> Iterator[Finding]:
    addresses = AddressIndex(
        (address, f"{service.ref.namespace}/{service.ref.name}")
        for service in view.cluster.services.values()
        if service.ref in view.known.addressed
        for address in service.addresses
    )
    for located, index, block in view.all_peers(IPBlock):
        if located.direction is Direction.INGRESS or not is_narrow(block):
            continue
        services = addresses.inside(block)
        if services and not view.pods_inside(block):
            yield Finding.about(
                located.policy,
                f"{located.peer_path(index)}.ipBlock.cidr",
                f"{block.cidr} contains the address of Service {listed(services)}: most plugins see the "
                "pods' addresses instead, so the block never matches",
                suggestion="select the pods behind the Service, or use the addresses of its endpoints",
            )
