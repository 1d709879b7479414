"""What the policy APIs leave to the implementation, and what each network plugin makes of it.

The API says nothing, or says "undefined", about a few cases (docs/semantics.md, "Special cases"). A Profile
is a plugin's answers. Every decision that depends on one is marked as undefined, except whether a block
contains pods, which the end-to-end tests of Kubernetes define.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from netprobe.errors import UsageError


class Treatment(Enum):
    """How a plugin treats traffic that the API does not define."""

    POLICIES = "policies"  # judged as any other flow
    ALWAYS = "always"  # passes, whatever the policies say


@dataclass(frozen=True, slots=True)
class Profile:
    """One plugin's answers.

    `blocks_match_pods`: an ipBlock matches the address of a pod. The API means ipBlock for addresses
    outside the cluster; Kubernetes' own end-to-end tests and Calico match pods too, Cilium gives pods an
    identity that no block matches (cilium #9209).
    `blocks_match_nodes`: the same for the address of a node, and so for a hostNetwork pod.
    `own_node`: a pod to the node that it runs on (kube-network-policies #283).
    `self_through_service`: a pod to itself by way of a Service (kubernetes #95879).
    `calico`: Calico's own kinds are enforced, tiers and network sets among them.
    `namespaces_match_sets`: a ClusterNetworkPolicy's `namespaces` peer also matches the NetworkSets of these
    namespaces (seen on Calico 3.32.1; the API says pods only).
    `nodes_and_domains`: ClusterNetworkPolicy's peers `nodes` and `domainNames` are supported.
    `hides_baseline`: a NetworkPolicy that selects a pod hides the Baseline tier for both directions, also
    for the one that it does not isolate (seen on kube-network-policies 1.1.1).
    """

    name: str
    blocks_match_pods: bool = True
    blocks_match_nodes: bool = True
    own_node: Treatment = Treatment.POLICIES
    self_through_service: Treatment = Treatment.POLICIES
    calico: bool = False
    namespaces_match_sets: bool = False
    nodes_and_domains: bool = True
    hides_baseline: bool = False


CALICO = Profile("calico", calico=True, namespaces_match_sets=True, nodes_and_domains=False)
KUBE_NETWORK_POLICIES = Profile("kube-network-policies", hides_baseline=True)
CILIUM = Profile(
    "cilium",
    blocks_match_pods=False,
    blocks_match_nodes=False,
    self_through_service=Treatment.ALWAYS,  # its hairpin path skips policy
)
ANTREA = Profile("antrea", self_through_service=Treatment.ALWAYS)  # antrea #5687

PROFILES: Mapping[str, Profile] = {
    profile.name: profile for profile in (CALICO, CILIUM, KUBE_NETWORK_POLICIES, ANTREA)
}


def profile(name: str) -> Profile:
    """The profile of that name; UsageError names the ones there are."""
    try:
        return PROFILES[name]
    except KeyError:
        raise UsageError(f"there is no profile {name!r}; choose from {', '.join(PROFILES)}") from None
