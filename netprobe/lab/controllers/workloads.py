"""The common part of the controllers that keep pods: what wakes them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable

from netprobe.lab import events
from netprobe.lab.api.operations import now
from netprobe.lab.api.resources import PODS, Resource
from netprobe.lab.api.selectors import matches, selector_of
from netprobe.lab.api.status import ApiError
from netprobe.lab.api.store import Change, Key
from netprobe.lab.controllers.base import Controller
from netprobe.lab.controllers.owned import controller
from netprobe.model.objects import Object


class Workloads(Controller[Key]):
    """Woken by its own kind, and by the kinds in `_keeps` whose controller is of its kind."""

    resource: Resource
    keeps: tuple[Resource, ...] = (PODS,)
    adopts = True

    def concerned(self, change: Change) -> Iterable[Key]:
        if change.resource is self.resource:
            return [change.key]
        if change.resource not in self.keeps:
            return []
        ref = controller(change.now.object)
        if ref is not None:
            own = ref["kind"] == self.resource.kind and ref["apiVersion"] == self.resource.api_version
            return [Key(change.key.namespace, ref["name"])] if own else []
        return self._adopters(change) if self.adopts and change.resource is PODS else []

    def _adopters(self, change: Change) -> list[Key]:
        labels = change.now.object["metadata"].get("labels")
        if not labels:
            return []
        return [
            self.store.key(stored.object)
            for stored in self.store.items(self.resource, change.key.namespace)
            if matches(selector_of(stored.object), labels)
        ]

    async def reconcile(self, key: Key) -> float | None:
        stored = self.store.get(self.resource, key)
        if stored is None or "deletionTimestamp" in stored.object["metadata"]:
            return None
        return self.bring_about(stored.object)

    def refused(self, key: Key, error: ApiError) -> None:
        stored = self.store.get(self.resource, key)
        if stored is not None:
            component = f"{self.resource.singular}-controller"
            text = f"Error creating: {error}"
            events.record(
                self.operations, stored.object, "FailedCreate", text, component=component, warning=True
            )

    @abstractmethod
    def bring_about(self, obj: Object) -> float | None:
        """One step towards what the object asks for."""


def condition(obj: Object, kind: str, holds: bool, reason: str, message: str) -> Object:
    """A condition of a workload; its times are kept while it stays the same."""
    status = "True" if holds else "False"
    for old in obj.get("status", {}).get("conditions", ()):
        same = (old["type"], old["status"], old.get("reason")) == (kind, status, reason)
        if same and old.get("message") == message:
            return dict(old)
    at = now()
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastUpdateTime": at,
        "lastTransitionTime": at,
    }
