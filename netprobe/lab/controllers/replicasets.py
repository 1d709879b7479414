"""ReplicaSets: as many pods as asked for."""

from __future__ import annotations

from netprobe.lab.api.resources import REPLICA_SETS
from netprobe.lab.controllers import owned
from netprobe.lab.controllers.workloads import Workloads, condition
from netprobe.lab.podstatus import is_ready
from netprobe.model.objects import Object


class ReplicaSets(Workloads):
    """Makes missing pods, deletes those too many (unready ones first)."""

    resource = REPLICA_SETS

    def bring_about(self, obj: Object) -> float | None:
        pods = [pod for pod in owned.claim(self.operations, self.resource, obj) if owned.alive(pod)]
        wanted = obj["spec"].get("replicas", 1)
        made, refusal = owned.make_many(self.operations, self.resource, obj, wanted - len(pods))
        pods += made
        if len(pods) > wanted:
            pods.sort(key=lambda pod: (not is_ready(pod), pod["metadata"]["creationTimestamp"]))
            for pod in pods[wanted:] if wanted else pods:
                owned.remove(self.operations, pod)
            pods = pods[:wanted]
        ready = owned.ready(pods)
        status: Object = {
            "replicas": len(pods),
            "fullyLabeledReplicas": len(pods),
            "readyReplicas": ready,
            "availableReplicas": ready,
            "observedGeneration": obj["metadata"]["generation"],
        }
        if refusal is not None:
            told = [c for c in obj.get("status", {}).get("conditions", ()) if c["type"] == "ReplicaFailure"]
            status["conditions"] = told or [
                condition(obj, "ReplicaFailure", True, "FailedCreate", str(refusal))
            ]
        owned.set_status(self.operations, self.resource, obj, status)
        if refusal is not None:
            raise refusal
        return None
