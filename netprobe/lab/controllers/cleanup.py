"""Removal in chains: dependents with their owners, objects with their namespace.

A reference to an owner holds within a namespace, or towards an owner without one. A reference that leads into
another namespace finds nothing there, so its dependent is deleted, as on a real cluster. Dependents of kinds
that the lab does not know are left alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from netprobe.lab.api.bootstrap import own_service
from netprobe.lab.api.operations import Operations, lab_itself
from netprobe.lab.api.resources import CONFIGMAPS, NAMESPACES, SERVICE_ACCOUNTS, SERVICES
from netprobe.lab.api.store import ObjectKey, StoredChange
from netprobe.lab.controllers.base import Controller
from netprobe.model.objects import Object

ROOT_CA = "kube-root-ca.crt"


class GarbageCollector(Controller[str]):
    """Its keys are uids of dependents to check."""

    def __init__(self, operations: Operations) -> None:
        self._dependents: defaultdict[str, set[str]] = defaultdict(set)
        super().__init__(operations)

    def concerned(self, change: StoredChange) -> Iterable[str]:
        metadata = change.now.object["metadata"]
        uid = metadata["uid"]
        if change.before is not None:
            for ref in change.before.object["metadata"].get("ownerReferences", ()):
                self._dependents[ref["uid"]].discard(uid)
        if change.type == "DELETED":
            return self._dependents.pop(uid, ())
        for ref in metadata.get("ownerReferences", ()):
            self._dependents[ref["uid"]].add(uid)
        return [uid] if metadata.get("ownerReferences") else []

    async def reconcile(self, key: str) -> float | None:
        if (found := self.store.by_uid(key)) is None:
            return None
        resource, obj = found[0], found[1].object
        metadata = obj["metadata"]
        if references := metadata.get("ownerReferences"):
            left = [ref for ref in references if self._lives(ref, metadata)]
            if left and len(left) < len(references):
                self.operations.set_owners(resource, obj, left)
            elif not left and "deletionTimestamp" not in metadata:
                self.operations.remove(resource, obj)
        return None

    def _lives(self, ref: Mapping[str, Any], dependent: Mapping[str, Any]) -> bool:
        """Whether an owner exists, as far as the lab knows its kind."""
        if self.store.catalog.of_kind(ref["apiVersion"], ref["kind"]) is None:
            return True
        if (found := self.store.by_uid(ref["uid"])) is None:
            return False
        owner = found[1].object["metadata"]
        return owner["name"] == ref["name"] and owner.get("namespace") in {None, dependent.get("namespace")}


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
            if self.store.get(resource, ObjectKey(name, obj["metadata"]["name"])) is None:
                self.operations.create(resource, name, obj, lab_itself())
        if name == "default" and self.store.get(SERVICES, ObjectKey(name, "kubernetes")) is None:
            own_service(self.operations)

    def _empty(self, name: str) -> None:
        """Delete what is left; once nothing is left, let the namespace go."""
        left = False
        for resource in (one for one in self.store.catalog if one.stored and one.namespaced):
            for stored in self.store.items(resource, name):
                if "deletionTimestamp" not in stored.object["metadata"]:
                    self.operations.remove(resource, stored.object)
            left = left or bool(self.store.items(resource, name))
        if not left:
            self.operations.modify(NAMESPACES, ObjectKey("", name), lambda obj: obj.update(spec={}))
