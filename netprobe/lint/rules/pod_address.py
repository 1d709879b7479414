"""An ipBlock that contains addresses of pods.

A pod gets another address after each restart, and its old address may go to another pod. An ipBlock is
for addresses outside the cluster: Cilium never matches pods by it, other plugins do. Select pods by
labels.

It is reported if known pods have addresses in a small block (/24 or smaller).

Fails:

    apiVersion: v1
    kind: Pod
    metadata: {name: api, namespace: production, labels: {app: api}}
    spec: {containers: [{name: api, image: api}]}
    status: {phase: Running, podIP: 10.244.1.7, podIPs: [{ip: 10.244.1.7}]}
    ---
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: postgres, namespace: production}
    spec:
      podSelector: {matchLabels: {app: postgres}}
      ingress:
        - from: [{ipBlock: {cidr: 10.244.1.7/32}}]
          ports: [{port: 5432}]

Passes:

    apiVersion: v1
    kind: Pod
    metadata: {name: api, namespace: production, labels: {app: api}}
    spec: {containers: [{name: api, image: api}]}
    status: {phase: Running, podIP: 10.244.1.7, podIPs: [{ip: 10.244.1.7}]}
    ---
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: postgres, namespace: production}
    spec:
      podSelector: {matchLabels: {app: postgres}}
      ingress:
        - from: [{podSelector: {matchLabels: {app: api}}}]
          ports: [{port: 5432}]
"""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.lint.finding import Finding, Severity
from netprobe.lint.view import View
from netprobe.model.policy import IPBlock
from netprobe.model.text import listed

ID = "pod-address"
SEVERITY = Severity.WARNING
NARROW = {4: 24, 6: 112}


def check(view: View) -> Iterator[Finding]:
    for located in view.rules:
        for index, peer in enumerate(located.rule.peers):
            if not isinstance(peer, IPBlock) or peer.cidr.prefixlen < NARROW[peer.cidr.version]:
                continue
            pods = view.pods_inside(peer)
            if pods:
                yield Finding.about(
                    located.policy,
                    ID,
                    SEVERITY,
                    f"{located.peer_path(index)}.ipBlock.cidr",
                    f"{peer.cidr} contains the current address of {listed(map(str, pods))}, which can change",
                    suggestion="select the pods by their labels",
                )
