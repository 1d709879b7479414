"""A label on a workload that its pod template lacks.

A selector of a policy looks at pods. The labels in `metadata` of a Deployment or CronJob are those of the
workload itself; its pods have the labels of the template (`spec.template`, of a CronJob
`spec.jobTemplate.spec.template`).

It is reported if a selector matches no pod of its namespace, and a workload itself has the labels.

Example:

      apiVersion: batch/v1
      kind: CronJob
    - metadata: {name: backup, namespace: shop, labels: {app: backup}}
    - spec: {schedule: "@daily", jobTemplate: {spec: {template: {spec: {containers: [{name: c, image: i}]}}}}}
    + metadata: {name: backup, namespace: shop}
    + spec:
    +   schedule: "@daily"
    +   jobTemplate:
    +     spec:
    +       template:
    +         metadata: {labels: {app: backup}}
    +         spec: {containers: [{name: c, image: i}]}
      ---
      apiVersion: networking.k8s.io/v1
      kind: NetworkPolicy
      metadata: {name: db, namespace: shop}
      spec:
        podSelector: {}
        ingress:
          - from: [{podSelector: {matchLabels: {app: backup}}}]
            ports: [{port: 5432}]
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from netprobe.lint.finding import Finding, Severity
from netprobe.lint.selector_sets import terms
from netprobe.lint.view import View
from netprobe.manifests.workload import template_path
from netprobe.model.labels import Selector
from netprobe.model.policy import PodPeer, Policy
from netprobe.model.text import listed

SEVERITY = Severity.WARNING


def check(view: View) -> Iterator[Finding]:
    for policy in view.cluster.policies:
        yield from _findings(view, policy, "spec.podSelector", [policy.ref.namespace], policy.subject.pods)
    for located, index, peer in view.all_peers(PodPeer):
        homes: Iterable[str] = [located.policy.ref.namespace]
        if peer.namespaces is not None:
            homes = view.namespaces(peer.namespaces)
        path = f"{located.peer_path(index)}.podSelector"
        yield from _findings(view, located.policy, path, homes, peer.pods)


def _findings(
    view: View, policy: Policy, path: str, homes: Iterable[str], selector: Selector
) -> Iterator[Finding]:
    owners = mislabelled(view, homes, selector)
    if owners:
        kind = owners[0].partition("/")[0]
        yield Finding.about(
            policy,
            path,
            f"{listed(owners)} itself has the labels {selector}, its pods do not",
            suggestion=f"put the labels into {template_path(kind)}.metadata.labels",
        )


def mislabelled(view: View, namespaces: Iterable[str], selector: Selector) -> list[str]:
    """The workloads that have the labels themselves, if no pod of these namespaces has them."""
    if all(term.absent for term in terms(selector).values()):
        return []  # it requires no label
    homes = list(namespaces)
    if any(view.pods(name, selector) for name in homes):
        return []
    return [
        owner
        for name in homes
        for owner, labels in view.workload_labels.get(name, ())
        if selector.matches(labels)
    ]
