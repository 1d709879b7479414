"""A podSelector that matches no pod.

A policy whose podSelector matches nothing isolates nobody: often a label that the Deployment carries and
its pod template does not, or a changed name. A peer that matches nothing lets nobody pass; that is a note,
since the peer may be an optional part.

The rule speaks where the pods are given: the namespace's workloads or pods are in the input, and no custom
resource is, from which an operator might make more; or the input is a whole cluster. A policy that names
no namespace lands beside pods that nobody can name here: then it is a note, and nothing is said of peers.
It is a note too where all labels but the component's match: charts leave a policy for a part that is
switched off, and some parts are pods that a program starts.
A selector that only keeps labels out (`NotIn`, `DoesNotExist`) is for whatever is left, be it nothing.

Fails:

    {apiVersion: v1, kind: Pod, metadata: {name: api, namespace: production, labels: {app: api-server}}}
    ---
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: api, namespace: production}
    spec:
      podSelector: {matchLabels: {app: api}}
      policyTypes: [Ingress]

Passes:

    {apiVersion: v1, kind: Pod, metadata: {name: api, namespace: production, labels: {app: api-server}}}
    ---
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata: {name: api, namespace: production}
    spec:
      podSelector: {matchLabels: {app: api-server}}
      policyTypes: [Ingress]
"""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.lint.finding import Finding, Severity
from netprobe.lint.rules.or_for_and import pairs
from netprobe.lint.rules.other_namespace_pods import elsewhere
from netprobe.lint.selector_sets import impossible, keys, only, terms
from netprobe.lint.view import Place, View, written
from netprobe.model.labels import NAME_LABEL, Selector
from netprobe.model.policy import PodPeer, Policy
from netprobe.model.text import listed

ID = "unmatched-pods"
SEVERITY = Severity.WARNING
COMPONENT = frozenset({"app.kubernetes.io/component", "component"})


def check(view: View) -> Iterator[Finding]:
    for policy in view.cluster.policies:
        namespace = policy.ref.namespace
        if _pointless(policy.subject.pods) or not view.knows_pods(namespace) or view.subjects(policy):
            continue
        yield Finding.about(
            policy,
            ID,
            SEVERITY if _at_home(view, policy) and not _is_part(view, policy) else Severity.NOTE,
            "spec.podSelector",
            f"podSelector {policy.subject.pods} matches no pod of {namespace}: "
            + _why(view, [namespace], policy.subject.pods),
        )
    for place in view.places:
        if not _at_home(view, place.policy):
            continue
        torn = {index for pair in pairs(view, place) for index in (pair.first, pair.first + 1)}
        for index, peer in enumerate(place.rule.peers):
            if not isinstance(peer, PodPeer) or _pointless(peer.pods) or index in torn:
                continue
            homes = _homes(view, place, peer)
            if not homes or not view.names_nobody(place.policy, peer) or elsewhere(view, place, index):
                continue
            yield Finding.about(
                place.policy,
                ID,
                Severity.NOTE,
                f"{place.peer_path(index)}.podSelector",
                f"podSelector {peer.pods} matches no pod of {listed(homes)}: " + _why(view, homes, peer.pods),
            )


def _pointless(selector: Selector) -> bool:
    """Whether it demands no label at all, or (another rule's matter) the impossible."""
    return all(term.absent for term in terms(selector).values()) or impossible(selector)


def _is_part(view: View, policy: Policy) -> bool:
    """Whether it selects a component of something whose other components are there."""
    labels = dict(policy.subject.pods.match_labels)
    rest = {key: value for key, value in labels.items() if key not in COMPONENT}
    return (
        len(rest) < len(labels)
        and bool(rest)
        and any(rest.items() <= pod.labels.items() for pod in view.all_pods(policy.ref.namespace))
    )


def _at_home(view: View, policy: Policy) -> bool:
    """Whether the namespace is the policy's own, and not just where it was put for want of one."""
    return view.known.whole or policy.origin is None or written(policy, "metadata.namespace")


def _homes(view: View, place: Place, peer: PodPeer) -> list[str]:
    """The namespaces whose pods the peer means, where all of them are known; else []."""
    if peer.namespaces is None:
        homes = [place.policy.ref.namespace]
    else:
        homes = list(view.namespaces(peer.namespaces))
        if not view.known.whole and only(peer.namespaces, NAME_LABEL) is None:
            return []  # a namespace outside the input may match as well
    return homes if all(view.knows_pods(name) for name in homes) else []


def _why(view: View, namespaces: list[str], selector: Selector) -> str:
    """The keys of the selector as the pods carry them."""
    pods = [pod for namespace in namespaces for pod in view.all_pods(namespace)]
    parts = []
    for key in sorted(keys(selector)):
        values = sorted({pod.labels[key] for pod in pods if key in pod.labels})
        parts.append(f"{key} is {listed(values)} there" if values else f"none carries the label {key}")
    return "; ".join(parts)
