"""The nodes that pods can be put on, once those that only start have become usable."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from netprobe.model.objects import Object
from netprobe.model.text import listed
from netprobe.probe.api import ClusterAPI

LOOK_S: Final = 1.0
"""How often starting nodes are checked."""

YOUNG: Final = timedelta(minutes=10)
"""How long a node may take to start: one that changed its state longer ago is not waited for."""

_STARTING: Final = ("/not-ready", "-not-ready", "/uninitialized", "/network-unavailable")
"""The ends of taints that kubelets, cloud providers and network plugins put on a node while it starts.

https://kubernetes.io/docs/reference/labels-annotations-taints/
"""


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """A node by its status. `open`: it takes any pod. `starting`: it is about to become usable."""

    name: str
    ready: bool
    open: bool
    linux: bool = True
    kubelet: str = ""
    starting: bool = False

    @property
    def usable(self) -> bool:
        return self.ready and self.linux

    @classmethod
    def of(cls, obj: Object, now: datetime) -> NodeStatus:
        """From the API object."""
        meta, status, spec = obj["metadata"], obj.get("status") or {}, obj.get("spec") or {}
        closing = [t for t in spec.get("taints") or () if t.get("effect") in {"NoSchedule", "NoExecute"}]
        cordoned = bool(spec.get("unschedulable"))
        found = (c for c in status.get("conditions") or () if c["type"] == "Ready")
        condition = next(found, {"status": "False", "lastTransitionTime": meta.get("creationTimestamp")})
        ready = condition["status"] == "True"
        # A kubelet that has stopped makes the condition Unknown: that node does not start.
        starts = all(str(taint.get("key")).endswith(_STARTING) for taint in closing) and not cordoned
        waited = (not ready or closing) and condition["status"] != "Unknown"
        return cls(
            meta["name"],
            ready=ready,
            open=not (closing or cordoned),
            linux=(meta.get("labels") or {}).get("kubernetes.io/os", "linux") == "linux",
            kubelet=(status.get("nodeInfo") or {}).get("kubeletVersion", ""),
            starting=bool(starts and waited and _is_young(condition.get("lastTransitionTime"), now)),
        )


async def nodes(
    cluster: ClusterAPI, *, wait_s: float = 0.0, progress: Callable[[str], None] = lambda _: None
) -> tuple[NodeStatus, ...]:
    """The nodes, sorted by name. Waits up to `wait_s` for nodes that start. ClusterError."""
    now = asyncio.get_running_loop().time
    end = now() + wait_s
    while True:
        objects = await cluster.find("Node")
        found = sorted((NodeStatus.of(obj, datetime.now(UTC)) for obj in objects), key=lambda n: n.name)
        starting = [node.name for node in found if node.starting]
        if not starting or now() >= end:
            return tuple(found)
        progress(f"waiting for nodes that start: {listed(starting)}")
        await asyncio.sleep(LOOK_S)


def chosen(found: Iterable[NodeStatus], most: int) -> tuple[str, ...]:
    """Where to try: usable nodes that take any pod, the first `most` by name (0: all of them).

    Where all are closed by taints or cordons, as on a control plane alone, those are taken.
    """
    usable: Sequence[NodeStatus] = [n for n in found if n.usable]
    candidates = [n.name for n in usable if n.open] or [n.name for n in usable]
    return tuple(candidates[: most or None])


def _is_young(changed: object, now: datetime) -> bool:
    try:
        return now - datetime.fromisoformat(str(changed)) < YOUNG
    except (ValueError, TypeError):  # it does not say when
        return False
