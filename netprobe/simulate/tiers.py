"""The order in which the policies of a cluster are evaluated."""

from __future__ import annotations

from math import inf

from netprobe.model.cluster import Cluster
from netprobe.model.policy import Action, Policy, Tier


def in_order(cluster: Cluster) -> list[tuple[Tier, int]]:
    """Every policy with its tier, first to last, as indexes of `cluster.policies`.

    Tiers by order, then name; policies by order, then the text NAME/NAMESPACE/KIND. A tier that the cluster
    does not have comes after all others and denies at its end (Calico, policy_sorter.go).
    """
    known = {tier.name: tier for tier in cluster.tiers}
    found = [
        (known.get(policy.tier) or Tier(policy.tier, inf, Action.DENY), number)
        for number, policy in enumerate(cluster.policies)
    ]
    return sorted(found, key=lambda item: _key(item[0], cluster.policies[item[1]]))


def _key(tier: Tier, policy: Policy) -> tuple[float, str, float, str]:
    ref = policy.ref
    return tier.order, tier.name, policy.order, f"{ref.name}/{ref.namespace}/{ref.kind}"
