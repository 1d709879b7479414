"""Workloads: a template becomes pods, with the names and labels that Kubernetes' own controllers give them.

`WORKLOADS` is the table: for each kind, the pods that an object wants (`slots`), the slot that a pod fills
(`key`) and the status. `WorkloadController` serves every kind of it in the same way: it adopts pods, fills
free slots, removes pods that fill none, and replaces pods of an old template one by one while all others are
ready. Deployments (deployments.py) only make ReplicaSets.
"""

from __future__ import annotations

import copy
import hashlib
import json
from abc import abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from netprobe.lab import placement
from netprobe.lab.api.operations import SAFE_LETTERS, Operations, lab_itself, now
from netprobe.lab.api.resources import DAEMON_SETS, JOBS, NODES, PODS, REPLICA_SETS, STATEFUL_SETS, Resource
from netprobe.lab.api.selectors import selector_of
from netprobe.lab.api.store import ObjectKey, Store, StoredChange
from netprobe.lab.controllers.base import Controller, controller_of, reference
from netprobe.lab.podstatus import is_ready
from netprobe.manifests.workload import COMPLETION_INDEX, REVISION_HASH, added_labels, indexes
from netprobe.model.objects import Object


def template_hash(template: Mapping[str, Any]) -> str:
    """A short name for a template: equal templates have equal names."""
    digest = hashlib.sha256(json.dumps(template, sort_keys=True).encode()).digest()
    return "".join(SAFE_LETTERS[byte % len(SAFE_LETTERS)] for byte in digest[:10])


class OwnerController(Controller[ObjectKey]):
    """Wakes for objects of its kind, and for objects of the kind that they own: `dependent`."""

    resource: Resource
    dependent: Resource = PODS

    def concerned(self, change: StoredChange) -> Iterable[ObjectKey]:
        if change.resource is self.resource:
            return [change.key]
        if change.resource is not self.dependent:
            return []
        ref = controller_of(change.now.object)
        if ref is not None:
            own = ref["kind"] == self.resource.kind and ref["apiVersion"] == self.resource.api_version
            return [ObjectKey(change.key.namespace, ref["name"])] if own else []
        labels = change.now.object["metadata"].get("labels")
        if not labels or self.dependent is not PODS:
            return []
        return [  # those that may adopt it
            self.store.key(stored.object)
            for stored in self.store.items(self.resource, change.key.namespace)
            if (selector := selector_of(stored.object)) is not None and selector.matches(labels)
        ]

    async def reconcile(self, key: ObjectKey) -> float | None:
        stored = self.store.get(self.resource, key)
        if stored is not None and "deletionTimestamp" not in stored.object["metadata"]:
            self.update(stored.object)
        return None

    @abstractmethod
    def update(self, obj: Object) -> None:
        """Make one step towards what the object describes."""

    def set_status(self, obj: Object, status: Object) -> None:
        """Write a status if it differs."""
        generation = {} if self.resource is JOBS else {"observedGeneration": obj["metadata"]["generation"]}
        new = {**generation, **status}
        self.operations.modify(self.resource, Store.key(obj), lambda old: old.update(status=new), "status")

    def record(self, obj: Object, reason: str, text: str) -> None:
        self.operations.record(obj, reason, text, component=f"{self.resource.singular}-controller")


@dataclass(frozen=True, slots=True)
class Slot:
    """A pod that a workload wants: what its template lacks.

    `key` tells the pods of one workload apart (a name, a node, an index); it is "" if they are all alike.
    A pod without a `name` gets a generated one that starts with `prefix`, by default the workload's name.
    """

    key: str = ""
    name: str = ""
    prefix: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    spec: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WorkloadKind:
    """A kind of the table.

    `slots`: the object and the cluster's nodes → the pods wanted, in the order in which they are made.
    `status` is made from the object, the pods that fill slots, and the number of slots. `fits`: whether the
    object may adopt a pod that its selector matches. `if_finished`: what is done with pods that have ended;
    only those that "count" fill slots.
    """

    resource: Resource
    slots: Callable[[Object, Sequence[Object]], list[Slot]]
    key: Callable[[Object], str]
    status: Callable[[Object, Sequence[Object], int], Object]
    fits: Callable[[Object, Object], bool] = lambda _obj, _pod: True
    if_finished: Literal["leave", "remove", "count"] = "leave"


