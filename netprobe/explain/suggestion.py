"""The smallest change that reverses a verdict: candidates from cheap to expensive, each one simulated."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice, product
from typing import assert_never

from netprobe.explain.explanation import SideView, SuggestedEdit, Suggestion
from netprobe.manifests.change import Apply, Change, Delete, Label, Patch, patched
from netprobe.model.cluster import Cluster
from netprobe.model.flow import Flow, PodRef
from netprobe.model.verdict import Verdict
from netprobe.policies.networkpolicy import dump_policy, policy_of
from netprobe.simulate import Simulator

TRIED = 50
"""Each try makes a new simulator. Nearly always the first candidate is right."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """Edits that should reverse the verdict of one side. The lower the cost, the likelier what is wanted."""

    cost: int
    edits: tuple[SuggestedEdit, ...]


def suggest(simulator: Simulator, flow: Flow, sides: Sequence[SideView]) -> tuple[Suggestion, Cluster] | None:
    """The cheapest candidate that reverses the verdict when simulated, and the cluster with it; or None."""
    from netprobe.explain.closing import closing
    from netprobe.explain.opening import Opener

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


def changed(cluster: Cluster, changes: Sequence[Change]) -> Cluster:
    """The cluster with all changes. The last comes first, so that removing an item moves no other one."""
    for change in reversed(changes):
        cluster = _changed(cluster, change)
    return cluster


def _changed(cluster: Cluster, change: Change) -> Cluster:
    match change:
        case Patch(kind, name, operations):
            policies = tuple(
                policy_of(patched(dump_policy(policy), operations))
                if (policy.kind, str(policy.ref)) == (kind, name)
                else policy
                for policy in cluster.policies
            )
            return replace(cluster, policies=policies)
        case Apply(obj):
            made = policy_of(obj)
            others = (policy for policy in cluster.policies if policy.ref != made.ref)
            return replace(cluster, policies=(*others, made))
        case Delete(kind, name):
            kept = (one for one in cluster.policies if (one.kind, str(one.ref)) != (kind, name))
            return replace(cluster, policies=tuple(kept))
        case Label("Namespace", name, labels):
            space = cluster.namespaces[name]
            space = replace(space, labels={**space.labels, **labels})
            return replace(cluster, namespaces={**cluster.namespaces, name: space})
        case Label(_, name, labels):
            pod = cluster.pods[PodRef.parse(name)]
            pod = replace(pod, labels={**pod.labels, **labels})
            return replace(cluster, pods={**cluster.pods, pod.ref: pod})
        case _:
            assert_never(change)
