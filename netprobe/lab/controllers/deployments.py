"""Deployments: a ReplicaSet for each template, the newest with all the pods in the end."""

from __future__ import annotations

import copy

from netprobe.lab.api.operations import Deletion, lab_itself, now
from netprobe.lab.api.resources import DEPLOYMENTS, REPLICA_SETS
from netprobe.lab.api.store import Store
from netprobe.lab.controllers.base import controller_of, reference
from netprobe.lab.controllers.workloads import OwnerController, template_hash
from netprobe.manifests.workload import TEMPLATE_HASH
from netprobe.model.objects import Object


class Deployments(OwnerController):
    """A rolling update makes all new pods before it removes old ones, since pods cost little here; with the
    strategy Recreate it removes the old ones first. ReplicaSets of old templates are deleted: there is no
    rollout history."""

    resource = DEPLOYMENTS
    dependent = REPLICA_SETS

    def update(self, obj: Object) -> None:
        metadata, wanted = obj["metadata"], obj["spec"]["replicas"]
        name = f"{metadata['name']}-{template_hash(obj['spec']['template'])}"
        sets = [
            stored.object
            for stored in self.store.items(REPLICA_SETS, metadata["namespace"])
            if (controller_of(stored.object) or {}).get("uid") == metadata["uid"]
        ]
        newest = next((one for one in sets if one["metadata"]["name"] == name), None)
        old = [one for one in sets if one is not newest]
        if not obj["spec"].get("paused"):
            recreate = obj["spec"]["strategy"]["type"] == "Recreate"
            if not (recreate and old):
                newest = self._scale(obj, newest or self._make(obj, name), wanted)
            if recreate or (newest is not None and _count([newest], "readyReplicas") >= wanted):
                for one in old:
                    self._remove(obj, one)
        self._set_status(obj, newest, old)

    def _make(self, obj: Object, name: str) -> Object:
        template, selector = copy.deepcopy(obj["spec"]["template"]), copy.deepcopy(obj["spec"]["selector"])
        hashed = {TEMPLATE_HASH: name.rpartition("-")[2]}
        labels = {**template.get("metadata", {}).get("labels", {}), **hashed}
        template.setdefault("metadata", {})["labels"] = labels
        selector["matchLabels"] = {**selector.get("matchLabels", {}), **hashed}
        references = [reference(DEPLOYMENTS, obj)]
        made = {
            "apiVersion": REPLICA_SETS.api_version,
            "kind": REPLICA_SETS.kind,
            "metadata": {"name": name, "labels": labels, "ownerReferences": references},
            "spec": {"replicas": 0, "selector": selector, "template": template},
        }
        return self.operations.create(REPLICA_SETS, obj["metadata"]["namespace"], made, lab_itself())

    def _scale(self, obj: Object, replica_set: Object, replicas: int) -> Object:
        if replica_set["spec"]["replicas"] != replicas:
            self._record_scaling(obj, replica_set, replicas)
            key = Store.key(replica_set)
            self.operations.modify(REPLICA_SETS, key, lambda old: old["spec"].update(replicas=replicas))
        return replica_set

    def _remove(self, obj: Object, old: Object) -> None:
        """Delete a ReplicaSet; its pods go with it."""
        if old["spec"]["replicas"]:
            self._record_scaling(obj, old, 0)
        metadata = old["metadata"]
        deletion = Deletion(uid=metadata["uid"])
        self.operations.delete(REPLICA_SETS, metadata["namespace"], metadata["name"], deletion, lab_itself())

    def _record_scaling(self, obj: Object, replica_set: Object, replicas: int) -> None:
        before, name = replica_set["spec"]["replicas"], replica_set["metadata"]["name"]
        word = "up" if replicas > before else "down"
        text = f"Scaled {word} replica set {name} from {before} to {replicas}"
        self.record(obj, "ScalingReplicaSet", text)

    def _set_status(self, obj: Object, newest: Object | None, old: list[Object]) -> None:
        wanted, own = obj["spec"]["replicas"], [newest] if newest is not None else []
        total, ready = _count([*old, *own], "replicas"), _count([*old, *own], "readyReplicas")
        updated = _count(own, "replicas")
        done, available = updated == ready == total == wanted, ready >= wanted
        status = {
            "observedGeneration": obj["metadata"]["generation"],
            "replicas": total,
            "updatedReplicas": updated,
            "readyReplicas": ready,
            "availableReplicas": ready,
            "unavailableReplicas": max(0, wanted - ready),
            "conditions": [
                _condition(
                    obj,
                    "Available",
                    available,
                    "MinimumReplicasAvailable" if available else "MinimumReplicasUnavailable",
                ),
                _condition(
                    obj, "Progressing", True, "NewReplicaSetAvailable" if done else "ReplicaSetUpdated"
                ),
            ],
        }
        self.set_status(obj, status)


def _count(replica_sets: list[Object], field: str) -> int:
    return sum(one.get("status", {}).get(field, 0) for one in replica_sets)


def _condition(obj: Object, kind: str, holds: bool, reason: str) -> Object:
    """A condition; one that has not changed keeps its times."""
    new = {"type": kind, "status": "True" if holds else "False", "reason": reason}
    for old in obj.get("status", {}).get("conditions", ()):
        if new.items() <= old.items():
            return dict(old)
    at = now()
    return {**new, "lastUpdateTime": at, "lastTransitionTime": at}
