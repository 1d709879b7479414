"""StatefulSets: pods with ordinals, one after the other."""

from __future__ import annotations

from netprobe.lab.api.resources import STATEFUL_SETS
from netprobe.lab.controllers import owned, revisions
from netprobe.lab.controllers.workloads import Workloads
from netprobe.lab.podstatus import is_ready
from netprobe.model.objects import Object


class StatefulSets(Workloads):
    """With OrderedReady a pod waits for the one before it; updates go from the last ordinal to the first."""

    resource = STATEFUL_SETS

    def bring_about(self, obj: Object) -> float | None:
        spec, name = obj["spec"], obj["metadata"]["name"]
        revision = f"{name}-{owned.template_hash(spec['template'])}"
        claimed = owned.claim(self.operations, STATEFUL_SETS, obj, lambda pod: _is_member(name, pod))
        pods = {pod["metadata"]["name"]: pod for pod in claimed}
        used = {pod["metadata"]["labels"].get(revisions.LABEL, "") for pod in claimed}
        revisions.keep(self.operations, STATEFUL_SETS, obj, used)
        start = spec.get("ordinals", {}).get("start", 0)
        wanted = {f"{name}-{n}": n for n in range(start, start + spec["replicas"])}
        ordered = spec["podManagementPolicy"] == "OrderedReady"
        try:
            self._fill(obj, pods, wanted, revision, ordered=ordered)
            self._thin(pods, wanted, ordered=ordered)
            self._update(obj, pods, wanted, revision)
        finally:
            self._tell(obj, list(pods.values()), revision)
        return None

    def _fill(
        self, obj: Object, pods: dict[str, Object], wanted: dict[str, int], revision: str, *, ordered: bool
    ) -> None:
        for pod_name, ordinal in wanted.items():
            pod = pods.get(pod_name)
            if pod is None:
                labels = {
                    "statefulset.kubernetes.io/pod-name": pod_name,
                    "apps.kubernetes.io/pod-index": str(ordinal),
                    revisions.LABEL: revision,
                }
                spec = {"hostname": pod_name}
                if service := obj["spec"].get("serviceName"):
                    spec["subdomain"] = service
                pod = owned.make(self.operations, STATEFUL_SETS, obj, name=pod_name, labels=labels, spec=spec)
                pods[pod_name] = pod
            elif pod["status"]["phase"] in {"Failed", "Succeeded"} and _stays(pod):
                owned.remove(self.operations, pod)
            if ordered and not is_ready(pod):
                return

    def _thin(self, pods: dict[str, Object], wanted: dict[str, int], *, ordered: bool) -> None:
        surplus = sorted((n for n in pods if n not in wanted), key=_ordinal, reverse=True)
        for pod_name in surplus[:1] if ordered else surplus:
            if _stays(pods[pod_name]):
                owned.remove(self.operations, pods[pod_name])

    def _update(self, obj: Object, pods: dict[str, Object], wanted: dict[str, int], revision: str) -> None:
        strategy = obj["spec"]["updateStrategy"]
        if strategy["type"] != "RollingUpdate" or any(
            name not in pods or not is_ready(pods[name]) for name in wanted
        ):
            return
        partition = strategy.get("rollingUpdate", {}).get("partition", 0)
        for pod_name in sorted(wanted, key=_ordinal, reverse=True):
            old = pods[pod_name]["metadata"]["labels"].get(revisions.LABEL) != revision
            if old and wanted[pod_name] >= partition and _stays(pods[pod_name]):
                owned.remove(self.operations, pods[pod_name])
                return

    def _tell(self, obj: Object, pods: list[Object], revision: str) -> None:
        live = [pod for pod in pods if owned.alive(pod)]
        updated = sum(pod["metadata"]["labels"].get(revisions.LABEL) == revision for pod in live)
        before = obj.get("status", {}).get("currentRevision", revision)
        done = updated == len(live) == obj["spec"]["replicas"]
        ready = owned.ready(live)
        status: Object = {
            "observedGeneration": obj["metadata"]["generation"],
            "replicas": len(live),
            "readyReplicas": ready,
            "availableReplicas": ready,
            "updatedReplicas": updated,
            "currentReplicas": updated if done else len(live) - updated,
            "currentRevision": revision if done else before,
            "updateRevision": revision,
        }
        owned.set_status(self.operations, STATEFUL_SETS, obj, status)


def _stays(pod: Object) -> bool:
    """Is it not being deleted already?"""
    return "deletionTimestamp" not in pod["metadata"]


def _is_member(name: str, pod: Object) -> bool:
    """A set owns no pod that is not called as it would call it, whatever its labels."""
    own, _, ordinal = pod["metadata"]["name"].rpartition("-")
    return bool(own == name and ordinal.isascii() and ordinal.isdigit())


def _ordinal(name: str) -> int:
    return int(name.rpartition("-")[2])
