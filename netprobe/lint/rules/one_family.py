"""Every IPv4 address but no IPv6 address, for pods that have both.

0.0.0.0/0 says nothing about IPv6. A dual-stack pod prefers IPv6 where the name that it connects to has such
an address, and then the policy denies the connection, or a client. The other way round, ::/0 leaves out
IPv4.

It is reported if known pods that the policy selects have addresses of both families.

Example:

      {apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop, labels: {app: web}},
        spec: {containers: [{name: web, image: web}]},
        status: {phase: Running, podIPs: [{ip: 10.0.0.7}, {ip: "fd00::7"}]}}
      ---
      apiVersion: networking.k8s.io/v1
      kind: NetworkPolicy
      metadata: {name: web, namespace: shop}
      spec:
        podSelector: {matchLabels: {app: web}}
        policyTypes: [Egress]
        egress:
    -     - to: [{ipBlock: {cidr: 0.0.0.0/0}}]
    +     - to: [{ipBlock: {cidr: 0.0.0.0/0}}, {ipBlock: {cidr: "::/0"}}]
            ports: [{port: 443}]
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network

from netprobe.lint.cover import rule_within
from netprobe.lint.finding import Finding, Severity
from netprobe.lint.view import View, workloads
from netprobe.model.policy import IPBlock, Network, Rule
from netprobe.model.text import listed

SEVERITY = Severity.WARNING
EVERYTHING: dict[int, Network] = {4: ip_network("0.0.0.0/0"), 6: ip_network("::/0")}


def check(view: View) -> Iterator[Finding]:
    for located, index, block in view.all_peers(IPBlock):
        policy = located.policy
        if block.cidr not in EVERYTHING.values():
            continue
        missing = EVERYTHING[10 - block.cidr.version]
        both = [pod for pod in view.subjects(policy) if {each.version for each in pod.addresses} == {4, 6}]
        wanted = Rule((IPBlock(missing),), located.rule.ports)
        around = view.rules_beside(policy, located.direction)
        if both and not rule_within(wanted, around, policy.ref.namespace):
            yield Finding.about(
                policy,
                f"{located.peer_path(index)}.ipBlock.cidr",
                f"{block.cidr} contains no IPv{missing.version} address, and {listed(workloads(both))} "
                "has addresses of both families",
                suggestion=f"add {{ipBlock: {{cidr: '{missing}'}}}}, if that is wanted as well",
            )
