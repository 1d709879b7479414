"""What would deny a flow on one side: remove all that allows it, or isolate the subject."""

from __future__ import annotations

import re
from collections.abc import Iterator

from netprobe.explain.explanation import PolicyView, RuleView, SideView, SuggestedEdit
from netprobe.explain.obstacle import describe_pods
from netprobe.explain.opening import new_policy, own_labels
from netprobe.explain.suggestion import Candidate
from netprobe.manifests.change import Apply, Patch, pointer
from netprobe.model.policy import Direction
from netprobe.simulate import Simulator

ADDED_POLICY = 100
"""Cost of a new policy: it isolates a pod that everybody could reach, which needs thought."""


def closing(simulator: Simulator, side: SideView) -> Candidate | None:
    """The edits that make a side deny; None for an end that policies cannot isolate."""
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
