"""Rules about selectors of pods."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from netprobe.lint.located import LocatedRule, written
from netprobe.lint.rule import Finding, Severity, lint_rule
from netprobe.lint.rules.namespaces import elsewhere, pairs
from netprobe.lint.selector_sets import ANYTHING, impossible, keys, only, terms
from netprobe.lint.view import View, all_selectors, workloads
from netprobe.manifests.workload import ROLLOUT_LABELS, template_path
from netprobe.model.labels import NAME_LABEL, Selector
from netprobe.model.policy import PodPeer, Policy
from netprobe.model.text import listed


@lint_rule(Severity.ERROR)
def impossible_selector(view: View) -> Iterator[Finding]:
    """A selector that contradicts itself: no labels satisfy it.

    All parts of a selector must match at once. `matchLabels: {tier: web}` with `tier In [api]`, or `Exists`
    with `DoesNotExist`, matches nothing in any cluster. Write alternatives as values of one `In`, or as
    several peers.

    Example:

          apiVersion: networking.k8s.io/v1
          kind: NetworkPolicy
          metadata: {name: api, namespace: production}
          spec:
            podSelector:
        -     matchLabels: {tier: web}
        -     matchExpressions: [{key: tier, operator: In, values: [api]}]
        +     matchExpressions: [{key: tier, operator: In, values: [web, api]}]
            policyTypes: [Ingress]
    """
    for policy, path, selector in all_selectors(view):
        keys = sorted(key for key, term in terms(selector).items() if term.empty)
        if keys:
            yield Finding.about(
                policy,
                path,
                f"{selector} can match nothing: its requirements for {listed(keys)} contradict each other",
                suggestion="write alternatives as values of one In, or as several peers",
                severity=Severity.ERROR,
            )


@lint_rule(Severity.WARNING)
def kustomize_labels(view: View) -> Iterator[Finding]:
    """Labels of the policy's own pods in a peer of another namespace, as Kustomize adds them.

    `commonLabels`, and `labels` with `includeSelectors`, add labels to every selector of a policy, peers
    included. Pods of another namespace, such as an ingress controller, do not have the labels of this
    application: the peer then matches nobody.

    It is reported if a peer matches no known pod, and matches some without the labels that the policy's own
    podSelector has as well.

    Example:

          {apiVersion: v1, kind: Namespace, metadata: {name: ingress}}
          ---
          {apiVersion: v1, kind: Pod, metadata: {name: ctl, namespace: ingress, labels: {app: nginx}}}
          ---
          apiVersion: networking.k8s.io/v1
          kind: NetworkPolicy
          metadata: {name: web, namespace: shop}
          spec:
            podSelector: {matchLabels: {team: red}}
            ingress:
              - from:
                  - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: ingress}}
        -           podSelector: {matchLabels: {app: nginx, team: red}}
        +           podSelector: {matchLabels: {app: nginx}}
                ports: [{port: 8080}]
    """
    for located, index, peer in view.all_peers(PodPeer):
        shared = {*located.policy.subject.pods.match_labels} & {*peer.pods.match_labels}
        if peer.namespaces is None or not shared or not view.matches_nobody(located.policy, peer):
            continue
        rest = tuple(pair for pair in peer.pods.match_labels if pair not in shared)
        without = replace(peer, pods=replace(peer.pods, match_labels=rest))
        pods = list(view.peers(located.policy, without)) if rest else []
        if pods:
            labels = listed(f"{key}={value}" for key, value in sorted(shared))
            yield Finding.about(
                located.policy,
                f"{located.peer_path(index)}.podSelector",
                f"the policy's own podSelector has {labels} too, and {listed(workloads(pods))} has no "
                "such label: Kustomize adds labels to peers too",
                suggestion="remove it from the peer; in the kustomization use labels without "
                "includeSelectors",
            )


@lint_rule(Severity.WARNING)
def template_labels(view: View) -> Iterator[Finding]:
    """A label on a workload that its pod template lacks.

    A selector of a policy looks at pods. The labels in `metadata` of a Deployment or CronJob are those of the
    workload itself; its pods have the labels of the template (`spec.template`, of a CronJob
    `spec.jobTemplate.spec.template`).

    It is reported if a selector matches no pod of its namespace, and a workload itself has the labels.

    Example:

          apiVersion: batch/v1
          kind: CronJob
        - metadata: {name: backup, namespace: shop, labels: {app: backup}}
        - spec:
        -   schedule: "@daily"
        -   jobTemplate: {spec: {template: {spec: {containers: [{name: c, image: i}]}}}}
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
    for policy in view.cluster.policies:
        yield from _on_workload(view, policy, "spec.podSelector", [policy.ref.namespace], policy.subject.pods)
    for located, index, peer in view.all_peers(PodPeer):
        homes: Iterable[str] = [located.policy.ref.namespace]
        if peer.namespaces is not None:
            homes = view.namespaces(peer.namespaces)
        path = f"{located.peer_path(index)}.podSelector"
        yield from _on_workload(view, located.policy, path, homes, peer.pods)


