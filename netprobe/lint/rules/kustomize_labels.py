"""Labels of the policy's own pods in a peer of another namespace, as Kustomize adds them.

`commonLabels`, and `labels` with `includeSelectors`, add labels to every selector of a policy, peers
included. Pods of another namespace, such as an ingress controller, do not have the labels of this
application: the peer then matches nobody.

It is reported if a peer matches no known pod, and matches some without the labels that the policy's own
podSelector has as well.

Example:

      {apiVersion: v1, kind: Namespace, metadata: {name: ingress}}
      ---
      {apiVersion: v1, kind: Pod, metadata: {name: ctl, namespace: ingress, labels: {app: nginx}}}
      ---
      apiVersion: networking.k8s.io/v1
      kind: NetworkPolicy
      metadata: {name: web, namespace: shop}
      spec:
        podSelector: {matchLabels: {team: red}}
        ingress:
          - from:
              - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: ingress}}
    -           podSelector: {matchLabels: {app: nginx, team: red}}
    +           podSelector: {matchLabels: {app: nginx}}
            ports: [{port: 8080}]
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from netprobe.lint.finding import Finding, Severity
from netprobe.lint.view import View, workloads
from netprobe.model.policy import PodPeer
from netprobe.model.text import listed

SEVERITY = Severity.WARNING


def check(view: View) -> Iterator[Finding]:
    for located, index, peer in view.all_peers(PodPeer):
        shared = {*located.policy.subject.pods.match_labels} & {*peer.pods.match_labels}
        if peer.namespaces is None or not shared or not view.matches_nobody(located.policy, peer):
            continue
        rest = tuple(pair for pair in peer.pods.match_labels if pair not in shared)
        without = replace(peer, pods=replace(peer.pods, match_labels=rest))
        pods = list(view.peers(located.policy, without)) if rest else []
        if pods:
            labels = listed(f"{key}={value}" for key, value in sorted(shared))
            yield Finding.about(
                located.policy,
                f"{located.peer_path(index)}.podSelector",
                f"the policy's own podSelector has {labels} too, and {listed(workloads(pods))} has no "
                "such label: Kustomize adds labels to peers too",
                suggestion="remove it from the peer; in the kustomization use labels without "
                "includeSelectors",
            )
