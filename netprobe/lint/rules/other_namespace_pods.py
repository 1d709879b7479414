"""A bare podSelector that means pods of another namespace.

Without a namespaceSelector beside it, a podSelector chooses among the pods of the policy's own namespace.
The rule speaks where the pods are given: none of the policy's namespace carries the labels, and pods
elsewhere do.

Fails:

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
        - from: [{podSelector: {matchLabels: {app: api}}}]
          ports: [{port: 5432}]

Passes:

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
        - from:
            - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: backend}}
              podSelector: {matchLabels: {app: api}}
          ports: [{port: 5432}]
"""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.lint.finding import Finding, Severity
from netprobe.lint.rules.or_for_and import pairs
from netprobe.lint.selector_sets import impossible
from netprobe.lint.view import Place, View
from netprobe.model.labels import EVERYTHING, NAME_LABEL
from netprobe.model.policy import PodPeer
from netprobe.model.text import listed

ID = "other-namespace-pods"
SEVERITY = Severity.WARNING


def check(view: View) -> Iterator[Finding]:
    for place in view.places:
        own = place.policy.ref.namespace
        for index, peer in enumerate(place.rule.peers):
            homes = elsewhere(view, place, index)
            if not homes or not isinstance(peer, PodPeer):
                continue
            home = f"{{{NAME_LABEL}: {homes[0]}}}"
            yield Finding.about(
                place.policy,
                ID,
                SEVERITY,
                f"{place.peer_path(index)}.podSelector",
                f"podSelector {peer.pods} alone means pods of {own}, where none is; "
                f"such pods are in {listed(homes)}",
                suggestion=f"put namespaceSelector: {{matchLabels: {home}}} into the same item"
                if len(homes) == 1
                else "put a namespaceSelector for the one that is meant into the same item",
            )


def elsewhere(view: View, place: Place, index: int) -> list[str]:
    """The other namespaces with pods that a bare podSelector would match; [] where it matches at home."""
    peer = place.rule.peers[index]
    own = place.policy.ref.namespace
    if not isinstance(peer, PodPeer) or peer.namespaces is not None:
        return []
    if peer.pods == EVERYTHING or impossible(peer.pods):
        return []
    if not view.knows_pods(own) or view.pods(own, peer.pods):
        return []
    if any(index in {pair.first, pair.first + 1} for pair in pairs(view, place)):
        return []
    return sorted({pod.ref.namespace for pod in view.pods_anywhere(peer.pods)} - {own})
