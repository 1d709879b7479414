"""A policy that the API server refuses.

What Kubernetes' own validation says of it, at its place in the file: an `except` outside its `cidr`, a
number in quotes as a port, an `ipBlock` beside a selector, a peer that says nothing, an `endPort` below its
`port`, a label that is none. The other rules do not look at such a policy.

Fails:

    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: office, namespace: production}
    spec:
      podSelector: {}
      ingress:
        - from: [{ipBlock: {cidr: 198.51.100.0/24, except: [203.0.113.7/32]}}]
          ports: [{port: 443}]

Passes:

    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: office, namespace: production}
    spec:
      podSelector: {}
      ingress:
        - from: [{ipBlock: {cidr: 198.51.100.0/24, except: [198.51.100.7/32]}}]
          ports: [{port: 443}]
"""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.lint.finding import Finding, Severity
from netprobe.lint.view import View

ID = "invalid"
SEVERITY = Severity.ERROR


def check(view: View) -> Iterator[Finding]:
    """What validation said when the policies were read; there is no model of an invalid policy."""
    for refused in view.refused:
        yield Finding(ID, SEVERITY, refused.ref, refused.path, refused.message, origin=refused.origin)
