"""What staged policies would change: the policies of a cluster as if they were enforced."""

from __future__ import annotations

from collections.abc import Iterable

from netprobe.model.policy import Policy, PolicyRef, Staged, StagedAction


def as_enforced(policies: Iterable[Policy], staged: Iterable[Staged]) -> tuple[Policy, ...]:
    """The policies with the staged ones applied to them.

    Set creates a policy, or replaces the enforced one of that kind and name; Delete removes it. Ignore and
    Learn change nothing: the first is set aside, the second is still being written by Calico.
    """
    found: dict[PolicyRef, Policy] = {policy.ref: policy for policy in policies}
    for each in staged:
        match each.action:
            case StagedAction.SET:
                found[each.policy.ref] = each.policy
            case StagedAction.DELETE:
                found.pop(each.policy.ref, None)
            case StagedAction.IGNORE | StagedAction.LEARN:
                pass
    return tuple(found.values())
