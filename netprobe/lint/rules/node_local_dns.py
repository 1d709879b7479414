"""DNS allowed by podSelector, in a cluster with node-local DNS.

The DNS cache of a node listens on a link-local address, usually 169.254.20.10, in the node's network. No
podSelector matches it: egress to it needs an ipBlock (kubernetes.io, "Using NodeLocal DNSCache").

It is reported if pods of node-local DNS are in the input, and no policy opens their address on UDP port 53
for pods to which DNS is allowed by selectors.

Example:

      apiVersion: apps/v1
      kind: DaemonSet
      metadata: {name: node-local-dns, namespace: kube-system}
      spec:
        template:
          metadata: {labels: {k8s-app: node-local-dns}}
          spec: {hostNetwork: true, containers: [{name: c, image: i, args: ["-localip", 169.254.20.10]}]}
      ---
      apiVersion: networking.k8s.io/v1
      kind: NetworkPolicy
      metadata: {name: dns, namespace: shop}
      spec:
        podSelector: {}
        policyTypes: [Egress]
        egress:
    -     - to: [{namespaceSelector: {}, podSelector: {matchLabels: {k8s-app: kube-dns}}}]
    +     - to:
    +         - {namespaceSelector: {}, podSelector: {matchLabels: {k8s-app: kube-dns}}}
    +         - {ipBlock: {cidr: 169.254.20.10/32}}
            ports: [{port: 53, protocol: UDP}]
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_network

from netprobe.lint.cover import rule_within
from netprobe.lint.finding import Finding, Severity
from netprobe.lint.located import located_rules
from netprobe.lint.view import View
from netprobe.model.flow import Protocol
from netprobe.model.policy import Direction, IPBlock, Network, PodPeer, PortRange, Rule

SEVERITY = Severity.WARNING
USUAL = "169.254.20.10"
NAME = "node-local-dns"
DNS = PortRange(Protocol.UDP, 53, 53)
_LINK_LOCAL = re.compile(r"169\.254(?:\.\d{1,3}){2}")


def check(view: View) -> Iterator[Finding]:
    address = _address(view)
    if address is None:
        return
    wanted = Rule((IPBlock(address),), (DNS,))
    for policy in view.cluster.policies:
        for located in located_rules(policy):
            if located.direction is not Direction.EGRESS or DNS not in located.rule.ports:
                continue
            if not all(isinstance(peer, PodPeer) for peer in located.rule.peers):
                continue
            around = view.rules_beside(policy, Direction.EGRESS)
            if not rule_within(wanted, around, policy.ref.namespace):
                yield Finding.about(
                    policy,
                    f"{located.path}.to",
                    "DNS is allowed by selectors only, and node-local DNS answers at "
                    f"{address.network_address} in the network of the node, which no selector matches",
                    suggestion=f"add {{ipBlock: {{cidr: {address}}}}} to this rule",
                )
                break


def _address(view: View) -> Network | None:
    """Where node-local DNS listens, if it is in the input."""
    if not any(
        pod.host_network and (pod.labels.get("k8s-app") == NAME or pod.ref.name.startswith(NAME))
        for pod in view.cluster.pods.values()
    ):
        return None
    sources = (source for (_, name), source in view.cluster.sources.items() if NAME in name)
    given = (_LINK_LOCAL.search(str(source.object.get("spec"))) for source in sources)
    found = next((match[0] for match in given if match), USUAL)
    return ip_network(f"{found}/32")
