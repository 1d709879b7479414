"""Deployments: a ReplicaSet for each template, the newest with all the pods in the end."""

from __future__ import annotations

import copy

from netprobe.lab.api.operations import lab_itself, now
from netprobe.lab.api.resources import DEPLOYMENTS, REPLICA_SETS
from netprobe.lab.api.store import Store
from netprobe.lab.controllers.base import controller_of, reference
from netprobe.lab.controllers.workloads import OwnerController, template_hash
from netprobe.manifests.workload import TEMPLATE_HASH
from netprobe.model.objects import Object


class Deployments(OwnerController):
    """An update makes all new pods before it removes old ones, since pods cost little here. ReplicaSets of
    old templates are deleted: there is no rollout history."""

    resource = DEPLOYMENTS
    dependent = REPLICA_SETS

    def update(self, obj: Object) -> None:
        metadata, wanted = obj["metadata"], obj["spec"]["replicas"]
        name = f"{metadata['name']}-{template_hash(obj['spec']['template'])}"
        sets = {
            stored.object["metadata"]["name"]: stored.object
            for stored in self.store.items(REPLICA_SETS, metadata["namespace"])
            if (controller_of(stored.object) or {}).get("uid") == metadata["uid"]
        }
        newest = sets.pop(name) if name in sets else self._make(obj, name)
        self._scale(obj, newest, wanted)
        if _count([newest], "readyReplicas") >= wanted:
            for old in sets.values():
                self._remove(obj, old)
        self._set_status(obj, newest, list(sets.values()))

    def _make(self, obj: Object, name: str) -> Object:
        template, selector = copy.deepcopy(obj["spec"]["template"]), copy.deepcopy(obj["spec"]["selector"])
        hashed = {TEMPLATE_HASH: name.rpartition("-")[2]}
        labels = {**template.get("metadata", {}).get("labels", {}), **hashed}
        template.setdefault("metadata", {})["labels"] = labels
        selector["matchLabels"] = {**selector.get("matchLabels", {}), **hashed}
        references = [reference(DEPLOYMENTS, obj)]
        made = {
            "metadata": {"name": name, "labels": labels, "ownerReferences": references},
            "spec": {"replicas": 0, "selector": selector, "template": template},
        }
        return self.operations.create(REPLICA_SETS, obj["metadata"]["namespace"], made, lab_itself())

    def _scale(self, obj: Object, replica_set: Object, replicas: int) -> None:
        if replica_set["spec"]["replicas"] != replicas:
            self._record_scaling(obj, replica_set, replicas)
            key = Store.key(replica_set)
            self.operations.modify(REPLICA_SETS, key, lambda old: old["spec"].update(replicas=replicas))

    def _remove(self, obj: Object, old: Object) -> None:
        """Delete a ReplicaSet; its pods go with it."""
        if old["spec"]["replicas"]:
            self._record_scaling(obj, old, 0)
        self.operations.remove(REPLICA_SETS, old)

    def _record_scaling(self, obj: Object, replica_set: Object, replicas: int) -> None:
        before, name = replica_set["spec"]["replicas"], replica_set["metadata"]["name"]
        word = "up" if replicas > before else "down"
        text = f"Scaled {word} replica set {name} from {before} to {replicas}"
        self.record(obj, "ScalingReplicaSet", text)

    def _set_status(self, obj: Object, newest: Object, old: list[Object]) -> None:
        wanted = obj["spec"]["replicas"]
        total, ready = _count([*old, newest], "replicas"), _count([*old, newest], "readyReplicas")
        status = {
            "replicas": total,
            "updatedReplicas": _count([newest], "replicas"),
            "readyReplicas": ready,
            "availableReplicas": ready,
            "unavailableReplicas": max(0, wanted - ready),
            "conditions": [_available(obj, ready >= wanted)],
        }
        self.set_status(obj, status)


def _count(replica_sets: list[Object], field: str) -> int:
    return sum(one.get("status", {}).get(field, 0) for one in replica_sets)


def _available(obj: Object, holds: bool) -> Object:
    """The condition Available; while it has not changed, it keeps its times."""
    reason = "MinimumReplicasAvailable" if holds else "MinimumReplicasUnavailable"
    new = {"type": "Available", "status": str(holds), "reason": reason}
    for old in obj.get("status", {}).get("conditions", ()):
        if new.items() <= old.items():
            return dict(old)
    at = now()
    return {**new, "lastUpdateTime": at, "lastTransitionTime": at}
