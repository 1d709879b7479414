"""The order in which the policies of a cluster are evaluated."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from math import inf

from netprobe.model.cluster import Cluster
from netprobe.model.policy import (
    ADMIN_NETWORK_POLICY,
    ADMIN_TIER,
    BASELINE_ADMIN_NETWORK_POLICY,
    BASELINE_TIER,
    CALICO_KINDS,
    CALICO_POLICY,
    CLUSTER_NETWORK_POLICY,
    NETWORK_POLICY,
    PRIORITY_KINDS,
    Action,
    Policy,
    Tier,
    tier_name,
)
from netprobe.simulate.profile import Profile

_CALICO_NAMES = {
    NETWORK_POLICY: "KubernetesNetworkPolicy",
    CLUSTER_NETWORK_POLICY: "KubernetesClusterNetworkPolicy",
    ADMIN_NETWORK_POLICY: "KubernetesAdminNetworkPolicy",
    BASELINE_ADMIN_NETWORK_POLICY: "KubernetesBaselineAdminNetworkPolicy",
    CALICO_POLICY: "NetworkPolicy",
}
"""What Calico calls kinds when it sorts policies; others by their own name (libcalico-go, model)."""


_CALICO_TIERS = {ADMIN_TIER.name: "kube-admin", BASELINE_TIER.name: "kube-baseline"}


def in_order(cluster: Cluster, profile: Profile) -> list[tuple[Tier, int]]:
    """Every policy that the plugin enforces with its tier, first to last, as indexes of `cluster.policies`.

    Tiers by order, then Calico's name; policies by order, then the text NAME/NAMESPACE/KIND. A tier that the
    cluster does not have comes after all others and denies at its end (Calico, policy_sorter.go).
    """
    known = {tier_name(tier.name): tier for tier in cluster.tiers}
    found = []
    for number, policy in enumerate(cluster.policies):
        if profile.calico or policy.kind not in CALICO_KINDS:
            name = tier_name(policy.tier)
            found.append((known.get(name) or Tier(name, inf, Action.DENY), number))
    return sorted(found, key=lambda item: _key(item[0], cluster.policies[item[1]]))


def _key(tier: Tier, policy: Policy) -> tuple[float, str, float, str]:
    ref = policy.ref
    kind = _CALICO_NAMES.get(ref.kind, ref.kind)
    shown = _CALICO_TIERS.get(tier.name, tier.name)
    return tier.order, shown, policy.order, f"{ref.name}/{ref.namespace}/{kind}"


def unplaced(cluster: Cluster) -> frozenset[str]:
    """The tiers that policies name and whose place is not known."""
    if cluster.tiers_known:
        return frozenset()
    known = {tier_name(tier.name) for tier in cluster.tiers}
    return frozenset(tier_name(policy.tier) for policy in cluster.policies) - known


def ties(policies: Sequence[Policy]) -> Iterator[Sequence[Policy]]:
    """Policies of one tier, in their order; those of which any may come first, together."""
    for _, tied in groupby(policies, key=_rank):
        yield tuple(tied)


def _rank(policy: Policy) -> tuple[float, int]:
    return (policy.order, 0) if policy.kind in PRIORITY_KINDS else (policy.order, id(policy))
