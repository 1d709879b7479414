"""Policies allow some pods their traffic, and no policy closes the rest of the namespace.

A policy isolates the pods that it selects and no others. A namespace that has only "allow" policies has
its selected pods closed and all their neighbours open, which is seldom what the author of an allow list
had in mind; the next workload that is deployed there is open too.

Where the namespace's pods are given, the rule names those that nothing isolates, and is silent where there
are none; Jobs that declare no port are left out, since nobody talks to them. Where they are not, it is a
note: the default deny may live in another file. It is one also where the policy names no namespace, and so
lands beside pods that nobody can name here. To close the egress of a few pods only is a sound choice: a
note, and only in a namespace with a default deny for ingress. Nothing is said of `kube-system`, where a
default deny can stop the cluster itself.

Fails:

    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: allow-api, namespace: database}
    spec:
      podSelector: {matchLabels: {app: postgres}}
      ingress:
        - from: [{podSelector: {matchLabels: {app: api}}}]
          ports: [{port: 5432}]

Passes:

    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: default-deny, namespace: database}
    spec:
      podSelector: {}
      policyTypes: [Ingress]
    ---
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: allow-api, namespace: database}
    spec:
      podSelector: {matchLabels: {app: postgres}}
      ingress:
        - from: [{podSelector: {matchLabels: {app: api}}}]
          ports: [{port: 5432}]
"""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.lint.cover import selects_everything
from netprobe.lint.finding import Finding, Severity
from netprobe.lint.known import ALWAYS_THERE
from netprobe.lint.view import View, workloads, written
from netprobe.model.flow import Pod
from netprobe.model.policy import ANY_PEER, ANY_PORT, Direction, Policy, Rule
from netprobe.model.text import listed

ID = "missing-default-deny"
SEVERITY = Severity.WARNING
CATCH_ALL = Rule(ANY_PEER, ANY_PORT)


def check(view: View) -> Iterator[Finding]:
    for namespace, policies in view.policies.items():
        if namespace == ALWAYS_THERE:
            continue
        for direction in Direction:
            isolating = [policy for policy in policies if policy.rules(direction) is not None]
            allowing = [policy for policy in isolating if _is_allow_list(policy, direction)]
            if not allowing or _closed_by_default(policies, direction):
                continue
            if direction is Direction.EGRESS and not _closed_by_default(policies, Direction.INGRESS):
                continue
            if view.has_pods(namespace):
                left = _open(view, namespace, isolating)
                if left:
                    sure = view.known.whole or written(allowing[0], "metadata.namespace")
                    yield _finding(allowing[0], direction, left, sure=sure)
            else:
                yield _finding(allowing[0], direction, [])


def _is_allow_list(policy: Policy, direction: Direction) -> bool:
    rules = policy.rules(direction) or ()
    return bool(rules) and CATCH_ALL not in rules


def _closed_by_default(policies: list[Policy], direction: Direction) -> bool:
    return any(
        selects_everything(policy.subject.pods) and policy.rules(direction) is not None for policy in policies
    )


def _open(view: View, namespace: str, isolating: list[Policy]) -> list[Pod]:
    closed = {pod.ref for policy in isolating for pod in view.subjects(policy)}
    return [
        pod
        for pod in view.all_pods(namespace)
        if pod.ref not in closed and not pod.host_network and not _only_works(pod)
    ]


def _only_works(pod: Pod) -> bool:
    """Whether it is a Job's and serves nothing: migrations, hooks of a chart, what a CronJob starts."""
    return not pod.ports and (pod.workload or "").startswith(("Job/", "CronJob/"))


def _finding(policy: Policy, direction: Direction, left: list[Pod], *, sure: bool = False) -> Finding:
    word = direction.value
    left_open = f"{listed(workloads(left))}, which no policy selects" if left else "all other pods"
    return Finding.about(
        policy,
        ID,
        SEVERITY if sure and left and direction is Direction.INGRESS else Severity.NOTE,
        "spec.podSelector",
        f"namespace {policy.ref.namespace} has policies for some pods' {word} and no default deny: "
        f"{word} stays open for {left_open}",
        suggestion=f"add a policy with podSelector: {{}} and policyTypes: [{word.capitalize()}]",
    )