def _on_workload(
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


COMPONENT = frozenset({"app.kubernetes.io/component", "component"})


@lint_rule(Severity.WARNING)
def unmatched_pods(view: View) -> Iterator[Finding]:
    """A podSelector that matches no pod.

    A policy whose podSelector matches nothing isolates nothing. Often a name has changed, or the labels are
    on different pods. A peer that matches nothing allows nobody; that is a note, since the peer may be an
    optional component, unless there are pods with most of the labels.

    It is reported if the pods are known: the workloads or pods of the namespace are in the input, and no
    custom resource from which an operator may create more; or the input is a whole cluster. If a policy names
    no namespace, its pods are unknown: then it is a note, and its peers are not reported. It is also a note
    if all labels but the component match: charts keep policies for components that are switched off, and some
    components are pods that a program starts. A selector that only excludes labels (`NotIn`, `DoesNotExist`)
    may match nothing. Pods that have finished, such as those of a CronJob between two runs, count.

    Example:

          {apiVersion: v1, kind: Pod, metadata: {name: api, namespace: production, labels: {app: api-server}}}
          ---
          apiVersion: networking.k8s.io/v1
          kind: NetworkPolicy
          metadata: {name: api, namespace: production}
          spec:
        -   podSelector: {matchLabels: {app: api}}
        +   podSelector: {matchLabels: {app: api-server}}
            policyTypes: [Ingress]
    """
    for policy in view.cluster.policies:
        namespace = policy.ref.namespace
        if _not_checked(policy.subject.pods) or not view.knows_pods(namespace) or view.subjects(policy):
            continue
        if _is_explained(view, [namespace], policy.subject.pods):
            continue
        others = {pod.ref.namespace for pod in view.pods_anywhere(policy.subject.pods)}
        where = f"; such pods are in {listed(sorted(others))}" if others else ""
        yield Finding.about(
            policy,
            "spec.podSelector",
            f"podSelector {policy.subject.pods} matches no pod of {namespace}: "
            + _found_labels(view, [namespace], policy.subject.pods)
            + where,
            severity=Severity.WARNING if others or _is_near(view, policy) else Severity.NOTE,
        )
    for located in view.rules:
        if not _at_home(view, located.policy):
            continue
        split = {index for pair in pairs(view, located) for index in (pair.first, pair.first + 1)}
        for index, peer in enumerate(located.rule.peers):
            if not isinstance(peer, PodPeer) or _not_checked(peer.pods) or index in split:
                continue
            homes = _homes_of_peer(view, located, peer)
            if not homes or not view.matches_nobody(located.policy, peer) or elsewhere(view, located, index):
                continue
            if _is_explained(view, homes, peer.pods):
                continue
            yield Finding.about(
                located.policy,
                f"{located.peer_path(index)}.podSelector",
                f"podSelector {peer.pods} matches no pod of {listed(homes)}: "
                + _found_labels(view, homes, peer.pods),
                severity=Severity.WARNING if has_most(view, homes, peer.pods) else Severity.NOTE,
            )


def _not_checked(selector: Selector) -> bool:
    """Whether it requires no label at all, or contradicts itself (impossible-selector)."""
    return all(term.absent for term in terms(selector).values()) or impossible(selector)


def _is_explained(view: View, namespaces: list[str], selector: Selector) -> bool:
    """Whether pods that are not in the input may match, or template-labels reports why none does."""
    return view.may_select(namespaces, selector) or bool(mislabelled(view, namespaces, selector))


def _is_near(view: View, policy: Policy) -> bool:
    """Whether it is a mistake rather than a component of an application that is switched off."""
    homes = [policy.ref.namespace]
    return has_most(view, homes, policy.subject.pods) or (
        _at_home(view, policy) and not _is_part(view, policy)
    )


def has_most(view: View, namespaces: list[str], selector: Selector) -> bool:
    """Whether some pods have most of the labels, and each label is there with that value on some pod."""
    labels = selector.match_labels
    pods = [pod for name in namespaces for pod in view.all_pods(name)]
    if len(labels) < 2 or any(all(pod.labels.get(key) != value for pod in pods) for key, value in labels):
        return False
    most = max(sum(pod.labels.get(key) == value for key, value in labels) for pod in pods)
    return 2 * most >= len(labels)


def _is_part(view: View, policy: Policy) -> bool:
    """Whether it selects one component of an application whose other components exist."""
    labels = dict(policy.subject.pods.match_labels)
    rest = {key: value for key, value in labels.items() if key not in COMPONENT}
    return (
        len(rest) < len(labels)
        and bool(rest)
        and any(rest.items() <= pod.labels.items() for pod in view.all_pods(policy.ref.namespace))
    )


def _at_home(view: View, policy: Policy) -> bool:
    """Whether the policy names its namespace, so that it is not just the default."""
    return view.known.whole or policy.origin is None or written(policy, "metadata.namespace")


def _homes_of_peer(view: View, located: LocatedRule, peer: PodPeer) -> list[str]:
    """The namespaces whose pods the peer can match, if the pods of all are known; otherwise []."""
    if peer.namespaces is None:
        homes = [located.policy.ref.namespace]
    else:
        homes = list(view.namespaces(peer.namespaces))
        if not view.known.whole and only(peer.namespaces, NAME_LABEL) is None:
            return []  # namespaces outside the input may match too
    return homes if all(view.knows_pods(name) for name in homes) else []


def _found_labels(view: View, namespaces: list[str], selector: Selector) -> str:
    """The keys of the selector and their values on the pods."""
    pods = [pod for namespace in namespaces for pod in view.all_pods(namespace)]
    parts = []
    for key in sorted(keys(selector)):
        values = sorted({pod.labels[key] for pod in pods if key in pod.labels})
        parts.append(f"{key} is {listed(values)} there" if values else f"none has the label {key}")
    return "; ".join(parts)


VOLATILE = ROLLOUT_LABELS | {"helm.sh/chart", "chart", "app.kubernetes.io/version"}


@lint_rule(Severity.WARNING)
def volatile_label(view: View) -> Iterator[Finding]:
    """A selector on a label that changes with the next rollout or upgrade.

    The labels `pod-template-hash`, `controller-revision-hash` and the uid and name of a Job change by
    themselves; `helm.sh/chart` and `app.kubernetes.io/version` contain a version. The policy works today, and
    after the next deployment it selects nothing: its pods are open, or cut off, without any message.

    Example:

          apiVersion: networking.k8s.io/v1
          kind: NetworkPolicy
          metadata: {name: api, namespace: production}
          spec:
        -   podSelector: {matchLabels: {app: api, pod-template-hash: 6d4b75cb6d}}
        +   podSelector: {matchLabels: {app: api}}
            policyTypes: [Ingress]
    """
    for policy, path, selector in all_selectors(view):
        found = terms(selector)
        keys = sorted(
            key for key in VOLATILE & found.keys() if not found[key].absent and found[key] != ANYTHING
        )
        pinned = [key for key in keys if not found[key].complement]
        if pinned:
            yield Finding.about(
                policy,
                path,
                f"the value of {listed(pinned)} changes with a rollout or an upgrade, and then the selector "
                "matches nothing",
                suggestion="select by stable labels, such as app or app.kubernetes.io/name",
            )
