"""Which objects matter to the network, by kind and API group."""

from __future__ import annotations

from difflib import get_close_matches
from enum import Enum
from functools import cache

CORE = frozenset(("Namespace", "Pod", "Service", "ReplicationController", "List"))
_CURRENT = {
    **dict.fromkeys(CORE, "v1"),
    **dict.fromkeys(("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"), "apps/v1"),
    **dict.fromkeys(("Job", "CronJob"), "batch/v1"),
    "NetworkPolicy": "networking.k8s.io/v1",
}
TEMPLATED = frozenset(_CURRENT) - {"Namespace", "Pod", "Service", "List", "NetworkPolicy"}
_REMOVED = {
    ("extensions/v1beta1", "NetworkPolicy"): "1.16",
    ("extensions/v1beta1", "Deployment"): "1.16",
    ("extensions/v1beta1", "DaemonSet"): "1.16",
    ("extensions/v1beta1", "ReplicaSet"): "1.16",
    ("apps/v1beta1", "Deployment"): "1.16",
    ("apps/v1beta1", "StatefulSet"): "1.16",
    ("apps/v1beta2", "Deployment"): "1.16",
    ("apps/v1beta2", "StatefulSet"): "1.16",
    ("apps/v1beta2", "DaemonSet"): "1.16",
    ("apps/v1beta2", "ReplicaSet"): "1.16",
    ("batch/v1beta1", "CronJob"): "1.25",
}
"""(apiVersion, kind) -> the Kubernetes release that removed it (the deprecated API migration guide)."""

_OWN_GROUPS = frozenset(("", "apps", "batch", "extensions", "networking.k8s.io"))
_OTHER_POLICIES = frozenset(
    (
        ("crd.projectcalico.org", "NetworkPolicy"),
        ("crd.projectcalico.org", "GlobalNetworkPolicy"),
        ("projectcalico.org", "NetworkPolicy"),
        ("projectcalico.org", "GlobalNetworkPolicy"),
        ("cilium.io", "CiliumNetworkPolicy"),
        ("cilium.io", "CiliumClusterwideNetworkPolicy"),
        ("crd.antrea.io", "NetworkPolicy"),
        ("crd.antrea.io", "ClusterNetworkPolicy"),
        ("policy.networking.k8s.io", "AdminNetworkPolicy"),
        ("policy.networking.k8s.io", "BaselineAdminNetworkPolicy"),
        ("policy.networking.k8s.io", "ClusterNetworkPolicy"),
    )
)
"""Policies of other kinds that decide flows too: passed over, but not in silence."""


class Relevance(Enum):
    MATTERS = "matters"
    PASSED_OVER = "passed over"
    NOT_SIMULATED = "not simulated"
    WRONG = "wrong"  # its apiVersion
    MISSPELT = "misspelt"  # its kind


def relevance(api_version: str, kind: str) -> tuple[Relevance, str]:
    """Whether an object matters. The text is the name to count it by, or what is wrong with it."""
    group, version = _split(api_version)
    if (group, kind) in _OTHER_POLICIES:
        return Relevance.NOT_SIMULATED, f"{kind}.{group}"
    current = _CURRENT.get(kind)
    if kind.endswith("List") and kind != "List":
        current = api_version if _CURRENT.get(kind.removesuffix("List")) == api_version else None
    if current == api_version:
        return Relevance.MATTERS, kind
    if removed := _REMOVED.get((api_version, kind)):
        return Relevance.WRONG, f"{api_version} {kind} was removed in Kubernetes {removed}; write {current}"
    if current is not None and (group in _OWN_GROUPS or (kind == "NetworkPolicy" and _is_misspelt(group))):
        return Relevance.WRONG, f"there is no {kind} in {api_version}; write {current}"
    if current is None and group in _OWN_GROUPS and (meant := _meant(kind)):
        return Relevance.MISSPELT, f"there is no {kind} in {api_version}; did you mean {meant}?"
    known = current is not None or group not in _OWN_GROUPS | {"networking.k8s.io"}
    return Relevance.PASSED_OVER, f"{kind}.{group}" if known and version and "." in group else kind


def _split(api_version: str) -> tuple[str, str]:
    group, slash, version = api_version.partition("/")
    return (group, version) if slash else ("", group)


@cache
def _meant(kind: str) -> str | None:
    """The kind that matters of which this is a misspelling: `networkpolicy`, `NetworkPolicies`."""
    known = {name.casefold(): name for name in _CURRENT}
    return next((known[name] for name in get_close_matches(kind.casefold(), known, 1, 0.85)), None)


@cache
def _is_misspelt(group: str) -> bool:
    return bool(get_close_matches(group.casefold(), ["networking.k8s.io"], 1, 0.85))
