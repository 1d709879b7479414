"""Workloads: a template becomes pods, with the names and labels that Kubernetes' own controllers give them.

`WORKLOADS` is the table: for each kind, the pods that an object wants (`slots`), the slot that a pod fills
(`key`) and the status. `WorkloadController` serves every kind of it in the same way: it fills the free slots,
removes pods that fill none, and replaces pods of an old template one by one while all others are ready.
Deployments (deployments.py) only make ReplicaSets; Jobs (jobs.py) end.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from netprobe.lab import placement
from netprobe.lab.api.operations import Operations
from netprobe.lab.api.resources import DAEMON_SETS, NODES, PODS, REPLICA_SETS, STATEFUL_SETS, Resource
from netprobe.lab.api.selectors import matches, selector_of
from netprobe.lab.api.store import ObjectKey, StoredChange
from netprobe.lab.controllers import owned
from netprobe.lab.controllers.base import Controller
from netprobe.lab.controllers.owned import Slot
from netprobe.lab.podstatus import is_ready
from netprobe.manifests.workload import REVISION_HASH, added_labels, indexes
from netprobe.model.objects import Object

_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


def template_hash(template: Mapping[str, Any]) -> str:
    """A short name for a template: equal templates have equal names."""
    digest = hashlib.sha256(json.dumps(template, sort_keys=True).encode()).digest()
    return "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in digest[:10])


class OwnerController(Controller[ObjectKey]):
    """Wakes for objects of its kind, and for objects of the kind that they own: `dependent`."""

    resource: Resource
    dependent: Resource = PODS

    def concerned(self, change: StoredChange) -> Iterable[ObjectKey]:
        if change.resource is self.resource:
            return [change.key]
        if change.resource is not self.dependent:
            return []
        ref = owned.controller(change.now.object)
        if ref is not None:
            own = ref["kind"] == self.resource.kind and ref["apiVersion"] == self.resource.api_version
            return [ObjectKey(change.key.namespace, ref["name"])] if own else []
        return self._selecting(change.now.object) if self.dependent is PODS else []

    def _selecting(self, pod: Object) -> list[ObjectKey]:
        """The objects that may adopt a pod."""
        labels = pod["metadata"].get("labels")
        return [
            self.store.key(stored.object)
            for stored in self.store.items(self.resource, pod["metadata"]["namespace"])
            if labels and matches(selector_of(stored.object), labels)
        ]

    async def reconcile(self, key: ObjectKey) -> float | None:
        stored = self.store.get(self.resource, key)
        if stored is None or "deletionTimestamp" in stored.object["metadata"]:
            return None
        return self.update(stored.object)

    def update(self, obj: Object) -> float | None:
        """One step towards what the object asks for; seconds after which to look again, if any."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class WorkloadKind:
    """A kind of the table. Its `status` is made from the pods that fill slots, and the number of slots."""

    resource: Resource
    slots: Callable[[Object, Sequence[Object]], list[Slot]]
    """The object and the cluster's nodes → the pods wanted, in the order in which they are made."""
    key: Callable[[Object], str]
    status: Callable[[Object, Sequence[Object], int], Object]
    fits: Callable[[Object, Object], bool] = lambda _obj, _pod: True
    """Whether the object may adopt a pod that its selector matches."""
    replaces_finished: bool = True


class WorkloadController(OwnerController):
    def __init__(self, operations: Operations, workload: WorkloadKind) -> None:
        self.resource = workload.resource
        self._workload = workload
        super().__init__(operations)

    def concerned(self, change: StoredChange) -> Iterable[ObjectKey]:
        if change.resource is NODES and self.resource is DAEMON_SETS:
            return [self.store.key(stored.object) for stored in self.store.items(DAEMON_SETS)]
        return super().concerned(change)

    def update(self, obj: Object) -> float | None:
        workload = self._workload
        claimed = owned.claim(self.operations, self.resource, obj, lambda pod: workload.fits(obj, pod))
        slots = workload.slots(obj, [stored.object for stored in self.store.items(NODES)])
        filled, surplus = _fill(slots, [pod for pod in claimed if owned.alive(pod)], workload.key)
        if workload.replaces_finished:
            surplus += [
                pod for pod in claimed if owned.finished(pod) and "deletionTimestamp" not in pod["metadata"]
            ]
        for pod in surplus:
            owned.remove(self.operations, self.resource, obj, pod)
        taken = {pod["metadata"]["name"] for pod in claimed}
        self._make(obj, slots, filled, taken)
        self._replace(obj, slots, filled)
        here = [pod for pod in filled if pod is not None]
        generation = {"observedGeneration": obj["metadata"]["generation"]}
        status = workload.status(obj, here, len(slots))
        owned.set_status(self.operations, self.resource, obj, generation | status)
        return None

    def _make(self, obj: Object, slots: Sequence[Slot], filled: list[Object | None], taken: set[str]) -> None:
        """Fill the free slots; with OrderedReady each pod waits for the one before it."""
        ordered = obj["spec"].get("podManagementPolicy") == "OrderedReady"
        for index, slot in enumerate(slots):
            pod = filled[index]
            if pod is None and slot.name not in taken:
                pod = filled[index] = owned.make(self.operations, self.resource, obj, slot)
            if ordered and (pod is None or not is_ready(pod)):
                return

    def _replace(self, obj: Object, slots: Sequence[Slot], filled: Sequence[Object | None]) -> None:
        """Remove the last pod of an old template, if all pods are ready."""
        strategy = obj["spec"].get("updateStrategy", {})
        if strategy.get("type") != "RollingUpdate":
            return
        first = strategy.get("rollingUpdate", {}).get("partition", 0)  # StatefulSets: pods below it stay old
        if not all(pod is not None and is_ready(pod) for pod in filled):
            return
        for slot, pod in reversed([*zip(slots, filled, strict=True)][first:]):
            if pod is not None and _revision(pod) != slot.labels[REVISION_HASH]:
                owned.remove(self.operations, self.resource, obj, pod)
                return


