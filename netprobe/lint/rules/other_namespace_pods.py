"""A podSelector alone, intended for pods of another namespace.

Without a namespaceSelector in the same item, a podSelector matches only pods of the policy's own
namespace. It is reported if the pods are known: none in the policy's namespace has the labels, and pods
elsewhere do.

Example:

      {apiVersion: v1, kind: Pod, metadata: {name: pg, namespace: database, labels: {app: postgres}}}
      ---
      {apiVersion: v1, kind: Pod, metadata: {name: api, namespace: backend, labels: {app: api}}}
      ---
      apiVersion: networking.k8s.io/v1
      kind: NetworkPolicy
      metadata: {name: allow-api, namespace: database}
      spec:
        podSelector: {matchLabels: {app: postgres}}
        ingress:
    -     - from: [{podSelector: {matchLabels: {app: api}}}]
    +     - from:
    +         - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: backend}}
    +           podSelector: {matchLabels: {app: api}}
            ports: [{port: 5432}]
"""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.lint.finding import Finding, Severity
from netprobe.lint.located import LocatedRule
from netprobe.lint.rules.or_for_and import pairs
from netprobe.lint.selector_sets import impossible
from netprobe.lint.view import View
from netprobe.model.labels import EVERYTHING, NAME_LABEL
from netprobe.model.policy import PodPeer
from netprobe.model.text import listed

SEVERITY = Severity.WARNING


def check(view: View) -> Iterator[Finding]:
    for located, index, peer in view.all_peers(PodPeer):
        homes = elsewhere(view, located, index)
        if homes:
            home = f"{{{NAME_LABEL}: {homes[0]}}}"
            yield Finding.about(
                located.policy,
                f"{located.peer_path(index)}.podSelector",
                f"podSelector {peer.pods} alone matches only pods of {located.policy.ref.namespace}, and "
                f"there are none; such pods are in {listed(homes)}",
                suggestion=f"put namespaceSelector: {{matchLabels: {home}}} into the same item"
                if len(homes) == 1
                else "put a namespaceSelector for the right one into the same item",
            )


def elsewhere(view: View, located: LocatedRule, index: int) -> list[str]:
    """Other namespaces with pods that a podSelector alone would match; [] if it matches in its own."""
    peer = located.rule.peers[index]
    own = located.policy.ref.namespace
    if not isinstance(peer, PodPeer) or peer.namespaces is not None:
        return []
    if peer.pods == EVERYTHING or impossible(peer.pods):
        return []
    if not view.knows_pods(own) or view.pods(own, peer.pods):
        return []
    if any(index in {pair.first, pair.first + 1} for pair in pairs(view, located)):
        return []
    return sorted({pod.ref.namespace for pod in view.pods_anywhere(peer.pods)} - {own})
