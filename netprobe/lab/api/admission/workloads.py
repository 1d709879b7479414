"""Deployments and the other kinds that make pods: defaults and validation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from netprobe.lab.api.admission.names import (
    check_labels,
    check_selector,
    invalid,
    quoted,
    required,
    unsupported,
)
from netprobe.lab.api.admission.pods import check_pod_spec, default_pod_spec
from netprobe.lab.api.selectors import matches, selector_of
from netprobe.lab.api.status import Cause
from netprobe.lab.schedule import Schedule, ScheduleError

_CONCURRENCY = ("Allow", "Forbid", "Replace")
CONTROLLER_UID = "batch.kubernetes.io/controller-uid"
JOB_NAME = "batch.kubernetes.io/job-name"


def _fill(target: dict[str, Any], **values: Any) -> None:
    for key, value in values.items():
        target.setdefault(key, value)


def _default_template(spec: dict[str, Any]) -> None:
    default_pod_spec(spec.setdefault("template", {}).setdefault("spec", {}))


def default_deployment(obj: dict[str, Any]) -> None:
    spec = obj["spec"]
    _default_template(spec)
    _fill(spec, replicas=1, revisionHistoryLimit=10, progressDeadlineSeconds=600)
    strategy = spec.setdefault("strategy", {})
    if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
        _fill(strategy.setdefault("rollingUpdate", {}), maxSurge="25%", maxUnavailable="25%")


def default_replica_set(obj: dict[str, Any]) -> None:
    _default_template(obj["spec"])
    _fill(obj["spec"], replicas=1)
    labels = obj["spec"]["template"].get("metadata", {}).get("labels")
    if labels:
        obj["spec"].setdefault("selector", {"matchLabels": dict(labels)})
        if not obj["metadata"].get("labels"):
            obj["metadata"]["labels"] = dict(labels)


def default_replication_controller(obj: dict[str, Any]) -> None:
    """Selector and labels follow from those of the template (pkg/apis/core/v1/defaults.go)."""
    spec = obj["spec"]
    _default_template(spec)
    _fill(spec, replicas=1)
    if labels := spec["template"].get("metadata", {}).get("labels"):
        spec.setdefault("selector", dict(labels))
        obj["metadata"].setdefault("labels", dict(labels))


def default_stateful_set(obj: dict[str, Any]) -> None:
    spec = obj["spec"]
    _default_template(spec)
    _fill(spec, replicas=1, podManagementPolicy="OrderedReady", revisionHistoryLimit=10)
    strategy = spec.setdefault("updateStrategy", {})
    if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
        _fill(strategy.setdefault("rollingUpdate", {}), partition=0)
    policy = spec.setdefault("persistentVolumeClaimRetentionPolicy", {})
    _fill(policy, whenDeleted="Retain", whenScaled="Retain")


def default_daemon_set(obj: dict[str, Any]) -> None:
    spec = obj["spec"]
    _default_template(spec)
    _fill(spec, revisionHistoryLimit=10)
    strategy = spec.setdefault("updateStrategy", {})
    if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
        _fill(strategy.setdefault("rollingUpdate", {}), maxSurge=0, maxUnavailable=1)


def default_job_spec(spec: dict[str, Any]) -> None:
    _default_template(spec)
    if "completions" not in spec and "parallelism" not in spec:
        spec["completions"] = 1
    _fill(spec, parallelism=1, backoffLimit=6, completionMode="NonIndexed", suspend=False)
    _fill(spec, manualSelector=False, podReplacementPolicy="TerminatingOrFailed")
    if spec["manualSelector"] is False:
        del spec["manualSelector"]


def default_job(obj: dict[str, Any]) -> None:
    """A Job selects its pods by its own uid, which is therefore known before this."""
    spec = obj["spec"]
    default_job_spec(spec)
    if spec.get("manualSelector") or "selector" in spec:
        return
    uid, name = obj["metadata"]["uid"], obj["metadata"]["name"]
    labels = spec["template"].setdefault("metadata", {}).setdefault("labels", {})
    labels |= {CONTROLLER_UID: uid, JOB_NAME: name, "controller-uid": uid, "job-name": name}
    spec["selector"] = {"matchLabels": {CONTROLLER_UID: uid}}


def default_cron_job(obj: dict[str, Any]) -> None:
    spec = obj["spec"]
    _fill(spec, concurrencyPolicy="Allow", suspend=False)
    _fill(spec, successfulJobsHistoryLimit=3, failedJobsHistoryLimit=1)
    _default_template(spec.setdefault("jobTemplate", {}).setdefault("spec", {}))


def check_workload(obj: Mapping[str, Any], old: Mapping[str, Any] | None) -> Iterator[Cause]:
    spec = obj["spec"]
    if spec.get("replicas", 0) < 0:
        yield invalid("spec.replicas", spec["replicas"], "must be greater than or equal to 0")
    selector = selector_of(obj)
    labels = spec["template"].get("metadata", {}).get("labels") or {}
    if selector is None:
        yield required("spec.selector")
    else:
        yield from check_selector(selector, "spec.selector")
        if not any(selector.values()):
            yield invalid("spec.selector", selector, "empty selector is invalid for deployment")
        elif not matches(selector, labels):
            problem = "`selector` does not match template `labels`"
            yield invalid("spec.template.metadata.labels", labels, problem)
    if old is not None and selector != selector_of(old) and obj["kind"] != "ReplicationController":
        yield invalid("spec.selector", selector or {}, "field is immutable")
    yield from check_template(spec["template"])
    if (policy := spec["template"]["spec"].get("restartPolicy")) in {"OnFailure", "Never"}:
        yield unsupported("spec.template.spec.restartPolicy", policy, ("Always",))


def check_template(template: Mapping[str, Any], path: str = "spec.template") -> Iterator[Cause]:
    labels = template.get("metadata", {}).get("labels") or {}
    yield from check_labels(labels, f"{path}.metadata.labels")
    yield from check_pod_spec(template["spec"], f"{path}.spec")


def check_job_spec(spec: Mapping[str, Any], path: str) -> Iterator[Cause]:
    yield from check_template(spec["template"], f"{path}.template")
    if spec["template"]["spec"].get("restartPolicy") == "Always":
        text = 'valid values: "OnFailure", "Never"'
        yield required(f"{path}.template.spec.restartPolicy", text)
    for field in (
        "parallelism",
        "completions",
        "backoffLimit",
        "activeDeadlineSeconds",
        "ttlSecondsAfterFinished",
    ):
        if (number := spec.get(field, 0)) < 0:
            yield invalid(f"{path}.{field}", number, "must be greater than or equal to 0")


def check_job(obj: Mapping[str, Any], old: Mapping[str, Any] | None) -> Iterator[Cause]:
    yield from check_job_spec(obj["spec"], "spec")
    if old is not None:
        for field in ("completions", "selector", "template", "completionMode"):
            if obj["spec"].get(field) != old["spec"].get(field):
                value = quoted(obj["spec"].get(field, ""))
                yield Cause(f"spec.{field}", f"Invalid value: {value}: field is immutable")


def check_cron_job(obj: Mapping[str, Any], old: Mapping[str, Any] | None) -> Iterator[Cause]:
    """pkg/apis/batch/validation; its Jobs add eleven characters to its name."""
    spec = obj["spec"]
    if old is None and len(obj["metadata"]["name"]) > 52:
        yield invalid("metadata.name", obj["metadata"]["name"], "must be no more than 52 characters")
    yield from _check_schedule(spec)
    if spec["concurrencyPolicy"] not in _CONCURRENCY:
        yield unsupported("spec.concurrencyPolicy", spec["concurrencyPolicy"], _CONCURRENCY)
    for field in ("startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit"):
        if (number := spec.get(field, 0)) < 0:
            yield invalid(f"spec.{field}", number, "must be greater than or equal to 0")
    yield from check_job_spec(spec["jobTemplate"]["spec"], "spec.jobTemplate.spec")


def _check_schedule(spec: Mapping[str, Any]) -> Iterator[Cause]:
    schedule, zone = spec.get("schedule", ""), spec.get("timeZone")
    if not schedule:
        yield required("spec.schedule")
    elif "TZ" in schedule:
        problem = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
        yield invalid("spec.schedule", schedule, problem)
    else:
        try:
            Schedule(schedule)
        except ScheduleError as error:
            yield invalid("spec.schedule", schedule, str(error))
    if zone == "":
        yield invalid("spec.timeZone", zone, "must be nil or non-empty string")
    elif zone is not None:
        try:
            Schedule("@daily", zone)
        except ScheduleError as error:
            yield invalid("spec.timeZone", zone, str(error))