def _fill(
    slots: Sequence[Slot], pods: Sequence[Object], key: Callable[[Object], str]
) -> tuple[list[Object | None], list[Object]]:
    """The pod in each slot, and the pods that fill none; ready and older pods come first."""
    free: defaultdict[str, list[Object]] = defaultdict(list)
    for pod in sorted(
        pods, key=lambda pod: (not is_ready(pod), pod["metadata"]["creationTimestamp"]), reverse=True
    ):
        free[key(pod)].append(pod)
    filled = [free[slot.key].pop() if free[slot.key] else None for slot in slots]
    return filled, [pod for left in free.values() for pod in left]


def _revision(pod: Object) -> str:
    return str(pod["metadata"].get("labels", {}).get(REVISION_HASH, ""))


def _ready(pods: Iterable[Object]) -> int:
    return sum(map(is_ready, pods))


# ReplicaSets: pods that are all alike


def _replicas(obj: Object, _nodes: Sequence[Object]) -> list[Slot]:
    return [Slot()] * obj["spec"].get("replicas", 1)


def _replica_set_status(_obj: Object, pods: Sequence[Object], _wanted: int) -> Object:
    ready = _ready(pods)
    return {
        "replicas": len(pods),
        "fullyLabeledReplicas": len(pods),
        "readyReplicas": ready,
        "availableReplicas": ready,
    }


# StatefulSets: pods with names


def _ordinals(obj: Object, _nodes: Sequence[Object]) -> list[Slot]:
    spec, name = obj["spec"], obj["metadata"]["name"]
    service = {"subdomain": spec["serviceName"]} if spec.get("serviceName") else {}
    slots = []
    for ordinal in indexes(obj, "StatefulSet") or ():
        pod = f"{name}-{ordinal}"
        labels = {
            **added_labels("StatefulSet", name, index=ordinal),
            REVISION_HASH: f"{name}-{template_hash(spec['template'])}",
        }
        slots.append(Slot(pod, pod, labels=labels, spec={"hostname": pod, **service}))
    return slots


def _has_ordinal(obj: Object, pod: Object) -> bool:
    """A StatefulSet only adopts pods that are named as it would name them."""
    name, _, ordinal = pod["metadata"]["name"].rpartition("-")
    return bool(name == obj["metadata"]["name"] and ordinal.isascii() and ordinal.isdigit())


def _stateful_set_status(obj: Object, pods: Sequence[Object], wanted: int) -> Object:
    newest = f"{obj['metadata']['name']}-{template_hash(obj['spec']['template'])}"
    updated = sum(_revision(pod) == newest for pod in pods)
    done = updated == len(pods) == wanted
    ready = _ready(pods)
    return {
        "replicas": len(pods),
        "readyReplicas": ready,
        "availableReplicas": ready,
        "updatedReplicas": updated,
        "currentReplicas": updated if done else len(pods) - updated,
        "currentRevision": newest if done else obj.get("status", {}).get("currentRevision", newest),
        "updateRevision": newest,
    }


# DaemonSets: a pod for each node


def _nodes(obj: Object, nodes: Sequence[Object]) -> list[Slot]:
    """DaemonSet pods tolerate unschedulable nodes."""
    spec = obj["spec"]["template"]["spec"]
    labels = {
        REVISION_HASH: template_hash(obj["spec"]["template"]),
        "pod-template-generation": str(obj["metadata"]["generation"]),
    }
    fitting = [n for n in nodes if placement.hindrance(spec, n) in {"", placement.UNSCHEDULABLE}]
    names = [str(node["metadata"]["name"]) for node in fitting]
    return [Slot(name, labels=labels, spec={"nodeName": name}) for name in names]


def _daemon_set_status(obj: Object, pods: Sequence[Object], wanted: int) -> Object:
    newest = template_hash(obj["spec"]["template"])
    ready = _ready(pods)
    return {
        "desiredNumberScheduled": wanted,
        "currentNumberScheduled": len(pods),
        "numberMisscheduled": 0,
        "numberReady": ready,
        "numberAvailable": ready,
        "numberUnavailable": wanted - ready,
        "updatedNumberScheduled": sum(_revision(pod) == newest for pod in pods),
    }


WORKLOADS = (
    WorkloadKind(
        REPLICA_SETS,
        slots=_replicas,
        key=lambda _pod: "",
        status=_replica_set_status,
        replaces_finished=False,
    ),
    WorkloadKind(
        STATEFUL_SETS,
        slots=_ordinals,
        key=lambda pod: str(pod["metadata"]["name"]),
        status=_stateful_set_status,
        fits=_has_ordinal,
    ),
    WorkloadKind(
        DAEMON_SETS,
        slots=_nodes,
        key=lambda pod: str(pod["spec"].get("nodeName", "")),
        status=_daemon_set_status,
    ),
)