class WorkloadController(OwnerController):
    def __init__(self, operations: Operations, workload: WorkloadKind) -> None:
        self.resource = workload.resource
        self._workload = workload
        super().__init__(operations)

    def concerned(self, change: StoredChange) -> Iterable[ObjectKey]:
        if change.resource is NODES and self.resource is DAEMON_SETS:
            return [self.store.key(stored.object) for stored in self.store.items(DAEMON_SETS)]
        return super().concerned(change)

    def update(self, obj: Object) -> None:
        workload = self._workload
        pods = self._claim(obj)
        staying = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
        finished = [pod for pod in staying if _is_finished(pod)] if workload.if_finished != "count" else []
        slots = workload.slots(obj, [stored.object for stored in self.store.items(NODES)])
        filled, surplus = _fill(slots, [pod for pod in staying if pod not in finished], workload.key)
        for pod in (*surplus, *(finished if workload.if_finished == "remove" else ())):
            self._remove(obj, pod)
        self._make_missing(obj, slots, filled, {pod["metadata"]["name"] for pod in pods})
        self._replace(obj, slots, filled)
        here = [pod for pod in filled if pod is not None]
        self.set_status(obj, workload.status(obj, here, len(slots)))

    def _claim(self, owner: Object) -> list[Object]:
        """The pods of an owner: those that its selector matches and that fit.

        A matching pod without a controller is adopted; one that no longer matches is released
        (kubernetes, pkg/controller/controller_ref_manager.go, PodControllerRefManager).
        """
        uid, selector, found = owner["metadata"]["uid"], selector_of(owner), []
        for stored in self.store.items(PODS, owner["metadata"]["namespace"]):
            pod = stored.object
            ref = controller_of(pod)
            own = ref is not None and ref["uid"] == uid
            if not own and ref is not None:
                continue
            labels = pod["metadata"].get("labels") or {}
            fits = selector is not None and selector.matches(labels) and self._workload.fits(owner, pod)
            if own != fits and "deletionTimestamp" not in pod["metadata"]:
                others = [r for r in pod["metadata"].get("ownerReferences", ()) if r["uid"] != uid]
                references = [*others, reference(self.resource, owner)] if fits else others
                self.operations.set_owners(PODS, pod, references)
                own = fits
            if own:
                found.append(pod)
        return found

    def _make_missing(
        self, obj: Object, slots: Sequence[Slot], filled: list[Object | None], taken: set[str]
    ) -> None:
        """Fill the free slots; with OrderedReady each pod waits for the one before it."""
        ordered = obj["spec"].get("podManagementPolicy") == "OrderedReady"
        for index, slot in enumerate(slots):
            pod = filled[index]
            if pod is None and slot.name not in taken:
                pod = filled[index] = self._make(obj, slot)
            if ordered and (pod is None or not is_ready(pod)):
                return

    def _make(self, owner: Object, slot: Slot) -> Object:
        """Create a pod from the owner's template, with what the slot adds."""
        template = copy.deepcopy(owner["spec"]["template"])
        given = template.get("metadata", {})
        prefix = slot.prefix or f"{owner['metadata']['name']}-"
        metadata: Object = {
            "labels": {**given.get("labels", {}), **slot.labels},
            "annotations": {**given.get("annotations", {}), **slot.annotations},
            "ownerReferences": [reference(self.resource, owner)],
            **({"name": slot.name} if slot.name else {"generateName": prefix}),
        }
        if not metadata["annotations"]:
            del metadata["annotations"]
        pod = {"metadata": metadata, "spec": {**template["spec"], **slot.spec}}
        made = self.operations.create(PODS, owner["metadata"]["namespace"], pod, lab_itself())
        self.record(owner, "SuccessfulCreate", f"Created pod: {made['metadata']['name']}")
        return made

    def _replace(self, obj: Object, slots: Sequence[Slot], filled: Sequence[Object | None]) -> None:
        """Remove the last pod of an old template, if all pods are ready."""
        if obj["spec"].get("updateStrategy", {}).get("type") != "RollingUpdate":
            return
        pods = [pod for pod in filled if pod is not None and is_ready(pod)]
        old = [p for p, slot in zip(pods, slots, strict=False) if _revision(p) != slot.labels[REVISION_HASH]]
        if old and len(pods) == len(slots):
            self._remove(obj, old[-1])

    def _remove(self, obj: Object, pod: Object) -> None:
        self.operations.remove(PODS, pod)
        self.record(obj, "SuccessfulDelete", f"Deleted pod: {pod['metadata']['name']}")


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


def _is_finished(pod: Object) -> bool:
    return pod["status"]["phase"] in {"Succeeded", "Failed"}


def _revision(pod: Object) -> str:
    return str(pod["metadata"].get("labels", {}).get(REVISION_HASH, ""))


