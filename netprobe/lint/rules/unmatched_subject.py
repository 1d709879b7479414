"""An ordered policy that applies to no pod.

A ClusterNetworkPolicy or a policy of Calico whose subject matches nothing is accepted and has no effect: a
mistyped label, or a namespace that does not have it. A selector that contradicts itself is an error. For
others the pods must be in the input: those of the namespaces that match, or of the whole cluster.

Example:

      apiVersion: projectcalico.org/v3
      kind: NetworkPolicy
      metadata: {name: default.web, namespace: shop}
      spec:
    -   selector: app == 'wbe'
    +   selector: app == 'web'
        types: [Ingress]
      ---
      {apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop, labels: {app: web}},
        spec: {containers: [{name: web, image: nginx}]}}
"""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.lint.finding import Finding, Severity
from netprobe.lint.selector_sets import impossible
from netprobe.lint.view import View
from netprobe.model.labels import EVERYTHING
from netprobe.model.policy import CALICO_KINDS, Policy

SEVERITY = Severity.ERROR


def check(view: View) -> Iterator[Finding]:
    for policy in view.ordered:
        subject = policy.subject
        selectors = [
            each for each in (subject.pods, subject.namespaces, subject.accounts) if each is not None
        ]
        never = any(map(impossible, selectors))
        if never or (_knows_all(view, policy) and not view.evaluation.universe.subjects(policy)):
            what = " and ".join(str(each) for each in selectors if each != EVERYTHING) or "it"
            yield Finding.about(
                policy,
                "spec.selector" if policy.kind in CALICO_KINDS else "spec.subject",
                f"no labels match {what}: the policy applies to no pod"
                if never
                else f"no pod matches {what}: the policy has no effect",
                severity=SEVERITY if never else Severity.WARNING,
            )


def _knows_all(view: View, policy: Policy) -> bool:
    """Whether the pods are known that a policy could apply to, and there are any."""
    namespaces = policy.subject.namespaces
    if namespaces is None:
        return view.knows_pods(policy.ref.namespace) and not view.may_select(
            [policy.ref.namespace], policy.subject.pods
        )
    homes = view.namespaces(namespaces)
    known = view.known.whole or (namespaces != EVERYTHING and bool(homes))
    if view.may_select(homes, policy.subject.pods):
        return False
    return known and all(map(view.knows_pods, homes)) and bool(view.all_kinds.pods)
