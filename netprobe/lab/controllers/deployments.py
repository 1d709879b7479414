"""Deployments: a ReplicaSet for each template, the newest with all the pods in the end."""

from __future__ import annotations

import copy

from netprobe.lab import events
from netprobe.lab.api.lifecycle import Deletion
from netprobe.lab.api.operations import lab_itself
from netprobe.lab.api.resources import DEPLOYMENTS, REPLICA_SETS
from netprobe.lab.api.store import Key
from netprobe.lab.controllers import owned
from netprobe.lab.controllers.workloads import Workloads, condition
from netprobe.model.objects import Object

HASH = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"


class Deployments(Workloads):
    """A rolling update brings all new pods up before it takes the old ones down: pods cost little here.
    With strategy Recreate the old ones go first."""

    resource = DEPLOYMENTS
    keeps = (REPLICA_SETS,)
    adopts = False

    def bring_about(self, obj: Object) -> float | None:
        sets = owned.dependents(self.operations, REPLICA_SETS, obj)
        name = f"{obj['metadata']['name']}-{owned.template_hash(obj['spec']['template'])}"
        new = next((item for item in sets if item["metadata"]["name"] == name), None)
        old = [item for item in sets if item is not new]
        if obj["spec"].get("paused"):
            self._tell(obj, new, sets)
            return None
        recreate = obj["spec"]["strategy"]["type"] == "Recreate"
        wanted = obj["spec"]["replicas"]
        busy = any(item.get("status", {}).get("replicas") or item["spec"]["replicas"] for item in old)
        if recreate and busy:
            for item in old:
                self._scale(item, 0)
            self._tell(obj, new, sets)
            return None
        new = self._make(obj, name, old) if new is None else self._current(obj, new, old)
        self._scale(new, wanted)
        new = self.store.get(REPLICA_SETS, self.store.key(new)).object  # type: ignore[union-attr]
        if new.get("status", {}).get("readyReplicas", 0) >= wanted:
            for item in old:
                self._scale(item, 0)
            self._forget(obj, old)
        self._tell(obj, new, owned.dependents(self.operations, REPLICA_SETS, obj))
        return None

    def _make(self, obj: Object, name: str, old: list[Object]) -> Object:
        template = copy.deepcopy(obj["spec"]["template"])
        hashed = {HASH: name.rpartition("-")[2]}
        labels = {**template.get("metadata", {}).get("labels", {}), **hashed}
        template.setdefault("metadata", {})["labels"] = labels
        selector = copy.deepcopy(obj["spec"]["selector"])
        selector["matchLabels"] = {**selector.get("matchLabels", {}), **hashed}
        revision = str(_newest(old) + 1)
        self._note_revision(obj, revision)
        made = {
            "apiVersion": REPLICA_SETS.api_version,
            "kind": REPLICA_SETS.kind,
            "metadata": {
                "name": name,
                "labels": labels,
                "annotations": {**owned.passed_on(obj), REVISION: revision},
                "ownerReferences": [owned.reference(DEPLOYMENTS, obj)],
            },
            "spec": {"replicas": obj["spec"]["replicas"], "selector": selector, "template": template},
        }
        new = self.operations.create(REPLICA_SETS, obj["metadata"]["namespace"], made, lab_itself())
        self._note_scaling(new, 0, new["spec"]["replicas"])
        return new

    def _current(self, obj: Object, new: Object, old: list[Object]) -> Object:
        """A template that comes back (a rollout undone) is the newest revision again."""
        revision = str(max(_revision(new), _newest(old) + 1))
        self._note_revision(obj, revision)
        annotations = {**owned.passed_on(obj), REVISION: revision}
        if new["metadata"].get("annotations") == annotations:
            return new
        metadata = {**new["metadata"], "annotations": annotations}
        return self.operations.replace(REPLICA_SETS, new, {**new, "metadata": metadata}, lab_itself())

    def _note_revision(self, obj: Object, revision: str) -> None:
        def note(deployment: Object) -> None:
            deployment["metadata"].setdefault("annotations", {})[REVISION] = revision

        key = self.store.key(obj)
        stored = self.store.get(DEPLOYMENTS, key)
        if stored is not None and stored.object["metadata"].get("annotations", {}).get(REVISION) != revision:
            self.operations.modify(DEPLOYMENTS, key, note)

    def _scale(self, item: Object, replicas: int) -> None:
        if item["spec"]["replicas"] != replicas:
            self._note_scaling(item, item["spec"]["replicas"], replicas)
            spec = {**item["spec"], "replicas": replicas}
            replacement = {**item, "metadata": dict(item["metadata"]), "spec": spec}
            self.operations.replace(REPLICA_SETS, item, replacement, lab_itself())

    def _note_scaling(self, item: Object, before: int, after: int) -> None:
        ref = owned.controller(item)
        stored = None if ref is None else self.store.by_uid(ref["uid"])
        if stored is not None and before != after:
            word = "up" if after > before else "down"
            text = f"Scaled {word} replica set {item['metadata']['name']} from {before} to {after}"
            events.record(
                self.operations,
                stored[1].object,
                "ScalingReplicaSet",
                text,
                component="deployment-controller",
            )

    def _forget(self, obj: Object, old: list[Object]) -> None:
        """Keep no more old revisions than asked for."""
        empty = sorted((item for item in old if not item.get("status", {}).get("replicas")), key=_revision)
        for item in empty[: max(0, len(empty) - obj["spec"]["revisionHistoryLimit"])]:
            key = Key(item["metadata"]["namespace"], item["metadata"]["name"])
            self.operations.delete(REPLICA_SETS, *key, Deletion(), lab_itself())

    def _tell(self, obj: Object, new: Object | None, sets: list[Object]) -> None:
        wanted = obj["spec"]["replicas"]
        states = [item.get("status", {}) for item in sets]
        total = sum(state.get("replicas", 0) for state in states)
        ready = sum(state.get("readyReplicas", 0) for state in states)
        updated = new.get("status", {}).get("replicas", 0) if new is not None else 0
        name = new["metadata"]["name"] if new is not None else ""
        done = new is not None and updated == ready == total == wanted
        progress = f'ReplicaSet "{name}" {"has successfully progressed" if done else "is progressing"}.'
        reason = "NewReplicaSetAvailable" if done else "ReplicaSetUpdated"
        minimum = ready >= max(0, wanted - _unavailable(obj))
        available = "MinimumReplicasAvailable" if minimum else "MinimumReplicasUnavailable"
        has = "has" if minimum else "does not have"
        status = {
            "observedGeneration": obj["metadata"]["generation"],
            "replicas": total,
            "updatedReplicas": updated,
            "readyReplicas": ready,
            "availableReplicas": ready,
            "unavailableReplicas": max(0, wanted - ready),
            "conditions": [
                *_failures(new),
                condition(obj, "Available", minimum, available, f"Deployment {has} minimum availability."),
                condition(obj, "Progressing", True, reason, progress),
            ],
        }
        owned.set_status(self.operations, DEPLOYMENTS, obj, status)


def _revision(item: Object) -> int:
    return int(item["metadata"].get("annotations", {}).get(REVISION, "0"))


def _failures(new: Object | None) -> list[Object]:
    """That pods of the newest template are refused."""
    conditions = [] if new is None else new.get("status", {}).get("conditions", [])
    return [c for c in conditions if c["type"] == "ReplicaFailure"]


def _newest(items: list[Object]) -> int:
    return max(map(_revision, items), default=0)


def _unavailable(obj: Object) -> int:
    """maxUnavailable as a number; a percentage rounds down."""
    given = obj["spec"]["strategy"].get("rollingUpdate", {}).get("maxUnavailable", 0)
    if isinstance(given, str):
        return int(obj["spec"]["replicas"]) * int(given.rstrip("%")) // 100
    return int(given)
