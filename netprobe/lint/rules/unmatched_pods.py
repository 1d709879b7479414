"""A podSelector that matches no pod.

A policy whose podSelector matches nothing isolates nothing. Often a name has changed, or the labels are on
different pods. A peer that matches nothing allows nobody; that is a note, since the peer may be an optional
component, unless there are pods with most of the labels.

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

from __future__ import annotations

from collections.abc import Iterator

from netprobe.lint.finding import Finding, Severity
from netprobe.lint.located import LocatedRule, written
from netprobe.lint.rules.or_for_and import pairs
from netprobe.lint.rules.other_namespace_pods import elsewhere
from netprobe.lint.rules.template_labels import mislabelled
from netprobe.lint.selector_sets import impossible, keys, only, terms
from netprobe.lint.view import View
from netprobe.model.labels import NAME_LABEL, Selector
from netprobe.model.policy import PodPeer, Policy
from netprobe.model.text import listed

SEVERITY = Severity.WARNING
COMPONENT = frozenset({"app.kubernetes.io/component", "component"})


def check(view: View) -> Iterator[Finding]:
    for policy in view.cluster.policies:
        namespace = policy.ref.namespace
        if _not_checked(policy.subject.pods) or not view.knows_pods(namespace) or view.subjects(policy):
            continue
        if _explained(view, [namespace], policy.subject.pods):
            continue
        others = {pod.ref.namespace for pod in view.pods_anywhere(policy.subject.pods)}
        where = f"; such pods are in {listed(sorted(others))}" if others else ""
        yield Finding.about(
            policy,
            "spec.podSelector",
            f"podSelector {policy.subject.pods} matches no pod of {namespace}: "
            + _why(view, [namespace], policy.subject.pods)
            + where,
            severity=SEVERITY if others or _is_near(view, policy) else Severity.NOTE,
        )
    for located in view.rules:
        if not _at_home(view, located.policy):
            continue
        torn = {index for pair in pairs(view, located) for index in (pair.first, pair.first + 1)}
        for index, peer in enumerate(located.rule.peers):
            if not isinstance(peer, PodPeer) or _not_checked(peer.pods) or index in torn:
                continue
            homes = _homes(view, located, peer)
            if not homes or not view.matches_nobody(located.policy, peer) or elsewhere(view, located, index):
                continue
            if _explained(view, homes, peer.pods):
                continue
            yield Finding.about(
                located.policy,
                f"{located.peer_path(index)}.podSelector",
                f"podSelector {peer.pods} matches no pod of {listed(homes)}: " + _why(view, homes, peer.pods),
                severity=SEVERITY if has_most(view, homes, peer.pods) else Severity.NOTE,
            )


def _not_checked(selector: Selector) -> bool:
    """Whether it requires no label at all, or contradicts itself (impossible-selector)."""
    return all(term.absent for term in terms(selector).values()) or impossible(selector)


def _explained(view: View, namespaces: list[str], selector: Selector) -> bool:
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


def _homes(view: View, located: LocatedRule, peer: PodPeer) -> list[str]:
    """The namespaces whose pods the peer can match, if the pods of all are known; otherwise []."""
    if peer.namespaces is None:
        homes = [located.policy.ref.namespace]
    else:
        homes = list(view.namespaces(peer.namespaces))
        if not view.known.whole and only(peer.namespaces, NAME_LABEL) is None:
            return []  # namespaces outside the input may match too
    return homes if all(view.knows_pods(name) for name in homes) else []


def _why(view: View, namespaces: list[str], selector: Selector) -> str:
    """The keys of the selector and their values on the pods."""
    pods = [pod for namespace in namespaces for pod in view.all_pods(namespace)]
    parts = []
    for key in sorted(keys(selector)):
        values = sorted({pod.labels[key] for pod in pods if key in pod.labels})
        parts.append(f"{key} is {listed(values)} there" if values else f"none has the label {key}")
    return "; ".join(parts)
