"""Policies of other kinds than NetworkPolicy: they decide flows too, and netprobe does not simulate them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from netprobe.errors import ClusterError, ForbiddenError
from netprobe.kube.client import KubeCluster

KINDS: Final[Mapping[str, tuple[str, ...]]] = {
    # an API group -> those of its resources that are policies in force
    "crd.projectcalico.org": ("globalnetworkpolicies", "networkpolicies"),
    "projectcalico.org": ("globalnetworkpolicies", "networkpolicies"),
    "cilium.io": ("ciliumclusterwidenetworkpolicies", "ciliumnetworkpolicies"),
    "crd.antrea.io": ("clusternetworkpolicies", "networkpolicies"),
    "policy.networking.k8s.io": (
        "adminnetworkpolicies",
        "baselineadminnetworkpolicies",
        "clusternetworkpolicies",
    ),
}
SAME: Final[Mapping[str, str]] = {"projectcalico.org": "crd.projectcalico.org"}
"""A group whose objects another one holds as well; where both are served the other is asked."""

MIRRORED: Final = "knp."
"""How the names of NetworkPolicies begin that Calico's API server shows once more as its own."""

FORBIDDEN: Final = "(may not be listed)"
FAILED: Final = "(could not be listed)"
UNREAD: Final = "(does not say which kinds it has)"

_MOST = 500
_FEW = 3


async def beside(cluster: KubeCluster) -> tuple[str, ...] | None:
    """One phrase for each kind of which there are some, or of which nobody can say it; usually none.

    None where the server does not say which API groups it has.
    """
    try:
        groups = {group["name"]: group for group in (await cluster.raw("/apis")).get("groups") or ()}
    except ClusterError:
        return None
    known = [name for name in KINDS if name in groups and SAME.get(name) not in groups]
    found = await asyncio.gather(*(_group(cluster, groups[name]) for name in known))
    return tuple(phrase for phrases in found for phrase in phrases)


def certain(phrase: str) -> bool:
    """Whether a phrase of `beside` tells of policies that are there, and not that nobody knows."""
    return not phrase.endswith((FORBIDDEN, FAILED, UNREAD))


async def _group(cluster: KubeCluster, group: Mapping[str, Any]) -> list[str]:
    name = group["name"]
    phrases: dict[str, str | None] = {}
    silent = False
    for version in (entry["version"] for entry in group["versions"]):
        try:
            served = await cluster.raw(f"/apis/{name}/{version}")
        except ClusterError:  # an aggregated API whose server is not there
            silent = True
            continue
        plurals = {resource["name"] for resource in served.get("resources") or ()}
        for plural in (one for one in KINDS[name] if one in plurals and one not in phrases):
            phrases[plural] = await _phrase(cluster, f"/apis/{name}/{version}/{plural}", f"{plural}.{name}")
    if silent and not phrases:
        phrases[name] = f"{name} {UNREAD}"
    return [phrase for phrase in phrases.values() if phrase]


async def _phrase(cluster: KubeCluster, path: str, what: str) -> str | None:
    try:
        answer = await cluster.raw(f"{path}?limit={_MOST}")
    except ForbiddenError:
        return f"{what} {FORBIDDEN}"
    except ClusterError:
        return f"{what} {FAILED}"
    metas = [obj["metadata"] for obj in answer.get("items") or ()]
    names = ["/".join(filter(None, (meta.get("namespace"), meta["name"]))) for meta in metas]
    names = [name for name in names if not name.rpartition("/")[2].startswith(MIRRORED)]
    if not names:
        return None
    count = len(names) + int(answer.get("metadata", {}).get("remainingItemCount") or 0)
    shown = ", ".join(names[:_FEW]) + (", ..." if count > _FEW else "")
    return f"{count} {what} ({shown})"