def _ready(pods: Iterable[Object]) -> int:
    return sum(map(is_ready, pods))


# ReplicaSets: pods that are all alike


def _replicas(obj: Object, _nodes: Sequence[Object]) -> list[Slot]:
    return [Slot()] * obj["spec"].get("replicas", 1)


def _replica_set_status(_obj: Object, pods: Sequence[Object], _wanted: int) -> Object:
    return {"replicas": len(pods), "readyReplicas": _ready(pods), "availableReplicas": _ready(pods)}


# StatefulSets: pods with names


def _ordinals(obj: Object, _nodes: Sequence[Object]) -> list[Slot]:
    spec, name = obj["spec"], obj["metadata"]["name"]
    service = {"subdomain": spec["serviceName"]} if spec.get("serviceName") else {}
    revision = {REVISION_HASH: f"{name}-{template_hash(spec['template'])}"}
    return [
        Slot(
            pod := f"{name}-{ordinal}",
            pod,
            labels=added_labels("StatefulSet", name, index=ordinal) | revision,
            spec={"hostname": pod, **service},
        )
        for ordinal in indexes(obj, "StatefulSet") or ()
    ]


def _has_ordinal(obj: Object, pod: Object) -> bool:
    """A StatefulSet only adopts pods that are named as it would name them."""
    name, _, ordinal = pod["metadata"]["name"].rpartition("-")
    return bool(name == obj["metadata"]["name"] and ordinal.isascii() and ordinal.isdigit())


def _stateful_set_status(obj: Object, pods: Sequence[Object], wanted: int) -> Object:
    newest = f"{obj['metadata']['name']}-{template_hash(obj['spec']['template'])}"
    updated = sum(_revision(pod) == newest for pod in pods)
    done = updated == len(pods) == wanted
    return {
        "replicas": len(pods),
        "readyReplicas": _ready(pods),
        "availableReplicas": _ready(pods),
        "updatedReplicas": updated,
        "currentReplicas": updated if done else len(pods) - updated,
        "currentRevision": newest if done else obj.get("status", {}).get("currentRevision", newest),
        "updateRevision": newest,
    }


# DaemonSets: a pod for each node


def _on_nodes(obj: Object, nodes: Sequence[Object]) -> list[Slot]:
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
    return {
        "desiredNumberScheduled": wanted,
        "currentNumberScheduled": len(pods),
        "numberMisscheduled": 0,
        "numberReady": _ready(pods),
        "numberAvailable": _ready(pods),
        "numberUnavailable": wanted - _ready(pods),
        "updatedNumberScheduled": sum(_revision(pod) == newest for pod in pods),
    }


# Jobs: pods that stay, since images are not run. One that ends, by its deadline or with the command of a
# client that has attached to it, is not replaced.


def _index(pod: Object) -> str:
    return str(pod["metadata"].get("labels", {}).get(COMPLETION_INDEX, ""))


def _completions(obj: Object, _nodes: Sequence[Object]) -> list[Slot]:
    """The pods that run at the same time."""
    spec, name = obj["spec"], obj["metadata"]["name"]
    parallelism = spec.get("parallelism", 1)
    if spec.get("suspend"):
        return []
    if (numbers := indexes(obj, "Job")) is None:
        return [Slot()] * min(parallelism, spec.get("completions", parallelism))
    return [
        Slot(
            index,
            prefix=f"{name}-{index}-",
            labels={COMPLETION_INDEX: index},
            annotations={COMPLETION_INDEX: index},
            spec={"hostname": f"{name}-{index}"},
        )
        for index in map(str, numbers[:parallelism])
    ]


def _job_status(obj: Object, pods: Sequence[Object], _wanted: int) -> Object:
    active = [pod for pod in pods if not _is_finished(pod)]
    started = obj.get("status", {}).get("startTime") or now()
    return {"startTime": started, "active": len(active), "ready": _ready(active)}


WORKLOADS = (
    WorkloadKind(REPLICA_SETS, _replicas, key=lambda _pod: "", status=_replica_set_status),
    WorkloadKind(
        STATEFUL_SETS,
        _ordinals,
        key=lambda pod: str(pod["metadata"]["name"]),
        status=_stateful_set_status,
        fits=_has_ordinal,
        if_finished="remove",
    ),
    WorkloadKind(
        DAEMON_SETS,
        _on_nodes,
        key=lambda pod: str(pod["spec"].get("nodeName", "")),
        status=_daemon_set_status,
        if_finished="remove",
    ),
    WorkloadKind(JOBS, _completions, key=_index, status=_job_status, if_finished="count"),
)
