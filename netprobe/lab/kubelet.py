"""Brings stored pods up on the fabric, and writes their status.

A pod gets a node and addresses, then the rules for it are loaded, and only then it is started: it sends no
packet before its policies are in force. Images are not run; the fabric serves the declared ports.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Any

from netprobe.errors import LabError
from netprobe.lab import placement, podstatus
from netprobe.lab.api.operations import Operations, now
from netprobe.lab.api.resources import NODES, PODS
from netprobe.lab.api.store import ObjectKey, StoredChange
from netprobe.lab.controllers.base import Controller
from netprobe.lab.fabric import faults
from netprobe.lab.fabric.state import Fabric, LabNode, PolicyPod
from netprobe.lab.placement import HostPorts
from netprobe.lab.state_pusher import OUTSIDE, StatePusher
from netprobe.model.flow import Address, PodRef
from netprobe.model.labels import labels_of_pod
from netprobe.model.objects import Object

ADDRESS = "netprobe.dev/address"
_RETRY_S = 1.0


@dataclass(slots=True)
class _Local:
    """A pod that is up. With the host network, `addresses` are its node's."""

    uid: str
    node: LabNode
    started_at: float
    addresses: tuple[Address, ...]


class Kubelet(Controller[ObjectKey]):
    """The kubelet of every node, and the scheduler."""

    parallel = 64  # they wait for the kernel together, and one transaction serves all of them

    def __init__(self, operations: Operations, fabric: Fabric, enforcer: StatePusher) -> None:
        super().__init__(operations)
        self._fabric = fabric
        self._enforcer = enforcer
        self._local: dict[ObjectKey, _Local] = {}
        self._reserved: dict[ObjectKey, tuple[str, HostPorts]] = {}  # by pods of the cluster: node and ports

    def concerned(self, change: StoredChange) -> Iterable[ObjectKey]:
        if change.resource is not PODS:
            return []
        local = self._local.get(change.key)
        if local is not None and local.uid == change.now.object["metadata"]["uid"]:
            self._show(change.now.object, local)  # policies see new labels at once
        return [change.key]

    async def reconcile(self, key: ObjectKey) -> float | None:
        stored = self.store.get(PODS, key)
        local = self._local.get(key)
        if local is not None and (stored is None or stored.object["metadata"]["uid"] != local.uid):
            await self._tear_down(key)
            local = None
        if stored is None:
            return None
        pod = stored.object
        if "deletionTimestamp" in pod["metadata"]:
            await self._finish(key, pod)
            return None
        if pod["status"]["phase"] in {"Succeeded", "Failed"}:
            await self._tear_down(key)
            return None
        if local is None:
            return await self._bring_up(key, pod)
        return await self._keep_up(key, pod, local)

    async def _bring_up(self, key: ObjectKey, pod: Object) -> float | None:
        try:
            spec = self._spec(key, pod)
            addresses = await self._fabric.place(spec)
        except (LabError, ValueError) as error:
            self._reserved.pop(key, None)
            self._unschedulable(key, pod, str(error))
            return _RETRY_S
        node = next(node for node in self._fabric.nodes if node.name == spec.node)
        local = _Local(pod["metadata"]["uid"], node, asyncio.get_running_loop().time(), addresses)
        self._local[key] = local
        self._show(pod, local)
        if "nodeName" not in pod["spec"]:
            message = f"Successfully assigned {key.namespace}/{key.name} to {node.name}"
            self.operations.record(pod, "Scheduled", message, component="default-scheduler")
        self._write(key, lambda obj: podstatus.scheduled(obj, node.name, now()))
        await self._enforcer.caught_up()
        try:
            await self._fabric.start(PodRef(*key))
        except LabError as error:
            await self._tear_down(key)
            self.operations.record(
                pod, "FailedCreatePodSandBox", str(error), component="kubelet", warning=True
            )
            return _RETRY_S
        current = self.store.get(PODS, key)
        if current is None or current.object["metadata"]["uid"] != local.uid:
            return 0.0  # gone meanwhile: come back to clean up
        self._write(key, lambda obj: podstatus.running(obj, node, addresses, now()))
        for container in pod["spec"]["containers"]:
            message = f"Started container {container['name']} (netprobe lab: images are not run)"
            self.operations.record(pod, "Started", message, component="kubelet")
        for message in podstatus.failing_probes(pod).values():
            self.operations.record(pod, "Unhealthy", message, component="kubelet", warning=True)
        return None  # the change of its status brings it back

    async def _keep_up(self, key: ObjectKey, pod: Object, local: _Local) -> float | None:
        """Update the pod's readiness; restart or end it when it is time. Seconds until the next such time."""
        if pod["status"]["phase"] != "Running":
            return None
        self._write(key, lambda obj: podstatus.refresh(obj, now()))
        age = asyncio.get_running_loop().time() - local.started_at
        restart = faults.restart_after(pod["metadata"].get("annotations") or {})
        if restart and not podstatus.restarted(pod):
            if age >= restart:
                await self._tear_down(key)
                self._write(key, podstatus.restart)
            return max(0.0, restart - age)
        deadline = pod["spec"].get("activeDeadlineSeconds")
        if deadline is None:
            return None
        if age < deadline:
            return float(deadline) - age
        reason, text = "DeadlineExceeded", "Pod was active on the node longer than the specified deadline"
        self._write(key, lambda obj: podstatus.failed(obj, reason, text, now()))
        self.operations.record(pod, reason, text, component="kubelet")
        return None

    async def _finish(self, key: ObjectKey, pod: Object) -> None:
        """End a pod that is being deleted; as no image runs, it needs none of its grace period."""
        if key in self._local:
            for container in pod["spec"]["containers"]:
                message = f"Stopping container {container['name']}"
                self.operations.record(pod, "Killing", message, component="kubelet")
        await self._tear_down(key)
        stored = self.store.get(PODS, key)
        left = {} if stored is None else stored.object["metadata"]
        kept_by_finalizer = left.get("deletionGracePeriodSeconds") == 0
        if left.get("uid") == pod["metadata"]["uid"] and not kept_by_finalizer:
            self.operations.remove(PODS, pod, grace_s=0)

    async def _tear_down(self, key: ObjectKey) -> None:
        if key in self._local:
            ref = PodRef(*key)
            await self._fabric.remove(ref)
            del self._local[key]
            self._reserved.pop(key, None)
            self._enforcer.drop(ref)

    def _write(self, key: ObjectKey, change: Callable[[Object], None]) -> None:
        self.operations.modify(PODS, key, change, "status")

    def _show(self, pod: Object, local: _Local) -> None:
        """Give the enforcer what policies see of a pod."""
        self._enforcer.put(_record(pod, local.node.name, local.addresses))

    def _spec(self, key: ObjectKey, pod: Object) -> PolicyPod:
        """The pod as the fabric needs it; LabError if no node fits, ValueError for a bad address."""
        metadata = pod["metadata"]
        annotations = metadata.get("annotations") or {}
        if metadata["namespace"] != OUTSIDE:
            return replace(_record(pod, self._choose(key, pod["spec"])), annotations=annotations)
        if ADDRESS not in annotations:
            raise LabError(f"a pod in {OUTSIDE} needs the annotation {ADDRESS}")
        addresses = tuple(ip_address(text.strip()) for text in annotations[ADDRESS].split(","))
        return replace(_record(pod, self._fabric.nodes[0].name, addresses), annotations=annotations)

    def _choose(self, key: ObjectKey, spec: Mapping[str, Any]) -> str:
        """The pod's `nodeName`, or the node with the fewest pods of those that fit; it is reserved."""
        names = [node.name for node in self._fabric.nodes]
        node = spec.get("nodeName")
        if node is None:
            load = Counter(name for name, _ in self._reserved.values())
            taken = {(name, *port) for name, ports in self._reserved.values() for port in ports}
            nodes = [stored.object for stored in self.store.items(NODES)]
            fitting = placement.fitting(spec, [n for n in nodes if n["metadata"]["name"] in names], taken)
            node = min(fitting, key=lambda name: load[name])
        elif node not in names:
            raise LabError(f"there is no node {node!r}")
        self._reserved[key] = node, placement.host_ports(spec)
        return str(node)

    def _unschedulable(self, key: ObjectKey, pod: Object, why: str) -> None:
        old = [c for c in pod["status"].get("conditions", ()) if c["type"] == "PodScheduled"]
        if not old or old[0].get("message") != why:
            self.operations.record(pod, "FailedScheduling", why, component="default-scheduler", warning=True)
            self._write(key, lambda obj: podstatus.unschedulable(obj, why, now()))


def _record(pod: Object, node: str, addresses: tuple[Address, ...] = ()) -> PolicyPod:
    """A pod as policies see it."""
    metadata, spec = pod["metadata"], pod["spec"]
    account = spec.get("serviceAccountName") or "default"
    return PolicyPod(
        ref=PodRef(metadata["namespace"], metadata["name"]),
        labels=labels_of_pod(metadata["namespace"], account, metadata.get("labels") or {}),
        addresses=addresses,
        ports=podstatus.ports(pod),
        node=node,
        host_network=bool(spec.get("hostNetwork")),
        external=metadata["namespace"] == OUTSIDE,
        account=account,
    )
