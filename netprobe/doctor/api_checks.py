"""What the API says of itself, of us, and of its nodes. Nothing is created."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from netprobe.doctor.check import Check, Status
from netprobe.errors import ClusterError
from netprobe.model.objects import Object
from netprobe.probe import permission
from netprobe.probe.api import ClusterAPI
from netprobe.probe.permission import FIXTURE, IN_PLACE, Need, Permission

FEW = 3
"""So many names are told before the rest is counted."""


class About(Protocol):
    """What `netprobe.kube.facts` finds out about a cluster."""

    @property
    def server_version(self) -> str: ...
    @property
    def cni(self) -> str | None: ...
    @property
    def evidence(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Node:
    """A node as its status tells it. `open`: any pod may be put there."""

    name: str
    ready: bool
    open: bool
    linux: bool = True
    kubelet: str = ""

    @property
    def usable(self) -> bool:
        return self.ready and self.linux


def api(about: About, server: str) -> Check:
    return Check("API server", Status.OK, f"{about.server_version} at {server}")


def plugin(about: About) -> Check:
    if about.cni is None:
        return Check("network plugin", Status.NOTE, f"not recognised: {about.evidence}")
    return Check("network plugin", Status.OK, f"{about.cni}, by {about.evidence}")


def others(beside: Sequence[str] | None) -> Check:
    """Policies of kinds that are not simulated; None: nobody could say whether there are any."""
    name = "other policies"
    if beside is None:
        return Check(name, Status.NOTE, "the API server does not say which API groups it has")
    if not beside:
        return Check(name, Status.OK, "none of a kind that decides flows beside NetworkPolicy")
    return Check(name, Status.NOTE, f"{'; '.join(beside)}: they decide flows too, and are not simulated")


async def user(cluster: ClusterAPI) -> str | None:
    """Who the credentials stand for; None where the server does not say (before Kubernetes 1.28)."""
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
    """One check for runs in namespaces of their own, one for runs in place; and what the first lacks."""
    name = who or "these credentials"
    wanted = [p for p in FIXTURE if p.need is not Need.OPTIONAL]
    try:
        none = set(await permission.missing(cluster, dict.fromkeys([*FIXTURE, *IN_PLACE])))
    except ClusterError as e:
        hint = "a run tries nevertheless, and stops at the first verb that is refused"
        return [Check("permissions", Status.UNKNOWN, f"the server does not tell: {e}", hint)], ()
    lacking = tuple(p for p in FIXTURE if p in none)
    needed = [p for p in lacking if p.need is not Need.OPTIONAL]
    quiet = [p for p in lacking if p.need is Need.OPTIONAL]
    if needed:
        first = Check(
            "permissions",
            Status.UNKNOWN,
            f"{name} lacks {_listed(needed)}",
            "have the ClusterRole below applied (-o rbac prints nothing else), or name another --context",
        )
    elif quiet:
        why = "; ".join(f"{p}, which would tell {p.why}" for p in quiet)
        first = Check("permissions", Status.NOTE, f"{name} has all that a run needs, but not {why}")
    else:
        first = Check("permissions", Status.OK, f"{name} has all {len(wanted)} that a run needs")
    second = Check("permissions in place", Status.OK, "and those to test beside the workloads of others")
    if short := [p for p in IN_PLACE if p in none and p.need is not Need.OPTIONAL]:
        second = Check(
            "permissions in place",
            Status.NOTE,
            f"not enough to test beside the workloads of others: lacks {_listed(short)}",
            "only needed for that: manifests/rbac/in-place.yaml",
        )
    return [first, second], lacking


async def nodes(cluster: ClusterAPI) -> tuple[Check, tuple[Node, ...] | None]:
    """The nodes, sorted by name; None where they may not be listed."""
    try:
        found = tuple(sorted(map(node, await cluster.find("Node")), key=lambda n: n.name))
    except ClusterError as e:
        hint = "pods go where the scheduler puts them, and nodes are not told apart"
        return Check("nodes", Status.NOTE, str(e), hint), None
    unready = [n.name for n in found if not n.ready]
    count = "1 node" if len(found) == 1 else f"{len(found)} nodes"
    kubelets = ", ".join(sorted({n.kubelet for n in found if n.kubelet}))
    told = f"{count}, kubelet {kubelets}" if kubelets else count
    if unready:
        hint = "a node stays NotReady until its network plugin runs: kubectl describe node"
        status = Status.NOTE if len(unready) < len(found) else Status.FAILED
        return Check("nodes", status, f"{told}; not ready: {names(unready)}", hint), found
    return Check("nodes", Status.OK, f"{told}, all ready"), found


def node(obj: Object) -> Node:
    """A node from its API object."""
    meta, status = obj["metadata"], obj.get("status") or {}
    conditions = {c["type"]: c["status"] for c in status.get("conditions") or ()}
    spec = obj.get("spec") or {}
    closed = bool(spec.get("unschedulable")) or any(
        taint.get("effect") in {"NoSchedule", "NoExecute"} for taint in spec.get("taints") or ()
    )
    return Node(
        meta["name"],
        ready=conditions.get("Ready") == "True",
        open=not closed,
        linux=(meta.get("labels") or {}).get("kubernetes.io/os", "linux") == "linux",
        kubelet=(status.get("nodeInfo") or {}).get("kubeletVersion", ""),
    )


def chosen(found: Sequence[Node], most: int) -> tuple[str, ...]:
    """Where to try: usable nodes that take any pod, the first `most` by name (0: all of them).

    Where all are closed by taints or cordons, as on a control plane alone, those are taken.
    """
    usable = [n for n in found if n.usable]
    candidates = [n.name for n in usable if n.open] or [n.name for n in usable]
    return tuple(candidates[: most or None])


def names(texts: Collection[object]) -> str:
    """ "n1, n2, n3 and 4 more"."""
    shown = ", ".join(map(str, list(texts)[:FEW]))
    return f"{shown} and {len(texts) - FEW} more" if len(texts) > FEW else shown


def _listed(lacking: Sequence[Permission]) -> str:
    return "; ".join(map(str, lacking))
