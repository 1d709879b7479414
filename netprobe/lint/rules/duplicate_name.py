"""Two different objects with the same name: the one applied later replaces the other.

In one file this is nearly always a copy whose name was not changed. In two files it may be two variants
that are never applied together, such as a base and an overlay, so it is a note: both are checked, but
commands that need one cluster take only one of the folders. Two identical objects count once.

Example:

      apiVersion: networking.k8s.io/v1
      kind: NetworkPolicy
      metadata: {name: api, namespace: production}
      spec:
        podSelector: {matchLabels: {app: api}}
        ingress: [{ports: [{port: 8080}]}]
      ---
      apiVersion: networking.k8s.io/v1
      kind: NetworkPolicy
    - metadata: {name: api, namespace: production}
    + metadata: {name: worker, namespace: production}
      spec:
        podSelector: {matchLabels: {app: worker}}
        ingress: [{ports: [{port: 9000}]}]
"""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.lint.finding import Finding, Severity
from netprobe.lint.view import View
from netprobe.model.policy import PolicyRef

SEVERITY = Severity.WARNING


def check(view: View) -> Iterator[Finding]:
    first = {policy.ref: policy for policy in view.cluster.policies}
    for policy in view.repeated:
        other = first.get(policy.ref)
        if other is None or other == policy or policy.origin is None or other.origin is None:
            continue
        yield Finding.about(
            policy,
            "metadata.name",
            f"{policy.ref} is already at {other.origin}, with different content: the later one replaces it",
            suggestion="give it another name",
            severity=SEVERITY if policy.origin.file == other.origin.file else Severity.NOTE,
        )
    for repeat in view.variants:
        document = repeat.document
        namespace, _, name = repeat.name.rpartition("/")
        yield Finding(
            PolicyRef(namespace, name),
            "metadata.name",
            f"{document.kind} {repeat.name} is already at {repeat.first}, with different content: the later "
            "one replaces it",
            suggestion="give it another name, or pass only one of the folders",
            origin=document.origin,
            severity=SEVERITY if document.origin.file == repeat.first.file else Severity.NOTE,
        )
