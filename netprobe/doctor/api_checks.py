"""Checks by the API alone: version, permissions, nodes, network plugin. Nothing is created."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from netprobe.doctor.checks import Check, CheckStatus
from netprobe.errors import ClusterError
from netprobe.model.objects import Object
from netprobe.model.text import listed
from netprobe.probe import permission
from netprobe.probe.api import ClusterAPI
from netprobe.probe.nodes import NodeStatus
from netprobe.probe.nodes import nodes as list_nodes
from netprobe.probe.permission import FIXTURE, IN_PLACE, Need, Permission

if TYPE_CHECKING:
    from netprobe.kube.facts import ClusterFacts


def api(facts: ClusterFacts, server: str) -> Check:
    return Check("API server", CheckStatus.OK, f"{facts.server_version} at {server}")


def plugin(facts: ClusterFacts) -> Check:
    if facts.cni is None:
        return Check("network plugin", CheckStatus.NOTE, f"not recognised: {facts.evidence}")
    return Check("network plugin", CheckStatus.OK, f"{facts.cni}, from {facts.evidence}")


def other_policies(found: Sequence[str]) -> Check:
    """Policies of kinds that are not simulated."""
    name = "other policies"
    if not found:
        return Check(name, CheckStatus.OK, "no policies of kinds that netprobe does not simulate")
    return Check(name, CheckStatus.NOTE, f"{'; '.join(found)}: they decide flows too, and are not simulated")


async def user(cluster: ClusterAPI) -> str | None:
    """The user of the credentials; None if the server does not say (before Kubernetes 1.28)."""
    question: Object = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "SelfSubjectReview",
        "metadata": {},
    }
    try:
        answer = await cluster.create(question)
    except ClusterError:
        return None
    name = ((answer.get("status") or {}).get("userInfo") or {}).get("username")
    return str(name) if name else None


async def permissions(cluster: ClusterAPI, who: str | None) -> tuple[list[Check], tuple[Permission, ...]]:
    """A check for runs in their own namespaces, one for runs in place; and what the first kind lacks."""
    name = who or "these credentials"
    wanted = [p for p in FIXTURE if p.need is not Need.OPTIONAL]
    try:
        none = set(await permission.missing(cluster, dict.fromkeys([*FIXTURE, *IN_PLACE])))
    except ClusterError as e:
        hint = "a run tries anyway, and stops at the first verb that is refused"
        return [Check("permissions", CheckStatus.UNKNOWN, f"the server does not say: {e}", hint)], ()
    lacking = tuple(p for p in FIXTURE if p in none)
    needed = [p for p in lacking if p.need is not Need.OPTIONAL]
    optional = [p for p in lacking if p.need is Need.OPTIONAL]
    if needed:
        first = Check(
            "permissions",
            CheckStatus.UNKNOWN,
            f"{name} lacks {_listed(needed)}",
            "ask for the ClusterRole below (-o rbac prints only that), or use another --context",
        )
    elif optional:
        missing = "; ".join(f"{p} ({p.why})" for p in optional)
        first = Check(
            "permissions",
            CheckStatus.NOTE,
            f"{name} has all that a run needs; not required, but missing: {missing}",
        )
    else:
        first = Check("permissions", CheckStatus.OK, f"{name} has all {len(wanted)} that a run needs")
    second = Check(
        "permissions in place", CheckStatus.OK, "also sufficient for runs next to the workloads of others"
    )
    if short := [p for p in IN_PLACE if p in none and p.need is not Need.OPTIONAL]:
        second = Check(
            "permissions in place",
            CheckStatus.NOTE,
            f"not sufficient for runs next to the workloads of others: lacks {_listed(short)}",
            "needed for that only: manifests/rbac/in-place.yaml",
        )
    return [first, second], lacking


async def nodes(
    cluster: ClusterAPI, *, wait_s: float = 0.0, progress: Callable[[str], None] = lambda _: None
) -> tuple[Check, tuple[NodeStatus, ...] | None]:
    """The nodes, sorted by name, once those that are starting are usable; None if they may not be listed."""
    try:
        found = await list_nodes(cluster, wait_s=wait_s, progress=progress)
    except ClusterError as e:
        hint = "the scheduler chooses the nodes of the pods, and nodes are not compared"
        return Check("nodes", CheckStatus.NOTE, str(e), hint), None
    unready = [n.name for n in found if not n.ready]
    count = "1 node" if len(found) == 1 else f"{len(found)} nodes"
    kubelets = ", ".join(sorted({n.kubelet for n in found if n.kubelet}))
    summary = f"{count}, kubelet {kubelets}" if kubelets else count
    if unready:
        hint = "a node stays NotReady until its network plugin runs: kubectl describe node"
        status = CheckStatus.NOTE if len(unready) < len(found) else CheckStatus.FAILED
        return Check("nodes", status, f"{summary}; not ready: {listed(unready)}", hint), found
    return Check("nodes", CheckStatus.OK, f"{summary}, all ready"), found


def _listed(lacking: Sequence[Permission]) -> str:
    return "; ".join(map(str, lacking))
