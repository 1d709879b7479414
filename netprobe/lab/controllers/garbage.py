"""Owner references: dependents go when their last owner goes.

A reference holds within a namespace, or towards an owner that has none. One that leads into another namespace
finds nothing there, so its dependent is deleted, as on a real cluster. Owners of kinds that the lab does not
know are left alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from netprobe.lab.api.lifecycle import FOREGROUND, ORPHAN, Deletion
from netprobe.lab.api.operations import Operations, lab_itself
from netprobe.lab.api.resources import Resource
from netprobe.lab.api.store import Change
from netprobe.lab.controllers.base import Controller
from netprobe.model.objects import Object


class GarbageCollector(Controller[str]):
    """Its keys are uids: of dependents to be judged, and of owners that wait for their dependents."""

    def __init__(self, operations: Operations) -> None:
        self._dependents: defaultdict[str, set[str]] = defaultdict(set)
        super().__init__(operations)

    def concerned(self, change: Change) -> Iterable[str]:
        metadata = change.now.object["metadata"]
        uid = metadata["uid"]
        owners = [ref["uid"] for ref in metadata.get("ownerReferences", ())]
        if change.before is not None:
            for ref in change.before.object["metadata"].get("ownerReferences", ()):
                self._dependents[ref["uid"]].discard(uid)
        if change.type != "DELETED":
            for owner in owners:
                self._dependents[owner].add(uid)
            return [uid] if owners or "deletionTimestamp" in metadata else []
        return [*self._dependents.pop(uid, ()), *owners]

    async def reconcile(self, key: str) -> float | None:
        found = self.store.by_uid(key)
        if found is None:
            return None
        resource, stored = found
        metadata = stored.object["metadata"]
        if "deletionTimestamp" in metadata:
            self._release(resource, stored.object)
        elif metadata.get("ownerReferences"):
            self._judge(resource, stored.object)
        return None

    def _release(self, resource: Resource, owner: Object) -> None:
        """An owner that is being deleted: its dependents first, or set free."""
        metadata = owner["metadata"]
        finalizers = metadata.get("finalizers", ())
        if ORPHAN in finalizers:
            for dependent_resource, dependent in self._of(metadata["uid"]):
                self._drop_references(dependent_resource, dependent, {metadata["uid"]})
            self._finish(resource, owner, ORPHAN)
        elif FOREGROUND in finalizers:
            blocked = False
            for dependent_resource, dependent in self._of(metadata["uid"]):
                references = dependent["metadata"]["ownerReferences"]
                blocked |= any(
                    ref["uid"] == metadata["uid"] and ref.get("blockOwnerDeletion") for ref in references
                )
                self._judge(dependent_resource, dependent)
            if not blocked:
                self._finish(resource, owner, FOREGROUND)

    def _judge(self, resource: Resource, dependent: Object) -> None:
        """Delete a dependent without a living owner; take dead references off one that has another."""
        metadata = dependent["metadata"]
        references = metadata["ownerReferences"]
        standing = {ref["uid"]: self._standing(ref, metadata) for ref in references}
        if "solid" in standing.values():
            gone = {uid for uid, what in standing.items() if what != "solid"}
            if gone:
                self._drop_references(resource, dependent, gone)
        elif "deletionTimestamp" not in metadata:
            waits = "waiting" in standing.values() and bool(self._dependents.get(metadata["uid"]))
            deletion = Deletion(propagation="Foreground" if waits else "Background", uid=metadata["uid"])
            self.operations.delete(
                resource, metadata.get("namespace", ""), metadata["name"], deletion, lab_itself()
            )

    def _standing(self, ref: Mapping[str, Any], dependent: Mapping[str, Any]) -> str:
        """Of an owner: "solid" (it lives), "waiting" (deleted in the foreground), "absent"."""
        if self.store.catalog.of_kind(ref["apiVersion"], ref["kind"]) is None:
            return "solid"
        found = self.store.by_uid(ref["uid"])
        if found is None:
            return "absent"
        owner = found[1].object["metadata"]
        if owner["name"] != ref["name"] or owner.get("namespace") not in {None, dependent.get("namespace")}:
            return "absent"
        deleted = "deletionTimestamp" in owner and FOREGROUND in owner.get("finalizers", ())
        return "waiting" if deleted else "solid"

    def _of(self, owner: str) -> list[tuple[Resource, Object]]:
        found = [self.store.by_uid(uid) for uid in sorted(self._dependents.get(owner, ()))]
        return [(item[0], item[1].object) for item in found if item is not None]

    def _drop_references(self, resource: Resource, dependent: Object, owners: set[str]) -> None:
        metadata = dict(dependent["metadata"])
        left = [ref for ref in metadata["ownerReferences"] if ref["uid"] not in owners]
        metadata["ownerReferences"] = left
        if not left:
            del metadata["ownerReferences"]
        self.operations.replace(resource, dependent, {**dependent, "metadata": metadata}, lab_itself())

    def _finish(self, resource: Resource, owner: Object, finalizer: str) -> None:
        metadata = dict(owner["metadata"])
        metadata["finalizers"] = [f for f in metadata["finalizers"] if f != finalizer]
        self.operations.replace(resource, owner, {**owner, "metadata": metadata}, lab_itself())
