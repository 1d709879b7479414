"""Pods with hostNetwork: most network plugins apply no policy to them.

A hostNetwork pod has the address of its node. What a policy does for such a pod, or with it as a peer, is
undefined; usually selectors ignore it and its traffic counts as traffic of the node. So a policy that
selects only such pods, or a peer that matches only such pods, does nothing on most clusters.

Example:

      apiVersion: v1
      kind: Pod
      metadata: {name: exporter, namespace: monitoring, labels: {app: exporter}}
    - spec: {hostNetwork: true, containers: [{name: exporter, image: exporter}]}
    + spec: {containers: [{name: exporter, image: exporter}]}
      ---
      apiVersion: networking.k8s.io/v1
      kind: NetworkPolicy
      metadata: {name: exporter, namespace: monitoring}
      spec:
        podSelector: {matchLabels: {app: exporter}}
        ingress: [{ports: [{port: 9100}]}]
"""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.lint.cover import selects_everything
from netprobe.lint.finding import Finding, Severity
from netprobe.lint.view import View, workloads
from netprobe.model.policy import PodPeer
from netprobe.model.text import listed

SEVERITY = Severity.WARNING


def check(view: View) -> Iterator[Finding]:
    for policy in view.cluster.policies:
        pods = view.subjects(policy)
        if pods and not selects_everything(policy.subject.pods) and all(pod.host_network for pod in pods):
            yield Finding.about(
                policy,
                "spec.podSelector",
                f"selects only hostNetwork pods ({listed(workloads(pods))}): most plugins apply no policy "
                "to them",
                suggestion="filter on the node, or run the pods without hostNetwork",
            )
    for located, index, peer in view.all_peers(PodPeer):
        policy = located.policy
        if selects_everything(peer.pods) or view.matches_nobody(policy, peer):
            continue
        if all(pod.host_network for pod in view.peers(policy, peer)):
            yield Finding.about(
                policy,
                located.peer_path(index),
                f"matches only hostNetwork pods ({listed(workloads(view.peers(policy, peer)))}): most "
                "plugins see the node instead",
                suggestion="use an ipBlock with the addresses of the nodes",
            )
