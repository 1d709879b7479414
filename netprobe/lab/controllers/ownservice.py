"""The Service `kubernetes`, which is there again when somebody has deleted it (pkg/controlplane)."""

from __future__ import annotations

from collections.abc import Iterable

from netprobe.lab.api.bootstrap import own_service
from netprobe.lab.api.resources import SERVICES
from netprobe.lab.api.store import Change, Key
from netprobe.lab.controllers.base import Controller


class OwnService(Controller[Key]):
    """`kubectl delete all --all` in the namespace default takes it away, too."""

    def concerned(self, change: Change) -> Iterable[Key]:
        own = change.resource is SERVICES and change.key == Key("default", "kubernetes")
        return [change.key] if own and change.type == "DELETED" else []

    async def reconcile(self, key: Key) -> float | None:
        if self.store.get(SERVICES, key) is None:
            own_service(self.operations)
        return None
