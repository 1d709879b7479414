"""The smallest change that reverses a verdict: candidates from cheap to expensive, each one simulated."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice, product
from typing import assert_never

from netprobe.explain.explanation import PolicyView, RuleView, SideView, SuggestedEdit, Suggestion
from netprobe.explain.obstacle import describe_pods
from netprobe.explain.opening import Candidate, Opener, new_policy, own_labels
from netprobe.manifests.change import Apply, Delete, ObjectChange, Patch, SetLabels, patched, pointer
from netprobe.model.cluster import Cluster
from netprobe.model.flow import Flow, PodRef
from netprobe.model.policy import Direction
from netprobe.model.verdict import Verdict
from netprobe.policies.kinds import NETWORK_POLICY
from netprobe.policies.networkpolicy import dump_policy
from netprobe.simulate import Simulator

TRIED = 50
"""Each try makes a new simulator. Nearly always the first candidate is right."""


ADDED_POLICY = 100
"""Cost of a new policy: it isolates a pod that everyone could reach, which needs thought."""


def suggest(simulator: Simulator, flow: Flow, sides: Sequence[SideView]) -> tuple[Suggestion, Cluster] | None:
    """The cheapest candidate that reverses the verdict when simulated, and the cluster with it; or None."""
    candidates: Iterable[tuple[Candidate, ...]]
    if simulator.decide(flow).verdict is Verdict.DENY:
        wanted = Verdict.ALLOW
        denying = [side for side in sides if side.verdict is Verdict.DENY]
        openings = (sorted(Opener(simulator, flow, side).candidates(), key=_cost) for side in denying)
        candidates = product(*(side[:TRIED] for side in openings)) if denying else ()
    else:
        wanted = Verdict.DENY
        found = (closing(simulator, side) for side in sides)
        candidates = ((candidate,) for candidate in found if candidate is not None)
    for chosen in islice(sorted(candidates, key=lambda each: sum(map(_cost, each))), TRIED):
        edits = tuple(edit for candidate in chosen for edit in candidate.edits)
        cluster = changed(simulator.cluster, [edit.change for edit in edits])
        if Simulator(cluster, simulator.profile).decide(flow).verdict is wanted:
            return Suggestion(wanted, edits), cluster
    return None


def _cost(candidate: Candidate) -> int:
    return candidate.cost


def closing(simulator: Simulator, side: SideView) -> Candidate | None:
    """The edits that make a side deny: remove all that allows the flow, or isolate the subject.

    None for an end that policies cannot isolate.
    """
    if not side.policies:
        return _isolating(simulator, side)
    edits = tuple(
        edit
        for policy in side.policies
        for rule in policy.rules
        if rule.allows
        for edit in _removing(policy, rule)
    )
    return Candidate(len(edits), edits)


def _removing(policy: PolicyView, rule: RuleView) -> Iterator[SuggestedEdit]:
    """The fewest removals that stop a rule. A list never becomes empty: an empty list means everything."""
    lists = [
        [item for item in items if item.obstacle is None]
        for items in (rule.peers, rule.ports)
        if any(item.obstacle is not None for item in items)
    ]
    items = min(lists, key=len, default=[])
    for item in items:
        text = f"remove {item.path.removeprefix('spec.')} ({item.says}) from {policy.policy}"
        yield SuggestedEdit(str(policy.policy), item.path, text, _removal(policy, item.path), item.place)
    if not items:
        text = f"remove {rule.path.removeprefix('spec.')} from {policy.policy}"
        yield SuggestedEdit(str(policy.policy), rule.path, text, _removal(policy, rule.path), rule.place)


def _removal(policy: PolicyView, path: str) -> Patch:
    """`path` as in "spec.ingress[0].from[1]"."""
    operation = {"op": "remove", "path": pointer(*re.findall(r"[^.\[\]]+", path))}
    return Patch(policy.policy.kind, str(policy.policy), (operation,))


def _isolating(simulator: Simulator, side: SideView) -> Candidate | None:
    pod = next((pod for ref, pod in simulator.cluster.pods.items() if str(ref) == side.subject), None)
    if pod is None or pod.host_network:
        return None
    namespace, pods = pod.ref.namespace, own_labels(pod.labels)
    text = (
        f"add a policy to {namespace} that selects {describe_pods(pods)} for {side.direction.value} "
        "and allows what they need"
    )
    edit = SuggestedEdit(
        f"namespace {namespace}", "", text, Apply(new_policy(namespace, pods, side.direction))
    )
    # in most clusters access is granted at the destination
    return Candidate(ADDED_POLICY + (side.direction is Direction.EGRESS), (edit,))


def changed(cluster: Cluster, changes: Sequence[ObjectChange]) -> Cluster:
    """The cluster with all changes. The last is applied first, so removing an item does not move others."""
    for change in reversed(changes):
        cluster = _changed(cluster, change)
    return cluster


def _changed(cluster: Cluster, change: ObjectChange) -> Cluster:
    match change:
        case Patch(kind, name, operations):
            policies = tuple(
                NETWORK_POLICY.policy(patched(dump_policy(policy), operations))
                if (policy.kind, str(policy.ref)) == (kind, name)
                else policy
                for policy in cluster.policies
            )
            return replace(cluster, policies=policies)
        case Apply(obj):
            made = NETWORK_POLICY.policy(obj)
            others = (policy for policy in cluster.policies if policy.ref != made.ref)
            return replace(cluster, policies=(*others, made))
        case Delete(kind, name):
            kept = (one for one in cluster.policies if (one.kind, str(one.ref)) != (kind, name))
            return replace(cluster, policies=tuple(kept))
        case SetLabels("Namespace", name, labels):
            space = cluster.namespaces[name]
            space = replace(space, labels={**space.labels, **labels})
            return replace(cluster, namespaces={**cluster.namespaces, name: space})
        case SetLabels(_, name, labels):
            pod = cluster.pods[PodRef.parse(name)]
            pod = replace(pod, labels={**pod.labels, **labels})
            return replace(cluster, pods={**cluster.pods, pod.ref: pod})
        case _:
            assert_never(change)
