"""Jobs: as many pods as have to succeed.

Images are not run, so pods stay until something ends them: an annotation (api/admission/notes.py), the end of
a command that a client has attached to, or a deadline.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from netprobe.lab import events
from netprobe.lab.api.admission.workloads import of_template
from netprobe.lab.api.lifecycle import Deletion
from netprobe.lab.api.operations import lab_itself, now
from netprobe.lab.api.resources import JOBS
from netprobe.lab.controllers import owned
from netprobe.lab.controllers.owned import Slot
from netprobe.lab.controllers.workloads import OwnerController
from netprobe.lab.podstatus import is_ready
from netprobe.manifests.workload import COMPLETION_INDEX, indexes
from netprobe.model.objects import Object


class Jobs(OwnerController):
    """Keeps `parallelism` pods until enough have succeeded, or the deadline; removes a finished Job after its
    ttlSecondsAfterFinished."""

    resource = JOBS

    def update(self, obj: Object) -> float | None:
        if (finished := _finished(obj)) is not None:
            return self._expire(obj, finished)
        spec, status = obj["spec"], obj.get("status", {})
        pods = owned.claim(self.operations, JOBS, obj)
        live = [pod for pod in pods if owned.alive(pod)]
        succeeded = [pod for pod in pods if pod["status"]["phase"] == "Succeeded"]
        failed = sum(pod["status"]["phase"] == "Failed" for pod in pods)
        if spec.get("suspend"):
            self._remove(obj, live)
            suspended = _condition("Suspended", "JobSuspended", "Job suspended")
            self._set_status(obj, {"conditions": status.get("conditions") or [suspended]})
            return None
        if "startTime" not in status and (text := of_template(spec["template"])):
            component = "netprobe-lab"
            events.record(self.operations, obj, "ImagesAreNotRun", text, component=component, warning=True)
        counts = {
            "startTime": status.get("startTime") or now(),
            "succeeded": _completions(obj, succeeded),
            "failed": failed,
        }
        left = _left(spec.get("activeDeadlineSeconds"), counts["startTime"])
        if left is not None and left <= 0:
            self._fail(obj, live, counts, "DeadlineExceeded", "Job was active longer than specified deadline")
        elif failed > spec.get("backoffLimit", 6):
            text = "Job has reached the specified backoff limit"
            self._fail(obj, live, counts, "BackoffLimitExceeded", text)
        elif _is_complete(obj, counts["succeeded"], live):
            self._complete(obj, live, counts)
        else:
            active = self._fill(obj, succeeded, live)
            ready = sum(map(is_ready, active))
            self._set_status(obj, {**counts, "active": len(active), "ready": ready})
        return left

    def _fill(self, obj: Object, succeeded: Sequence[Object], live: Sequence[Object]) -> list[Object]:
        """Make the pods that are missing and remove those that are too many; the pods that stay."""
        slots = _slots(obj, succeeded, len(live))
        free = list(live)
        active = []
        for slot in slots:
            pod = next((pod for pod in free if _index(pod) == slot.key), None)
            if pod is not None:
                free.remove(pod)
            active.append(pod or owned.make(self.operations, JOBS, obj, slot))
        self._remove(obj, free)
        return active

    def _complete(self, obj: Object, live: Sequence[Object], counts: Object) -> None:
        self._remove(obj, live)
        text = "Reached expected number of succeeded pods"
        conditions = [
            _condition(kind, "CompletionsReached", text) for kind in ("SuccessCriteriaMet", "Complete")
        ]
        self._set_status(obj, {**counts, "completionTime": now(), "conditions": conditions})
        events.record(self.operations, obj, "Completed", "Job completed", component="job-controller")

    def _fail(self, obj: Object, live: Sequence[Object], counts: Object, reason: str, message: str) -> None:
        self._remove(obj, live)
        conditions = [_condition(kind, reason, message) for kind in ("FailureTarget", "Failed")]
        self._set_status(obj, {**counts, "failed": counts["failed"] + len(live), "conditions": conditions})

    def _expire(self, obj: Object, finished: str) -> float | None:
        left = _left(obj["spec"].get("ttlSecondsAfterFinished"), finished)
        if left is None or left > 0:
            return left
        metadata = obj["metadata"]
        deletion = Deletion(propagation="Foreground", uid=metadata["uid"])
        self.operations.delete(JOBS, metadata["namespace"], metadata["name"], deletion, lab_itself())
        return None

    def _remove(self, obj: Object, pods: Sequence[Object]) -> None:
        for pod in pods:
            owned.remove(self.operations, JOBS, obj, pod)

    def _set_status(self, obj: Object, status: Object) -> None:
        owned.set_status(self.operations, JOBS, obj, status)


def _slots(obj: Object, succeeded: Sequence[Object], live: int) -> list[Slot]:
    """The pods that should run now."""
    spec, name = obj["spec"], obj["metadata"]["name"]
    parallelism, completions = spec.get("parallelism", 1), spec.get("completions")
    if (numbers := indexes(obj, "Job")) is not None:
        done = {_index(pod) for pod in succeeded}
        open_ = [str(index) for index in numbers if str(index) not in done]
        return [
            Slot(
                index,
                prefix=f"{name}-{index}-",
                labels={COMPLETION_INDEX: index},
                annotations={COMPLETION_INDEX: index},
                spec={"hostname": f"{name}-{index}"},
            )
            for index in open_[:parallelism]
        ]
    if completions is None:  # a queue of work: no new pods once one has found it empty
        return [Slot()] * (min(live, parallelism) if succeeded else parallelism)
    return [Slot()] * min(parallelism, completions - len(succeeded))


def _is_complete(obj: Object, succeeded: int, live: Sequence[Object]) -> bool:
    completions = obj["spec"].get("completions")
    return succeeded >= completions if completions is not None else bool(succeeded and not live)


def _completions(obj: Object, succeeded: Sequence[Object]) -> int:
    """How many completions the succeeded pods amount to; two of the same index count once."""
    return len(succeeded) if indexes(obj, "Job") is None else len({_index(pod) for pod in succeeded})


def _index(pod: Object) -> str:
    return str(pod["metadata"].get("labels", {}).get(COMPLETION_INDEX, ""))


def _condition(kind: str, reason: str, message: str) -> Object:
    at = now()
    times = {"lastProbeTime": at, "lastTransitionTime": at}
    return {"type": kind, "status": "True", "reason": reason, "message": message, **times}


def _finished(obj: Object) -> str | None:
    """When the Job ended."""
    for condition in obj.get("status", {}).get("conditions", ()):
        if condition["type"] in {"Complete", "Failed"} and condition["status"] == "True":
            return str(condition["lastTransitionTime"])
    return None


def _left(seconds: float | None, since: str) -> float | None:
    """Seconds that are left of a limit; None without a limit."""
    if seconds is None:
        return None
    return float(seconds - (datetime.now(UTC) - datetime.fromisoformat(since)).total_seconds())
