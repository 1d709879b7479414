"""Which kinds of objects matter to the network, by API group and version."""

from __future__ import annotations

from difflib import get_close_matches
from enum import Enum
from functools import cache

from netprobe.policies.kinds import SIMULATED, kind_of

_OWN_GROUPS = frozenset(("", "apps", "batch", "discovery.k8s.io", "extensions", "networking.k8s.io"))
WORKLOADS = frozenset(
    ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job", "CronJob")
)
"""Kinds with a pod template."""
_CORE = ("Namespace", "Node", "Pod", "Service", "ServiceAccount", "ReplicationController", "List")
_CURRENT = {
    **dict.fromkeys(_CORE, "v1"),
    **dict.fromkeys(("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"), "apps/v1"),
    **dict.fromkeys(("Job", "CronJob"), "batch/v1"),
    "Endpoints": "v1",
    "EndpointSlice": "discovery.k8s.io/v1",
    **{kind.kind: kind.api_version for kind in SIMULATED if kind.group in _OWN_GROUPS},
}
"""Built-in kinds that matter, with the apiVersion that netprobe reads."""
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
    ("discovery.k8s.io/v1beta1", "EndpointSlice"): "1.25",
}
"""(apiVersion, kind) -> the Kubernetes release that removed it (source: the API migration guide)."""


class Relevance(Enum):
    MATTERS = "matters"
    SKIPPED = "skipped"
    NOT_SIMULATED = "not simulated"
    REMOVED_VERSION = "removed apiVersion"
    WRONG_VERSION = "wrong apiVersion"
    MISSPELT_KIND = "misspelt kind"


def relevance(api_version: str, kind: str) -> tuple[Relevance, str]:
    """Whether an object matters, and the name to count it by or what is wrong with it.

    Of a removed version there may be NetworkPolicies, which no server of today enforces, and others, which
    are read like today's.
    """
    group, version = _split(api_version)
    policy = kind_of(api_version, kind)
    if policy is not None and policy.read is None:
        return Relevance.NOT_SIMULATED, f"{kind}.{group}"
    item = kind if kind == "List" else kind.removesuffix("List")
    if api_version in _versions(api_version, item):
        return Relevance.MATTERS, kind
    current = next(iter(_versions(api_version, kind)), None)
    if removed := _REMOVED.get((api_version, kind)):
        message = f"{api_version} {kind} was removed in Kubernetes {removed}; write {current}"
        return Relevance.REMOVED_VERSION, message
    # A group without a dot is Kubernetes' own: a CustomResourceDefinition may not have one.
    is_own = policy is not None or group in _OWN_GROUPS or "." not in group
    if current is not None and (is_own or (kind == "NetworkPolicy" and _is_misspelt(group))):
        return Relevance.WRONG_VERSION, f"there is no {kind} in {api_version}; write {current}"
    if current is None and (intended := _intended(kind, group)):
        return Relevance.MISSPELT_KIND, f"there is no {kind} in {api_version}; did you mean {intended}?"
    known = current is not None or group not in _OWN_GROUPS | {"networking.k8s.io"}
    return Relevance.SKIPPED, f"{kind}.{group}" if known and version and "." in group else kind


def may_matter(api_version: object, kind: object) -> bool:
    """Whether an object may matter of which only the apiVersion, or only the kind, is known."""
    if isinstance(kind, str):
        return kind in _CURRENT or any(each.kind == kind for each in SIMULATED)
    group = _split(str(api_version))[0]
    return group in _OWN_GROUPS or any(group in each.groups for each in SIMULATED)


def _versions(api_version: str, kind: str) -> tuple[str, ...]:
    """Every apiVersion that netprobe reads of a kind, the one to write first."""
    policy = kind_of(api_version, kind)
    if policy is not None:
        return policy.api_versions
    return (_CURRENT[kind],) if kind in _CURRENT else ()


def _split(api_version: str) -> tuple[str, str]:
    group, slash, version = api_version.partition("/")
    return (group, version) if slash else ("", group)


@cache
def _intended(kind: str, group: str) -> str | None:
    """The kind that is misspelt here, if it matters: `networkpolicy`, `NetworkPolicies`."""
    kinds = _CURRENT if group in _OWN_GROUPS else [each.kind for each in SIMULATED if group in each.groups]
    known = {name.casefold(): name for name in kinds}
    return next((known[name] for name in get_close_matches(kind.casefold(), known, 1, 0.85)), None)


@cache
def _is_misspelt(group: str) -> bool:
    return bool(get_close_matches(group.casefold(), ["networking.k8s.io"], 1, 0.85))
