"""ResourceQuotas: their status tells what is used."""

from __future__ import annotations

from collections.abc import Iterable

from netprobe.lab.api.admission import quotas
from netprobe.lab.api.admission.quantity import render
from netprobe.lab.api.operations import lab_itself
from netprobe.lab.api.resources import EVENTS, RESOURCE_QUOTAS
from netprobe.lab.api.store import Change, Key
from netprobe.lab.controllers.base import Controller


class Quotas(Controller[Key]):
    """Counts again whenever something of a quota's namespace changes."""

    def concerned(self, change: Change) -> Iterable[Key]:
        if change.resource is EVENTS or not change.key.namespace:
            return []
        found = self.store.items(RESOURCE_QUOTAS, change.key.namespace)
        return [self.store.key(stored.object) for stored in found]

    async def reconcile(self, key: Key) -> float | None:
        stored = self.store.get(RESOURCE_QUOTAS, key)
        if stored is None:
            return None
        quota = stored.object
        used = {name: render(amount) for name, amount in sorted(quotas.used(quota, self.store).items())}
        status = {"hard": quota["spec"].get("hard") or {}, "used": used}
        if quota.get("status") != status:
            replacement = {**quota, "metadata": dict(quota["metadata"]), "status": status}
            self.operations.replace(RESOURCE_QUOTAS, quota, replacement, lab_itself(), "status")
        return None
