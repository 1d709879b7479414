"""Policies that select by a label whose value a controller chooses later, such as a hash."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from netprobe.model.cluster import Cluster
from netprobe.model.expression import leaves
from netprobe.model.flow import Pod
from netprobe.model.labels import CHOSEN_LATER, Operator, Requirement, Selector, may_be
from netprobe.model.policy import AllPeers, Direction, NotPeer, Peer, PodPeer, Policy
from netprobe.model.text import listed


def undecided(cluster: Cluster) -> Iterator[str]:
    """A sentence for each policy about pods of which manifests do not tell whether it selects them."""
    pods = [
        pod
        for pod in cluster.pods.values()
        if any(value.startswith(CHOSEN_LATER) for value in pod.labels.values())
    ]
    for policy in cluster.policies if pods else ():
        found: dict[str, str] = {}
        for selector, everywhere in _selectors(policy):
            for pod in pods:
                key = _depends_on(selector, pod)
                if key and (everywhere or pod.ref.namespace == policy.ref.namespace):
                    found.setdefault(str(pod.ref), key)
        if found:
            keys = listed(dict.fromkeys(found.values()))
            yield (
                f"cannot be decided from manifests: {policy.kind} {policy.ref} selects by {keys}, "
                f"whose value a controller chooses; this concerns {listed(found)}"
            )


def _selectors(policy: Policy) -> Iterator[tuple[Selector, bool]]:
    """The selectors of pods, and whether they select in other namespaces too."""
    yield policy.subject.pods, policy.subject.namespaces is not None
    for direction in Direction:
        for rule in policy.rules(direction) or ():
            for peer in (*rule.peers, rule.own):
                for each in _pod_peers(peer):
                    yield each.pods, each.namespaces is not None


def _pod_peers(peer: Peer) -> Iterator[PodPeer]:
    match peer:
        case PodPeer():
            yield peer
        case AllPeers(peers):
            for each in peers:
                yield from _pod_peers(each)
        case NotPeer(inner):
            yield from _pod_peers(inner)


def _depends_on(selector: Selector, pod: Pod) -> str | None:
    """The label on whose value it depends whether a pod is selected."""
    if not (selector.match_labels or selector.requirements or selector.expression):
        return None
    named: dict[str, str] = {}
    for key, value in _values(selector):
        label = pod.labels.get(key, "")
        if label.startswith(CHOSEN_LATER) and may_be(label, value):
            named[key] = value
            if _turns(selector, pod.labels, {key: value}):
                return key
    return next(iter(named)) if named and _turns(selector, pod.labels, named) else None


def _values(selector: Selector) -> Iterator[tuple[str, str]]:
    """Every (key, value) that a selector names."""
    yield from selector.match_labels
    inner = leaves(selector.expression) if selector.expression is not None else ()
    for each in (*selector.requirements, *inner):
        if isinstance(each, Requirement) and each.operator in {Operator.IN, Operator.NOT_IN}:
            yield from ((each.key, value) for value in each.values)


def _turns(selector: Selector, labels: Mapping[str, str], values: Mapping[str, str]) -> bool:
    return selector.matches({**labels, **values}) is not selector.matches(labels)
