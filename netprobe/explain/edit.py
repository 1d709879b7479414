"""Small edits to a cluster, each returning a new one. What is suggested is tried with these."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

from netprobe.explain.record import Edit
from netprobe.model.cluster import Cluster
from netprobe.model.flow import PodRef
from netprobe.model.policy import Direction, Policy, PolicyRef, Rule

Rules: TypeAlias = tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class Candidate:
    """Edits to one side in words, and what they do to a cluster. The cheapest is tried first."""

    cost: int
    edits: tuple[Edit, ...]
    apply: Callable[[Cluster], Cluster]


def with_rules(cluster: Cluster, ref: PolicyRef, direction: Direction, rules: Rules) -> Cluster:
    """The cluster with other rules in one direction of one policy."""
    return replace(
        cluster,
        policies=tuple(
            directed(policy, direction, rules) if policy.ref == ref else policy for policy in cluster.policies
        ),
    )


def directed(policy: Policy, direction: Direction, rules: Rules) -> Policy:
    """The policy with these rules in a direction."""
    if direction is Direction.INGRESS:
        return replace(policy, ingress=rules)
    return replace(policy, egress=rules)


def with_policy(cluster: Cluster, policy: Policy) -> Cluster:
    return replace(cluster, policies=(*cluster.policies, policy))


def with_pod_label(cluster: Cluster, ref: PodRef, label: Mapping[str, str]) -> Cluster:
    pod = cluster.pods[ref]
    changed = replace(pod, labels={**pod.labels, **label})
    return replace(cluster, pods={**cluster.pods, ref: changed})


def with_namespace_label(cluster: Cluster, name: str, label: Mapping[str, str]) -> Cluster:
    namespace = cluster.namespaces[name]
    changed = replace(namespace, labels={**namespace.labels, **label})
    return replace(cluster, namespaces={**cluster.namespaces, name: changed})
