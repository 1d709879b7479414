"""The records of policy kinds in a cluster: put in, replaced, taken out, and staged policies enforced."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from netprobe.model.cluster import Cluster
from netprobe.model.policy import (
    NetworkSet,
    Policy,
    PolicyRef,
    Staged,
    StagedAction,
    Tier,
    Unsimulated,
    tier_name,
)
from netprobe.policies.kinds import Record

TIER, NETWORK_SET, GLOBAL_NETWORK_SET = "Tier", "NetworkSet", "GlobalNetworkSet"


def ref_of(record: Record) -> PolicyRef:
    """The identity of the object that a record was read from."""
    match record:
        case Policy(ref=ref) | Unsimulated(ref=ref):
            return ref
        case Staged(policy, _, kind):
            return replace(policy.ref, kind=kind)
        case Tier(name):
            return PolicyRef("", name, TIER)
        case NetworkSet(namespace, name):
            return PolicyRef(namespace, name, NETWORK_SET if namespace else GLOBAL_NETWORK_SET)


def with_records(cluster: Cluster, records: Iterable[Record]) -> Cluster:
    """The cluster with these records, each in place of the one of the same identity."""
    new: dict[PolicyRef, Record] = {ref_of(record): record for record in records}
    tiers = {tier_name(tier.name): tier for tier in cluster.tiers}
    kept: list[Record] = [
        *cluster.policies,
        *cluster.staged,
        *cluster.network_sets,
        *cluster.unsimulated,
    ]
    merged: list[Record] = [new.pop(ref_of(record), record) for record in kept]
    merged += new.values()
    for record in merged:
        if isinstance(record, Tier):
            name = tier_name(record.name)
            tiers[name] = replace(record, name=name)
    return replace(
        cluster,
        policies=tuple(one for one in merged if isinstance(one, Policy)),
        staged=tuple(one for one in merged if isinstance(one, Staged)),
        network_sets=tuple(one for one in merged if isinstance(one, NetworkSet)),
        unsimulated=tuple(one for one in merged if isinstance(one, Unsimulated)),
        tiers=tuple(tiers.values()),
    )


def without(cluster: Cluster, ref: PolicyRef) -> Cluster | None:
    """The cluster without one record; None if it has no such record."""
    found = replace(
        cluster,
        policies=tuple(one for one in cluster.policies if ref_of(one) != ref),
        staged=tuple(one for one in cluster.staged if ref_of(one) != ref),
        network_sets=tuple(one for one in cluster.network_sets if ref_of(one) != ref),
        tiers=tuple(one for one in cluster.tiers if ref_of(one) != ref),
    )
    return None if found == cluster else found


def refs(cluster: Cluster, kind: str) -> list[PolicyRef]:
    """The identities of the records of a kind, sorted."""
    records: list[Record] = [*cluster.policies, *cluster.staged, *cluster.network_sets, *cluster.tiers]
    return sorted(ref for ref in map(ref_of, records) if ref.kind == kind)


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
