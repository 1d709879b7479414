"""Deployments: a ReplicaSet for each template, the newest with all the pods in the end."""

from __future__ import annotations

import copy

from netprobe.lab import events
from netprobe.lab.api.lifecycle import Deletion
from netprobe.lab.api.operations import lab_itself, now
from netprobe.lab.api.resources import DEPLOYMENTS, REPLICA_SETS
from netprobe.lab.controllers import owned
from netprobe.lab.controllers.workloads import OwnerController, template_hash
from netprobe.manifests.workload import TEMPLATE_HASH
from netprobe.model.objects import Object


class Deployments(OwnerController):
    """A rolling update makes all new pods before it removes old ones, since pods cost little here; with the
    strategy Recreate it removes the old ones first. ReplicaSets of old templates are deleted: there is no
    rollout history."""

    resource = DEPLOYMENTS
    dependent = REPLICA_SETS

    def update(self, obj: Object) -> float | None:
        wanted, template = obj["spec"]["replicas"], obj["spec"]["template"]
        name = f"{obj['metadata']['name']}-{template_hash(template)}"
        sets = owned.dependents(self.operations, REPLICA_SETS, obj)
        newest = next((one for one in sets if one["metadata"]["name"] == name), None)
        old = [one for one in sets if one is not newest]
        if not obj["spec"].get("paused"):
            recreate = obj["spec"]["strategy"]["type"] == "Recreate"
            if not recreate or all(_pods(one) == 0 for one in old):
                newest = self._scale(obj, newest or self._make(obj, name), wanted)
            if recreate or (newest is not None and _ready(newest) >= wanted):
                self._remove(obj, old)
        self._set_status(obj, newest, old)
        return None

    def _make(self, obj: Object, name: str) -> Object:
        template, selector = copy.deepcopy(obj["spec"]["template"]), copy.deepcopy(obj["spec"]["selector"])
        hashed = {TEMPLATE_HASH: name.rpartition("-")[2]}
        labels = {**template.get("metadata", {}).get("labels", {}), **hashed}
        template.setdefault("metadata", {})["labels"] = labels
        selector["matchLabels"] = {**selector.get("matchLabels", {}), **hashed}
        references = [owned.reference(DEPLOYMENTS, obj)]
        made = {
            "apiVersion": REPLICA_SETS.api_version,
            "kind": REPLICA_SETS.kind,
            "metadata": {"name": name, "labels": labels, "ownerReferences": references},
            "spec": {"replicas": 0, "selector": selector, "template": template},
        }
        return self.operations.create(REPLICA_SETS, obj["metadata"]["namespace"], made, lab_itself())

    def _scale(self, obj: Object, replica_set: Object, replicas: int) -> Object:
        before, name = replica_set["spec"]["replicas"], replica_set["metadata"]["name"]
        if before == replicas:
            return replica_set
        word = "up" if replicas > before else "down"
        text = f"Scaled {word} replica set {name} from {before} to {replicas}"
        events.record(self.operations, obj, "ScalingReplicaSet", text, component="deployment-controller")
        spec = {**replica_set["spec"], "replicas": replicas}
        changed = {**replica_set, "metadata": dict(replica_set["metadata"]), "spec": spec}
        return self.operations.replace(REPLICA_SETS, replica_set, changed, lab_itself())

    def _remove(self, obj: Object, old: list[Object]) -> None:
        """Scale old ReplicaSets down, and delete those that have no pods left."""
        for one in old:
            if self._scale(obj, one, 0) is one and _pods(one) == 0:
                metadata = one["metadata"]
                deletion = Deletion(uid=metadata["uid"])
                self.operations.delete(
                    REPLICA_SETS, metadata["namespace"], metadata["name"], deletion, lab_itself()
                )

    def _set_status(self, obj: Object, newest: Object | None, old: list[Object]) -> None:
        wanted = obj["spec"]["replicas"]
        sets = [*old, *([newest] if newest is not None else [])]
        total, ready = sum(map(_pods, sets)), sum(map(_ready, sets))
        updated = 0 if newest is None else _pods(newest)
        name = "" if newest is None else newest["metadata"]["name"]
        done = updated == ready == total == wanted
        progress = f'ReplicaSet "{name}" {"has successfully progressed" if done else "is progressing"}.'
        reason = "NewReplicaSetAvailable" if done else "ReplicaSetUpdated"
        minimum = ready >= max(0, wanted - _max_unavailable(obj))
        available = "MinimumReplicasAvailable" if minimum else "MinimumReplicasUnavailable"
        text = f"Deployment {'has' if minimum else 'does not have'} minimum availability."
        status = {
            "observedGeneration": obj["metadata"]["generation"],
            "replicas": total,
            "updatedReplicas": updated,
            "readyReplicas": ready,
            "availableReplicas": ready,
            "unavailableReplicas": max(0, wanted - ready),
            "conditions": [
                _condition(obj, "Available", minimum, available, text),
                _condition(obj, "Progressing", True, reason, progress),
            ],
        }
        owned.set_status(self.operations, DEPLOYMENTS, obj, status)


def _pods(replica_set: Object) -> int:
    return int(replica_set.get("status", {}).get("replicas", 0))


def _ready(replica_set: Object) -> int:
    return int(replica_set.get("status", {}).get("readyReplicas", 0))


def _max_unavailable(obj: Object) -> int:
    """maxUnavailable as a number of pods; a percentage rounds down."""
    given = obj["spec"]["strategy"].get("rollingUpdate", {}).get("maxUnavailable", 0)
    if isinstance(given, str):
        return int(obj["spec"]["replicas"]) * int(given.rstrip("%")) // 100
    return int(given)


def _condition(obj: Object, kind: str, holds: bool, reason: str, message: str) -> Object:
    """A condition; one that has not changed keeps its times."""
    new = {"type": kind, "status": "True" if holds else "False", "reason": reason, "message": message}
    for old in obj.get("status", {}).get("conditions", ()):
        if new.items() <= old.items():
            return dict(old)
    at = now()
    return {**new, "lastUpdateTime": at, "lastTransitionTime": at}
