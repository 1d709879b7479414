"""CronJobs: a Job at each time of the schedule (pkg/controller/cronjob/cronjob_controllerv2.go)."""

from __future__ import annotations

import copy
from datetime import datetime, timedelta
from itertools import islice, takewhile

from netprobe.lab import events
from netprobe.lab.api.lifecycle import Deletion
from netprobe.lab.api.operations import Operations, lab_itself, stamp
from netprobe.lab.api.resources import CRON_JOBS, JOBS
from netprobe.lab.clock import Clock
from netprobe.lab.controllers import owned
from netprobe.lab.controllers.workloads import Workloads
from netprobe.lab.schedule import Schedule
from netprobe.model.objects import Object

_SCHEDULED = "batch.kubernetes.io/cronjob-scheduled-timestamp"
_LONGEST_LOOK_S = 60.0  # however far the next time is: the machine's clock may be set, and the machine sleep
_MANY = 100


class CronJobs(Workloads):
    """Starts the Job of the newest time that has come; earlier ones that were missed it skips."""

    resource = CRON_JOBS
    keeps = (JOBS,)
    adopts = False

    def __init__(self, operations: Operations, clock: Clock) -> None:
        super().__init__(operations)
        self._clock = clock
        self._told: dict[str, tuple[str, datetime]] = {}

    def bring_about(self, obj: Object) -> float | None:
        spec, now = obj["spec"], self._clock.now()
        jobs = owned.dependents(self.operations, JOBS, obj)
        status = dict(obj.get("status") or {})
        self._note_ended(obj, status, jobs)
        self._forget(obj, jobs)
        if spec.get("suspend"):
            self._tell(obj, status)
            return None
        schedule = Schedule(spec["schedule"], spec.get("timeZone", ""))
        due = self._due_time(obj, status, schedule, now)
        if due is not None and self._may_start(obj, status, due, now):
            self._start(obj, status, due)
        self._tell(obj, status)
        following = next(schedule.after(now), None)
        if following is None:
            return None
        return min((following - now).total_seconds(), _LONGEST_LOOK_S)

    def _due_time(self, obj: Object, status: Object, schedule: Schedule, now: datetime) -> datetime | None:
        """The newest time that has come since the last one."""
        earliest = _moment(status.get("lastScheduleTime") or obj["metadata"]["creationTimestamp"])
        deadline = obj["spec"].get("startingDeadlineSeconds")
        if deadline is not None:
            earliest = max(earliest, now - timedelta(seconds=deadline))
        due = schedule.newest(earliest, now)
        passed = takewhile(lambda time: time <= now, schedule.after(earliest))
        if due is not None and sum(1 for _ in islice(passed, _MANY + 2)) > _MANY + 1:
            text = (
                "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock "
            )
            self._record_once(obj, due, "TooManyMissedTimes", f"{text}skew", warning=True)
        return due

    def _may_start(self, obj: Object, status: Object, due: datetime, now: datetime) -> bool:
        spec, active = obj["spec"], status.get("active") or []
        deadline = spec.get("startingDeadlineSeconds")
        if deadline is not None and due + timedelta(seconds=deadline) < now:
            self._record_once(
                obj, due, "MissSchedule", f"Missed scheduled time to start a job: {due}", warning=True
            )
            return False
        if spec["concurrencyPolicy"] == "Forbid" and active:
            text = "Not starting job because prior execution is running and concurrency policy is Forbid"
            self._record_once(obj, due, "JobAlreadyActive", text)
            return False
        if spec["concurrencyPolicy"] == "Replace":
            for ref in active:
                self._delete(obj, ref["name"])
            status.pop("active", None)
        return True

    def _start(self, obj: Object, status: Object, due: datetime) -> None:
        metadata, template = obj["metadata"], copy.deepcopy(obj["spec"]["jobTemplate"])
        given = template.get("metadata") or {}
        annotations = {**given.get("annotations", {}), _SCHEDULED: due.isoformat().replace("+00:00", "Z")}
        name = f"{metadata['name']}-{int(due.timestamp()) // 60}"
        job = {
            "apiVersion": JOBS.api_version,
            "kind": JOBS.kind,
            "metadata": {
                "name": name,
                "labels": given.get("labels", {}),
                "annotations": annotations,
                "ownerReferences": [owned.reference(CRON_JOBS, obj)],
            },
            "spec": template["spec"],
        }
        made = self.operations.create(JOBS, metadata["namespace"], job, lab_itself())
        self._record(obj, "SuccessfulCreate", f"Created job {name}")
        ref = {
            "apiVersion": JOBS.api_version,
            "kind": JOBS.kind,
            "name": name,
            "namespace": metadata["namespace"],
            "uid": made["metadata"]["uid"],
            "resourceVersion": made["metadata"]["resourceVersion"],
        }
        status["active"] = [*(status.get("active") or ()), ref]
        status["lastScheduleTime"] = stamp(due)

    def _note_ended(self, obj: Object, status: Object, jobs: list[Object]) -> None:
        """Of the Jobs that were started: which go on, and when one has succeeded."""
        left = []
        by_uid = {job["metadata"]["uid"]: job for job in jobs}
        for ref in status.get("active") or ():
            job = by_uid.get(ref["uid"])
            ended = None if job is None else _ending(job)
            if job is not None and ended is None:
                left.append(ref)
            elif ended is not None:
                text = f"Saw completed job: {ref['name']}, condition: {ended}"
                self._record(obj, "SawCompletedJob", text)
        status["active"] = left
        done = [job["status"]["completionTime"] for job in jobs if _ending(job) == "Complete"]
        if done:
            status["lastSuccessfulTime"] = max([*done, status.get("lastSuccessfulTime", "")])

    def _forget(self, obj: Object, jobs: list[Object]) -> None:
        """Keep no more of the ended Jobs than asked for."""
        limits = {
            "Complete": obj["spec"].get("successfulJobsHistoryLimit"),
            "Failed": obj["spec"].get("failedJobsHistoryLimit"),
        }
        for ending, limit in limits.items():
            ended = [job for job in jobs if _ending(job) == ending]
            ended.sort(key=lambda job: job.get("status", {}).get("startTime", ""))
            for job in ended[: len(ended) - limit] if limit is not None else ():
                self._delete(obj, job["metadata"]["name"])

    def _delete(self, obj: Object, name: str) -> None:
        namespace = obj["metadata"]["namespace"]
        self.operations.delete(JOBS, namespace, name, Deletion(propagation="Background"), lab_itself())
        self._record(obj, "SuccessfulDelete", f"Deleted job {name}")

    def _record(self, obj: Object, reason: str, text: str, *, warning: bool = False) -> None:
        events.record(self.operations, obj, reason, text, component="cronjob-controller", warning=warning)

    def _record_once(
        self, obj: Object, time: datetime, reason: str, text: str, *, warning: bool = False
    ) -> None:
        """Of what stays so until the next time, one event."""
        uid = obj["metadata"]["uid"]
        if self._told.get(uid) != (reason, time):
            self._told[uid] = reason, time
            self._record(obj, reason, text, warning=warning)

    def _tell(self, obj: Object, status: Object) -> None:
        owned.set_status(self.operations, CRON_JOBS, obj, status)


def _ending(job: Object) -> str | None:
    """How a Job has ended: "Complete" or "Failed"; None while it goes on."""
    for condition in job.get("status", {}).get("conditions", ()):
        if condition["type"] in {"Complete", "Failed"} and condition["status"] == "True":
            return str(condition["type"])
    return None


def _moment(stamp: str) -> datetime:
    return datetime.fromisoformat(stamp)
