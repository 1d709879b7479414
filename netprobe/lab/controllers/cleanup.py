"""What goes when something else goes: dependents with their owners, objects with their namespace.

A reference to an owner holds within a namespace, or towards an owner without one. A reference that leads into
another namespace finds nothing there, so its dependent is deleted, as on a real cluster. Dependents of kinds
that the lab does not know are left alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from netprobe.lab.api.bootstrap import own_service
from netprobe.lab.api.lifecycle import FOREGROUND, ORPHAN, Deletion
from netprobe.lab.api.operations import Operations, lab_itself
from netprobe.lab.api.resources import CONFIGMAPS, NAMESPACES, SERVICE_ACCOUNTS, SERVICES, Resource
from netprobe.lab.api.store import ObjectKey, StoredChange
from netprobe.lab.controllers.base import Controller
from netprobe.model.objects import Object

ROOT_CA = "kube-root-ca.crt"


class GarbageCollector(Controller[str]):
    """Its keys are uids: of dependents to check, and of owners that wait for their dependents."""

    def __init__(self, operations: Operations) -> None:
        self._dependents: defaultdict[str, set[str]] = defaultdict(set)
        super().__init__(operations)

    def concerned(self, change: StoredChange) -> Iterable[str]:
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
            self._check(resource, stored.object)
        return None

    def _release(self, resource: Resource, owner: Object) -> None:
        """Delete or release the dependents of an owner that is being deleted."""
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
                self._check(dependent_resource, dependent)
            if not blocked:
                self._finish(resource, owner, FOREGROUND)

    def _check(self, resource: Resource, dependent: Object) -> None:
        """Delete a dependent without a living owner; else remove its references to owners that are gone."""
        metadata = dependent["metadata"]
        references = metadata["ownerReferences"]
        states = {ref["uid"]: self._state_of(ref, metadata) for ref in references}
        if "alive" in states.values():
            gone = {uid for uid, what in states.items() if what != "alive"}
            if gone:
                self._drop_references(resource, dependent, gone)
        elif "deletionTimestamp" not in metadata:
            waits = "waiting" in states.values() and bool(self._dependents.get(metadata["uid"]))
            deletion = Deletion(propagation="Foreground" if waits else "Background", uid=metadata["uid"])
            self.operations.delete(
                resource, metadata.get("namespace", ""), metadata["name"], deletion, lab_itself()
            )

    def _state_of(self, ref: Mapping[str, Any], dependent: Mapping[str, Any]) -> str:
        """Whether an owner is "alive", "absent", or "waiting" for its dependents to go first."""
        if self.store.catalog.of_kind(ref["apiVersion"], ref["kind"]) is None:
            return "alive"
        found = self.store.by_uid(ref["uid"])
        if found is None:
            return "absent"
        owner = found[1].object["metadata"]
        if owner["name"] != ref["name"] or owner.get("namespace") not in {None, dependent.get("namespace")}:
            return "absent"
        deleted = "deletionTimestamp" in owner and FOREGROUND in owner.get("finalizers", ())
        return "waiting" if deleted else "alive"

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


class Namespaces(Controller[str]):
    """Gives each namespace its default service account and the CA's certificate; empties a deleted one.

    The namespace `default` also has the Service `kubernetes`, even after `kubectl delete all --all`.
    """

    def __init__(self, operations: Operations, ca: str) -> None:
        super().__init__(operations)
        self._ca = ca

    def concerned(self, change: StoredChange) -> Iterable[str]:
        if change.resource is NAMESPACES:
            return [change.key.name]
        if change.type == "DELETED" and change.key.namespace:
            return [change.key.namespace]
        return []

    async def reconcile(self, key: str) -> float | None:
        stored = self.store.get(NAMESPACES, ObjectKey("", key))
        if stored is None:
            return None
        if "deletionTimestamp" in stored.object["metadata"]:
            self._empty(key)
        else:
            self._complete(key)
        return None

    def _complete(self, name: str) -> None:
        account: Object = {"metadata": {"name": "default"}}
        bundle: Object = {"metadata": {"name": ROOT_CA}, "data": {"ca.crt": self._ca}}
        for resource, obj in ((SERVICE_ACCOUNTS, account), (CONFIGMAPS, bundle)):
            self._ensure(resource, name, obj)
        if name == "default" and self.store.get(SERVICES, ObjectKey(name, "kubernetes")) is None:
            own_service(self.operations)

    def _ensure(self, resource: Resource, namespace: str, obj: Object) -> None:
        if self.store.get(resource, ObjectKey(namespace, obj["metadata"]["name"])) is None:
            kind = {"apiVersion": resource.api_version, "kind": resource.kind}
            self.operations.create(resource, namespace, {**kind, **obj}, lab_itself())

    def _empty(self, name: str) -> None:
        """Delete what is left; once nothing is left, let the namespace go."""
        left = False
        for resource in (one for one in self.store.catalog if one.stored and one.namespaced):
            for stored in self.store.items(resource, name):
                metadata = stored.object["metadata"]
                if "deletionTimestamp" not in metadata:
                    self.operations.delete(resource, name, metadata["name"], Deletion(), lab_itself())
            left = left or bool(self.store.items(resource, name))
        if not left:
            self.operations.modify(NAMESPACES, ObjectKey("", name), lambda obj: obj.update(spec={}))
