"""PodDisruptionBudgets: how many pods may go."""

from __future__ import annotations

import math
from collections.abc import Iterable

from netprobe.lab.api.operations import lab_itself
from netprobe.lab.api.resources import DISRUPTION_BUDGETS, PODS
from netprobe.lab.api.selectors import matches
from netprobe.lab.api.store import Change, Key
from netprobe.lab.controllers import owned
from netprobe.lab.controllers.base import Controller
from netprobe.lab.podstatus import is_ready
from netprobe.model.objects import Object


class Budgets(Controller[Key]):
    """Counts the pods that a budget selects, and those of them that are healthy."""

    def concerned(self, change: Change) -> Iterable[Key]:
        if change.resource is DISRUPTION_BUDGETS:
            return [change.key]
        if change.resource is PODS:
            budgets = self.store.items(DISRUPTION_BUDGETS, change.key.namespace)
            return [self.store.key(stored.object) for stored in budgets]
        return []

    async def reconcile(self, key: Key) -> float | None:
        stored = self.store.get(DISRUPTION_BUDGETS, key)
        if stored is None:
            return None
        spec = stored.object["spec"]
        pods = [
            item.object
            for item in self.store.items(PODS, key.namespace)
            if owned.alive(item.object)
            and matches(spec.get("selector"), item.object["metadata"].get("labels") or {})
        ]
        healthy = sum(map(is_ready, pods))
        if "maxUnavailable" in spec:
            desired = max(0, len(pods) - _scaled(spec["maxUnavailable"], len(pods)))
        else:
            desired = _scaled(spec.get("minAvailable", 1), len(pods))
        status: Object = {
            "observedGeneration": stored.object["metadata"]["generation"],
            "currentHealthy": healthy,
            "desiredHealthy": desired,
            "expectedPods": len(pods),
            "disruptionsAllowed": max(0, healthy - desired) if pods else 0,
        }
        obj = stored.object
        if obj.get("status") != status:
            replacement = {**obj, "metadata": dict(obj["metadata"]), "status": status}
            self.operations.replace(DISRUPTION_BUDGETS, obj, replacement, lab_itself(), "status")
        return None


def _scaled(value: int | str, total: int) -> int:
    """A number, or a percentage of the total, rounded up."""
    if isinstance(value, str):
        return math.ceil(total * int(value.rstrip("%")) / 100)
    return value
