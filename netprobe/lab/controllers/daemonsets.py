"""DaemonSets: a pod on each node that it selects."""

from __future__ import annotations

from collections.abc import Container, Iterable

from netprobe.lab import placement
from netprobe.lab.api.resources import DAEMON_SETS, NODES
from netprobe.lab.api.store import Change, Key
from netprobe.lab.controllers import owned, revisions
from netprobe.lab.controllers.workloads import Workloads
from netprobe.lab.podstatus import is_ready
from netprobe.model.objects import Object


class DaemonSets(Workloads):
    """Its pods are bound to their nodes at once; an update replaces them one by one."""

    resource = DAEMON_SETS

    def concerned(self, change: Change) -> Iterable[Key]:
        if change.resource is NODES:
            return [self.store.key(stored.object) for stored in self.store.items(DAEMON_SETS)]
        return super().concerned(change)

    def bring_about(self, obj: Object) -> float | None:
        revision = owned.template_hash(obj["spec"]["template"])
        pods = [pod for pod in owned.claim(self.operations, DAEMON_SETS, obj) if owned.alive(pod)]
        used = {pod["metadata"]["labels"].get(revisions.LABEL, "") for pod in pods}
        revisions.keep(self.operations, DAEMON_SETS, obj, used)
        by_node = {pod["spec"].get("nodeName"): pod for pod in pods}
        nodes = self._nodes(obj, by_node)
        labels = {revisions.LABEL: revision, "pod-template-generation": str(obj["metadata"]["generation"])}
        for node in nodes:
            if node not in by_node:
                by_node[node] = owned.make(
                    self.operations, DAEMON_SETS, obj, labels=labels, spec={"nodeName": node}
                )
        for pod in pods:
            if (
                by_node.get(pod["spec"].get("nodeName")) is not pod
                or pod["spec"].get("nodeName") not in nodes
            ):
                owned.remove(self.operations, pod)
        here = [by_node[node] for node in nodes]
        old = [pod for pod in here if pod["metadata"]["labels"].get(revisions.LABEL) != revision]
        rolling = obj["spec"]["updateStrategy"]["type"] == "RollingUpdate"
        if old and rolling and all(map(is_ready, here)):
            owned.remove(self.operations, old[0])
        ready = owned.ready(here)
        status: Object = {
            "observedGeneration": obj["metadata"]["generation"],
            "updatedNumberScheduled": len(here) - len(old),
            "numberAvailable": ready,
            "numberUnavailable": len(nodes) - ready,
        }
        owned.set_status(self.operations, DAEMON_SETS, obj, status | _always(len(nodes), len(here), ready))
        return None

    def _nodes(self, obj: Object, taken: Container[str]) -> list[str]:
        """Where a pod should be: they tolerate unschedulable nodes, and stay where a taint came later."""
        spec = obj["spec"]["template"]["spec"]
        found = []
        for stored in self.store.items(NODES):
            node, name = stored.object, str(stored.object["metadata"]["name"])
            new = placement.hindrance(spec, node) in {"", placement.UNSCHEDULABLE}
            if new or (name in taken and placement.selected(spec, node)):
                found.append(name)
        return found


def _always(desired: int, current: int, ready: int) -> Object:
    return {
        "desiredNumberScheduled": desired,
        "currentNumberScheduled": current,
        "numberReady": ready,
        "numberMisscheduled": 0,
    }
