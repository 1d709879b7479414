"""A policy in an ambient mesh that does not open port 15008.

In Istio's ambient mode, a pod receives the connections of others of the mesh through ztunnel, as HBONE on
TCP port 15008. A policy that only lists the application's ports closes that (istio.io, "Ambient and
Kubernetes NetworkPolicy"). Health checks of the kubelet come from 169.254.7.127.

It is reported if a namespace has the label `istio.io/dataplane-mode: ambient`, or the selected pods have,
and a rule lists ports while no policy opens 15008 for those pods.

Example:

      {apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {istio.io/dataplane-mode: ambient}}}
      ---
      apiVersion: networking.k8s.io/v1
      kind: NetworkPolicy
      metadata: {name: web, namespace: shop}
      spec:
        podSelector: {matchLabels: {app: web}}
        ingress:
          - from: [{podSelector: {matchLabels: {app: front}}}]
    -       ports: [{port: 8080}]
    +       ports: [{port: 8080}, {port: 15008}]
"""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.lint.cover import ports_within
from netprobe.lint.finding import Finding, Severity
from netprobe.lint.view import View
from netprobe.model.flow import Protocol
from netprobe.model.policy import Direction, Policy, PortRange

SEVERITY = Severity.WARNING
MODE = ("istio.io/dataplane-mode", "ambient")
HBONE = PortRange(Protocol.TCP, 15008, 15008)


def check(view: View) -> Iterator[Finding]:
    for policy in view.cluster.policies:
        if not policy.ingress or not _in_mesh(view, policy):
            continue
        rules = view.rules_beside(policy, Direction.INGRESS)
        if not any(ports_within([HBONE], rule.ports) for rule in rules):
            yield Finding.about(
                policy,
                "spec.ingress",
                f"the pods are in an ambient mesh ({'='.join(MODE)}), where connections arrive on port "
                "15008, and no rule opens it",
                suggestion="add {port: 15008} to the rules for peers in the mesh",
            )


def _in_mesh(view: View, policy: Policy) -> bool:
    key, value = MODE
    pods = view.subjects(policy)
    if any(pod.labels.get(key, value) != value for pod in pods):
        return False  # a pod's label wins
    own = bool(pods) and all(pod.labels.get(key) == value for pod in pods)
    return own or view.labels.get(policy.ref.namespace, {}).get(key) == value
