"""An ipBlock that contains addresses of pods.

A pod gets another address after each restart, and its old address may go to another pod. An ipBlock is
for addresses outside the cluster: Cilium never matches pods by it, other plugins do. Select pods by
labels.

It is reported if known pods have addresses in a small block (/24 or smaller).

Example:

      {apiVersion: v1, kind: Pod, metadata: {name: api, namespace: production, labels: {app: api}},
        spec: {containers: [{name: api, image: api}]},
        status: {phase: Running, podIP: 10.244.1.7, podIPs: [{ip: 10.244.1.7}]}}
      ---
      apiVersion: networking.k8s.io/v1
      kind: NetworkPolicy
      metadata: {name: postgres, namespace: production}
      spec:
        podSelector: {matchLabels: {app: postgres}}
        ingress:
    -     - from: [{ipBlock: {cidr: 10.244.1.7/32}}]
    +     - from: [{podSelector: {matchLabels: {app: api}}}]
            ports: [{port: 5432}]
"""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.lint.cover import is_narrow
from netprobe.lint.finding import Finding, Severity
from netprobe.lint.view import View
from netprobe.model.policy import IPBlock
from netprobe.model.text import listed

SEVERITY = Severity.WARNING


def check(view: View) -> Iterator[Finding]:
    for located, index, block in view.all_peers(IPBlock):
        pods = view.pods_inside(block) if is_narrow(block) else ()
        if pods:
            yield Finding.about(
                located.policy,
                f"{located.peer_path(index)}.ipBlock.cidr",
                f"{block.cidr} contains the current address of {listed(map(str, pods))}, which can change",
                suggestion="select the pods by their labels",
            )
