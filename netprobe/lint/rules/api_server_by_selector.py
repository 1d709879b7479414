"""Egress to the API server by a selector, which cannot match it.

The API server runs in the network of a control plane node, or outside the cluster: no podSelector and no
namespaceSelector matches it, not even `namespaceSelector: {}`. After translation of the Service
`default/kubernetes`, the port is that of the endpoint, usually 6443.

It is reported if the Service or the API server's pod is in the input, a rule opens 443 or 6443 to pods, none
of which has that port, and no policy opens the API server's address.

Example:

      {apiVersion: v1, kind: Service, metadata: {name: kubernetes, namespace: default},
        spec: {clusterIP: 10.96.0.1, ports: [{name: https, port: 443, targetPort: 6443}]}}
      ---
      {apiVersion: v1, kind: Endpoints, metadata: {name: kubernetes, namespace: default},
        subsets: [{addresses: [{ip: 192.0.2.4}], ports: [{name: https, port: 6443}]}]}
      ---
      apiVersion: networking.k8s.io/v1
      kind: NetworkPolicy
      metadata: {name: operator, namespace: shop}
      spec:
        podSelector: {}
        policyTypes: [Egress]
        egress:
    -     - to: [{namespaceSelector: {}}]
    -       ports: [{port: 443}]
    +     - to: [{ipBlock: {cidr: 192.0.2.4/32}}]
    +       ports: [{port: 6443}]
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network

from netprobe.lint.cover import rule_within
from netprobe.lint.finding import Finding, Severity
from netprobe.lint.located import LocatedRule
from netprobe.lint.view import View
from netprobe.model.flow import Protocol, ServiceRef
from netprobe.model.policy import Direction, IPBlock, PodPeer, PortRange, Rule
from netprobe.model.text import listed

SEVERITY = Severity.WARNING
PORTS = tuple(PortRange(Protocol.TCP, number, number) for number in (443, 6443))
SERVICE = ServiceRef("default", "kubernetes")


def check(view: View) -> Iterator[Finding]:
    ends = _servers(view)
    for located in view.rules if ends is not None else ():
        meant = [port for port in PORTS if port in located.rule.ports]
        if not meant or not _is_by_selector(view, located, meant):
            continue
        policy = located.policy
        around = view.rules_beside(policy, Direction.EGRESS)
        if any(rule_within(end, around, policy.ref.namespace) for end in ends or ()):
            continue
        known = listed(f"{end.peers[0].cidr}" for end in ends or () if isinstance(end.peers[0], IPBlock))
        yield Finding.about(
            policy,
            f"{located.path}.to",
            f"no pod that this matches has port {meant[0].first}; if it is meant to allow the API server: no "
            "selector matches that",
            suggestion=f"use an ipBlock with the API server's address{f', {known}' if known else ''}, and "
            "the port of its endpoint, usually 6443",
        )


def _servers(view: View) -> list[Rule] | None:
    """What would open each API server; [] if no address is known, None if none is in the input."""
    service = view.cluster.services.get(SERVICE)
    if service is not None:
        return [
            Rule(
                (IPBlock(ip_network(f"{end.address}/{end.address.max_prefixlen}")),),
                (PortRange(end.protocol, end.port, end.port),),
            )
            for end in service.endpoints or ()
        ]
    pods = view.cluster.pods.values()
    return [] if any(p.host_network and p.labels.get("component") == "kube-apiserver" for p in pods) else None


def _is_by_selector(view: View, located: LocatedRule, meant: list[PortRange]) -> bool:
    """Whether an egress rule names pods, and no pod with its own address has one of the ports."""
    if located.direction is not Direction.EGRESS:
        return False
    if not all(isinstance(peer, PodPeer) and peer.namespaces is not None for peer in located.rule.peers):
        return False
    return not any(
        port.number == wanted.first and port.protocol is wanted.protocol
        for pod in view.destinations(located)
        if not pod.host_network
        for port in pod.ports
        for wanted in meant
    )
