"""Policies for some pods, but no default deny for the rest of the namespace.

A policy isolates only the pods that it selects. In a namespace with only "allow" policies the selected
pods are isolated and all others are open, including the next workload that is deployed there. That is
seldom what the author of an allow list wants.

If the pods of the namespace are known, the message names those that nothing isolates; if there are none,
nothing is reported. Jobs without ports do not count, because nobody connects to them. If the pods are
unknown it is a note, because the default deny may be in another file; also if the policy does not say in
which namespace it will be created. Closing egress for only a few pods is a valid choice: this is a note,
and only reported in a namespace with a default deny for ingress. `kube-system` is never reported: a
default deny can break the cluster there. A Deny of everything in a ClusterNetworkPolicy, or a Calico tier
that denies at its end, counts as a default deny for the pods of its policies.

Example:

    + apiVersion: networking.k8s.io/v1
    + kind: NetworkPolicy
    + metadata: {name: default-deny, namespace: database}
    + spec:
    +   podSelector: {}
    +   policyTypes: [Ingress]
    + ---
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
from functools import reduce
from operator import or_

from netprobe.lint.cover import is_blanket, peer_within, selects_everything
from netprobe.lint.finding import Finding, Severity
from netprobe.lint.known import ALWAYS_THERE
from netprobe.lint.located import written
from netprobe.lint.view import View, workloads
from netprobe.model.flow import Pod
from netprobe.model.labels import EVERYTHING, NAME_LABEL, Selector
from netprobe.model.policy import (
    ANY_PEER,
    ANY_PORT,
    Action,
    Direction,
    PodPeer,
    Policy,
    Rule,
)
from netprobe.model.text import listed

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
            tiers = list(_closing_tiers(view, direction))
            everyone = PodPeer(EVERYTHING, Selector.of({NAME_LABEL: namespace}))
            if any(peer_within(everyone, view.subject_peer(each), "", view.labels) for each in tiers):
                continue
            if direction is Direction.EGRESS and not _closed_by_default(policies, Direction.INGRESS):
                continue
            if view.has_pods(namespace):
                left = _open(view, namespace, isolating, tiers)
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


def _closing_tiers(view: View, direction: Direction) -> Iterator[Policy]:
    """The policies of other kinds that close a direction for their pods, but for what is allowed first."""
    for tier, policy in view.ranked:
        rules = policy.rules(direction)
        if rules is None or tier.name in view.unplaced:
            continue
        if tier.default is Action.DENY or any(r.action is Action.DENY and is_blanket(r) for r in rules):
            yield policy


def _open(view: View, namespace: str, isolating: list[Policy], tiers: list[Policy]) -> list[Pod]:
    closed = {pod.ref for policy in isolating for pod in view.subjects(policy)}
    if tiers:
        evaluation = view.evaluation
        closing = reduce(or_, map(evaluation.universe.subjects, tiers))
        closed |= {
            pod.ref for pod in view.all_pods(namespace) if closing >> evaluation.group_of(pod.ref).index & 1
        }
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
        "spec.podSelector",
        f"namespace {policy.ref.namespace} has policies for some pods' {word} and no default deny: "
        f"{word} stays open for {left_open}",
        suggestion=f"add a policy with podSelector: {{}} and policyTypes: [{word.capitalize()}]",
        severity=SEVERITY if sure and left and direction is Direction.INGRESS else Severity.NOTE,
    )
