"""A policy that the API server rejects.

The message is that of Kubernetes' own validation, with its place in the file: an `except` outside its
`cidr`, a quoted number as a port, an `ipBlock` next to a selector, a peer without fields, an `endPort`
below its `port`, an invalid label. The other rules skip such a policy.

Example:

      apiVersion: networking.k8s.io/v1
      kind: NetworkPolicy
      metadata: {name: office, namespace: production}
      spec:
        podSelector: {}
        ingress:
    -     - from: [{ipBlock: {cidr: 198.51.100.0/24, except: [203.0.113.7/32]}}]
    +     - from: [{ipBlock: {cidr: 198.51.100.0/24, except: [198.51.100.7/32]}}]
            ports: [{port: 443}]
"""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.lint.finding import Finding, Severity
from netprobe.lint.view import View

SEVERITY = Severity.ERROR


def check(view: View) -> Iterator[Finding]:
    """The errors found when the policies were read: there is no model of an invalid policy."""
    for refused in view.refused:
        message = refused.message
        if message == "Required value":
            message = f"{refused.path}: {message}"
        yield Finding(refused.ref, refused.path, message, origin=refused.origin, severity=SEVERITY)
