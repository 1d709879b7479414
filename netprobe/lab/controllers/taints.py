"""NoExecute taints: pods that do not tolerate one leave its node."""

from __future__ import annotations

from collections.abc import Iterable

from netprobe.lab import events
from netprobe.lab.api.resources import NODES, PODS
from netprobe.lab.api.store import Change, Key
from netprobe.lab.controllers import owned
from netprobe.lab.controllers.base import Controller
from netprobe.lab.placement import tolerated


class Taints(Controller[str]):
    """By the name of a node. How long a pod would tolerate a taint makes no difference here: it stays."""

    def concerned(self, change: Change) -> Iterable[str]:
        return [change.key.name] if change.resource is NODES else []

    async def reconcile(self, key: str) -> float | None:
        node = self.store.get(NODES, Key("", key))
        taints = [] if node is None else node.object["spec"].get("taints") or []
        taints = [taint for taint in taints if taint["effect"] == "NoExecute"]
        if not taints:
            return None
        for stored in self.store.items(PODS):
            pod = stored.object
            here = pod["spec"].get("nodeName") == key and owned.alive(pod)
            if here and not all(tolerated(pod["spec"], taint) for taint in taints):
                name = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
                text = f"Marking for deletion Pod {name}"
                events.record(
                    self.operations, pod, "TaintManagerEviction", text, component="taint-eviction-controller"
                )
                owned.remove(self.operations, pod)
        return None
