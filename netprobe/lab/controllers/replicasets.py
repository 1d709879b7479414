"""ReplicaSets: as many pods as asked for."""

from __future__ import annotations

from netprobe.lab.api.resources import REPLICA_SETS
from netprobe.lab.api.store import Object
from netprobe.lab.controllers import owned
from netprobe.lab.controllers.workloads import Workloads
from netprobe.lab.podstatus import is_ready


class ReplicaSets(Workloads):
    """Makes missing pods, deletes those too many (unready ones first)."""

    resource = REPLICA_SETS

    def bring_about(self, obj: Object) -> float | None:
        pods = [pod for pod in owned.claim(self.operations, REPLICA_SETS, obj) if owned.alive(pod)]
        wanted = obj["spec"].get("replicas", 1)
        pods += [owned.make(self.operations, REPLICA_SETS, obj) for _ in range(wanted - len(pods))]
        if len(pods) > wanted:
            pods.sort(key=lambda pod: (not is_ready(pod), pod["metadata"]["creationTimestamp"]))
            for pod in pods[wanted:] if wanted else pods:
                owned.remove(self.operations, pod)
            pods = pods[:wanted]
        ready = owned.ready(pods)
        status = {
            "replicas": len(pods),
            "fullyLabeledReplicas": len(pods),
            "readyReplicas": ready,
            "availableReplicas": ready,
            "observedGeneration": obj["metadata"]["generation"],
        }
        owned.set_status(self.operations, REPLICA_SETS, obj, status)
        return None
