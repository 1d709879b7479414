"""An empty `from` or `to` matches everyone, an empty `ports` every port.

`ingress: []` lets nobody in. `ingress: [{from: []}]` lets everybody in, addresses outside included: inside
a rule an empty list, or a key with nothing after it, is the same as none. With ports beside it, or in
a policy whose name says "allow", an empty `from` is a note: people do write it for "anyone".

Fails:

    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: nobody, namespace: production}
    spec:
      podSelector: {}
      ingress:
        - from: []

Passes:

    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: nobody, namespace: production}
    spec:
      podSelector: {}
      policyTypes: [Ingress]
      ingress: []
"""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.lint.finding import Finding, Severity
from netprobe.lint.view import Place, View, written
from netprobe.model.policy import ANY_PEER, ANY_PORT

ID = "empty-list"
SEVERITY = Severity.WARNING


def check(view: View) -> Iterator[Finding]:
    for place in view.places:
        peers = f"{place.path}.{place.list_name}"
        if place.rule.peers == ANY_PEER and written(place.policy, peers):
            yield Finding.about(
                place.policy,
                ID,
                Severity.NOTE if _deliberate(place) else SEVERITY,
                peers,
                f"an empty `{place.list_name}` matches everyone, addresses outside the cluster included",
                suggestion=f"for nobody write {place.direction.value}: []; for everyone leave "
                f"`{place.list_name}` out",
            )
        ports = f"{place.path}.ports"
        if place.rule.ports == ANY_PORT and written(place.policy, ports):
            yield Finding.about(
                place.policy,
                ID,
                SEVERITY,
                ports,
                "an empty `ports` opens every port",
                suggestion="list the ports that are needed, or leave `ports` out if all are meant",
            )


def _deliberate(place: Place) -> bool:
    return place.rule.ports != ANY_PORT or "allow" in place.policy.ref.name
