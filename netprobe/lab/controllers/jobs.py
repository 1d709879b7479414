"""Jobs: as many pods as have to succeed. Images are not run, so pods stay until something ends them: an
annotation (api/admission/notes.py), a command run for whoever attached, a deadline.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

from netprobe.lab import events
from netprobe.lab.api.admission.notes import of_template
from netprobe.lab.api.lifecycle import Deletion
from netprobe.lab.api.operations import lab_itself, now
from netprobe.lab.api.resources import JOBS
from netprobe.lab.controllers import owned
from netprobe.lab.controllers.workloads import Workloads
from netprobe.model.objects import Object


class Jobs(Workloads):
    """Keeps `parallelism` pods until enough have succeeded, or the deadline; removes a finished Job after
    its TTL."""

    resource = JOBS

    def bring_about(self, obj: Object) -> float | None:
        if (finished := _finished(obj)) is not None:
            return self._expire(obj, finished)
        pods = owned.claim(self.operations, JOBS, obj)
        live = [pod for pod in pods if owned.alive(pod)]
        phases = Counter(pod["status"]["phase"] for pod in pods)
        failed, succeeded = phases["Failed"], phases["Succeeded"]
        spec, status = obj["spec"], obj.get("status", {})
        if spec.get("suspend"):
            self._clear(live)
            suspended = _condition("Suspended", "JobSuspended", "Job suspended")
            self._tell(obj, {"conditions": status.get("conditions") or [suspended]})
            return None
        if "startTime" not in status and (text := of_template(spec["template"])):
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
        parallelism, completions = spec.get("parallelism", 1), spec.get("completions")
        # Without completions it is a queue of work: over when one has found it empty and the others are done.
        if succeeded >= completions if completions is not None else succeeded and not live:
            self._clear(live)
            self._complete(obj, started, succeeded, failed)
            return 0.0
        if completions is not None:
            wanted = min(parallelism, completions - succeeded)
        else:
            wanted = len(live) if succeeded else parallelism
        made, refusal = owned.make_many(self.operations, JOBS, obj, wanted - len(live))
        live += made
        self._clear(live[wanted:])
        active = live[:wanted]
        counts = {
            "active": len(active),
            "ready": owned.ready(active),
            "succeeded": succeeded,
            "failed": failed,
        }
        self._tell(obj, {"startTime": started, **counts})
        if refusal is not None:
            raise refusal
        return left

    def _complete(self, obj: Object, started: str, succeeded: int, failed: int) -> None:
        text = "Reached expected number of succeeded pods"
        conditions = [
            _condition(kind, "CompletionsReached", text) for kind in ("SuccessCriteriaMet", "Complete")
        ]
        status = {"startTime": started, "completionTime": now(), "succeeded": succeeded, "failed": failed}
        self._tell(obj, {**status, "conditions": conditions})
        events.record(self.operations, obj, "Completed", "Job completed", component="job-controller")

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
