"""Client addresses behind a Service whose nodes replace them.

With `externalTrafficPolicy: Cluster`, the default, a node that receives a connection for a node port or a
load balancer may send it on with its own address as the source. An ipBlock with the addresses of clients
then matches nothing (documentation of Services, "Preserving the client source IP"). With `Local`, nodes
pass connections on to their own pods only, and the address stays.

It is reported for blocks that are not the addresses of known nodes, on pods behind a Service of the type
NodePort or LoadBalancer. Load balancers that speak the PROXY protocol or HTTP are sources themselves.

Example:

      {apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop, labels: {app: web}}, spec: {
        containers: [{name: c, image: i, ports: [{containerPort: 8080}]}]}}
      ---
      {apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop}, spec: {type: LoadBalancer,
    -   selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}}
    +   externalTrafficPolicy: Local, selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}}
      ---
      apiVersion: networking.k8s.io/v1
      kind: NetworkPolicy
      metadata: {name: office, namespace: shop}
      spec:
        podSelector: {matchLabels: {app: web}}
        ingress:
          - from: [{ipBlock: {cidr: 203.0.113.0/24}}]
            ports: [{port: 8080}]
"""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.lint.finding import Finding, Severity
from netprobe.lint.view import View
from netprobe.model.flow import ServiceRef
from netprobe.model.labels import Selector
from netprobe.model.policy import Direction, IPBlock, Policy
from netprobe.model.text import listed
from netprobe.simulate.match import within

SEVERITY = Severity.WARNING


def check(view: View) -> Iterator[Finding]:
    nodes = {address for node in view.cluster.nodes.values() for address in node.addresses}
    nodes |= {address for pod in view.cluster.pods.values() for address in pod.node_addresses}
    for located, index, block in view.all_peers(IPBlock):
        if located.direction is not Direction.INGRESS or block.cidr.prefixlen == 0:
            continue
        if view.pods_inside(block) or any(within(block, address) for address in nodes):
            continue
        services = [f"{ref.namespace}/{ref.name}" for ref in _exposing(view, located.policy)]
        if services:
            yield Finding.about(
                located.policy,
                f"{located.peer_path(index)}.ipBlock.cidr",
                f"connections through Service {listed(services)} may come from the address of a node, so "
                f"{block.cidr} does not match their clients (externalTrafficPolicy: Cluster)",
                suggestion="set externalTrafficPolicy: Local on the Service, and check the impact on its "
                "load balancing",
            )


def _exposing(view: View, policy: Policy) -> Iterator[ServiceRef]:
    """The Services that nodes and load balancers serve, in front of a policy's pods."""
    own = {pod.ref for pod in view.subjects(policy)}
    for service in view.services.get(policy.ref.namespace, ()) if own else ():
        if not service.exposed or service.external_traffic_local or not service.selector:
            continue
        behind = view.pods(policy.ref.namespace, Selector.of(service.selector))
        if any(pod.ref in own for pod in behind):
            yield service.ref
