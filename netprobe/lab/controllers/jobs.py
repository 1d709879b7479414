"""Jobs: their pods run, and never complete, because images are not run; deadlines and TTLs are kept."""

from __future__ import annotations

from datetime import UTC, datetime

from netprobe.lab import events
from netprobe.lab.api.lifecycle import Deletion
from netprobe.lab.api.operations import lab_itself, now
from netprobe.lab.api.resources import JOBS
from netprobe.lab.api.store import Object
from netprobe.lab.controllers import owned
from netprobe.lab.controllers.workloads import Workloads


class Jobs(Workloads):
    """Keeps `parallelism` pods until the deadline; removes a finished Job after its TTL."""

    resource = JOBS

    def bring_about(self, obj: Object) -> float | None:
        if (finished := _finished(obj)) is not None:
            return self._expire(obj, finished)
        pods = owned.claim(self.operations, JOBS, obj)
        live = [pod for pod in pods if owned.alive(pod)]
        failed = sum(pod["status"]["phase"] == "Failed" for pod in pods)
        spec, status = obj["spec"], obj.get("status", {})
        if spec.get("suspend"):
            self._clear(live)
            suspended = _condition("Suspended", "JobSuspended", "Job suspended")
            self._tell(obj, {"conditions": status.get("conditions") or [suspended]})
            return None
        if "startTime" not in status:
            text = "the lab does not run images: the pods of this Job stay, and it does not complete"
            events.record(
                self.operations, obj, "ImagesAreNotRun", text, component="netprobe-lab", warning=True
            )
        started = status.get("startTime") or now()
        deadline = spec.get("activeDeadlineSeconds")
        left = deadline - _age(started) if deadline is not None else None
        if left is not None and left <= 0:
            text = "Job was active longer than specified deadline"
            self._fail(obj, live, failed, "DeadlineExceeded", text)
            return 0.0
        if failed > spec.get("backoffLimit", 6):
            text = "Job has reached the specified backoff limit"
            self._fail(obj, live, failed, "BackoffLimitExceeded", text)
            return 0.0
        wanted = min(spec.get("parallelism", 1), spec.get("completions", spec.get("parallelism", 1)))
        live += [owned.make(self.operations, JOBS, obj) for _ in range(wanted - len(live))]
        self._clear(live[wanted:])
        active = live[:wanted]
        self._tell(
            obj,
            {"startTime": started, "active": len(active), "ready": owned.ready(active), "failed": failed},
        )
        return left

    def _fail(self, obj: Object, live: list[Object], failed: int, reason: str, message: str) -> None:
        self._clear(live)
        conditions = [_condition(kind, reason, message) for kind in ("FailureTarget", "Failed")]
        started = obj.get("status", {}).get("startTime") or now()
        self._tell(obj, {"startTime": started, "failed": failed + len(live), "conditions": conditions})

    def _expire(self, obj: Object, finished: str) -> float | None:
        ttl = obj["spec"].get("ttlSecondsAfterFinished")
        if ttl is None:
            return None
        left = ttl - _age(finished)
        if left > 0:
            return float(left)
        metadata = obj["metadata"]
        deletion = Deletion(propagation="Foreground", uid=metadata["uid"])
        self.operations.delete(JOBS, metadata["namespace"], metadata["name"], deletion, lab_itself())
        return None

    def _clear(self, pods: list[Object]) -> None:
        for pod in pods:
            owned.remove(self.operations, pod)

    def _tell(self, obj: Object, status: Object) -> None:
        owned.set_status(self.operations, JOBS, obj, status)


def _condition(kind: str, reason: str, message: str) -> Object:
    at = now()
    return {
        "type": kind,
        "status": "True",
        "reason": reason,
        "message": message,
        "lastProbeTime": at,
        "lastTransitionTime": at,
    }


def _finished(obj: Object) -> str | None:
    """When the Job ended."""
    for condition in obj.get("status", {}).get("conditions", ()):
        if condition["type"] in {"Complete", "Failed"} and condition["status"] == "True":
            return str(condition["lastTransitionTime"])
    return None


def _age(timestamp: str) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(timestamp)).total_seconds()
