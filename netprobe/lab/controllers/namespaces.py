"""Namespaces: what each one is given, and how a terminating one is emptied."""

from __future__ import annotations

from collections.abc import Iterable

from netprobe.lab.api.lifecycle import Deletion
from netprobe.lab.api.operations import Operations, lab_itself
from netprobe.lab.api.resources import CONFIGMAPS, NAMESPACES, SERVICE_ACCOUNTS, Resource
from netprobe.lab.api.store import Change, Key
from netprobe.lab.controllers.base import Controller
from netprobe.model.objects import Object

ROOT_CA = "kube-root-ca.crt"


class Namespaces(Controller[str]):
    """A namespace gets its default service account and the CA's certificate; deleted, it loses everything."""

    def __init__(self, operations: Operations, ca: str) -> None:
        super().__init__(operations)
        self._ca = ca

    def concerned(self, change: Change) -> Iterable[str]:
        if change.resource is NAMESPACES:
            return [change.key.name]
        if change.type == "DELETED" and change.key.namespace:
            return [change.key.namespace]
        return []

    async def reconcile(self, key: str) -> float | None:
        stored = self.store.get(NAMESPACES, Key("", key))
        if stored is None:
            return None
        if "deletionTimestamp" in stored.object["metadata"]:
            self._empty(key)
        else:
            self._furnish(key)
        return None

    def _furnish(self, name: str) -> None:
        account: Object = {"metadata": {"name": "default"}}
        bundle: Object = {"metadata": {"name": ROOT_CA}, "data": {"ca.crt": self._ca}}
        for resource, obj in ((SERVICE_ACCOUNTS, account), (CONFIGMAPS, bundle)):
            self._ensure(resource, name, obj)

    def _ensure(self, resource: Resource, namespace: str, obj: Object) -> None:
        if self.store.get(resource, Key(namespace, obj["metadata"]["name"])) is None:
            kind = {"apiVersion": resource.api_version, "kind": resource.kind}
            self.operations.create(resource, namespace, {**kind, **obj}, lab_itself())

    def _empty(self, name: str) -> None:
        """Delete what is left; when nothing is, give the namespace up."""
        left = False
        for resource in (one for one in self.store.catalog if one.stored and one.namespaced):
            for stored in self.store.items(resource, name):
                metadata = stored.object["metadata"]
                if "deletionTimestamp" not in metadata:
                    self.operations.delete(resource, name, metadata["name"], Deletion(), lab_itself())
            left = left or bool(self.store.items(resource, name))
        if not left:
            self.operations.modify(NAMESPACES, Key("", name), lambda obj: obj.update(spec={}))
