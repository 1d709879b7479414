"""Deployments and the other kinds that make pods: defaults and validation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from netprobe.lab.api.admission.pods import check_pod_spec, default_pod_spec, fill
from netprobe.lab.api.selectors import matches
from netprobe.manifests.workload import added_labels
from netprobe.policies.fields import Decoder, FieldError, invalid, required
from netprobe.policies.metadata import check_labels
from netprobe.policies.selector import read_selector

CONTROLLER_UID = "batch.kubernetes.io/controller-uid"


def _default_template(spec: dict[str, Any]) -> None:
    default_pod_spec(spec.setdefault("template", {}).setdefault("spec", {}))


def default_deployment(obj: dict[str, Any]) -> None:
    spec = obj["spec"]
    _default_template(spec)
    fill(spec, replicas=1, revisionHistoryLimit=10, progressDeadlineSeconds=600)
    strategy = spec.setdefault("strategy", {})
    if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
        fill(strategy.setdefault("rollingUpdate", {}), maxSurge="25%", maxUnavailable="25%")


def default_replica_set(obj: dict[str, Any]) -> None:
    _default_template(obj["spec"])
    fill(obj["spec"], replicas=1)
    labels = obj["spec"]["template"].get("metadata", {}).get("labels")
    if labels:
        obj["spec"].setdefault("selector", {"matchLabels": dict(labels)})
        if not obj["metadata"].get("labels"):
            obj["metadata"]["labels"] = dict(labels)


def default_stateful_set(obj: dict[str, Any]) -> None:
    spec = obj["spec"]
    _default_template(spec)
    fill(spec, replicas=1, podManagementPolicy="OrderedReady", revisionHistoryLimit=10)
    strategy = spec.setdefault("updateStrategy", {})
    if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
        fill(strategy.setdefault("rollingUpdate", {}), partition=0)
    policy = spec.setdefault("persistentVolumeClaimRetentionPolicy", {})
    fill(policy, whenDeleted="Retain", whenScaled="Retain")


def default_daemon_set(obj: dict[str, Any]) -> None:
    spec = obj["spec"]
    _default_template(spec)
    fill(spec, revisionHistoryLimit=10)
    strategy = spec.setdefault("updateStrategy", {})
    if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
        fill(strategy.setdefault("rollingUpdate", {}), maxSurge=0, maxUnavailable=1)


def default_job(obj: dict[str, Any]) -> None:
    """A Job selects its pods by its own uid, which is set before this."""
    spec = obj["spec"]
    _default_template(spec)
    if "completions" not in spec and "parallelism" not in spec:
        spec["completions"] = 1
    fill(spec, parallelism=1, backoffLimit=6, completionMode="NonIndexed", suspend=False)
    fill(spec, manualSelector=False, podReplacementPolicy="TerminatingOrFailed")
    if spec["manualSelector"] is False:
        del spec["manualSelector"]
    if spec.get("manualSelector") or "selector" in spec:
        return
    uid, name = obj["metadata"]["uid"], obj["metadata"]["name"]
    labels = spec["template"].setdefault("metadata", {}).setdefault("labels", {})
    labels |= added_labels("Job", name, uid=uid)
    spec["selector"] = {"matchLabels": {CONTROLLER_UID: uid}}


def check_workload(obj: Mapping[str, Any], old: Mapping[str, Any] | None) -> Iterator[FieldError]:
    """The selector must match the template, else the controller would create pods without end."""
    spec = obj["spec"]
    if spec.get("replicas", 0) < 0:
        yield invalid("spec.replicas", spec["replicas"], "must be greater than or equal to 0")
    selector = spec.get("selector")
    labels = spec["template"].get("metadata", {}).get("labels") or {}
    if selector is None:
        yield required("spec.selector", "")
    else:
        decoder = Decoder(strict=False)
        read_selector(decoder, selector, "spec.selector")
        yield from decoder.errors
        if not any(selector.values()):
            yield invalid("spec.selector", selector, "empty selector is invalid for deployment")
        elif not decoder.errors and not matches(selector, labels):
            problem = "`selector` does not match template `labels`"
            yield invalid("spec.template.metadata.labels", labels, problem)
    if old is not None and selector != old["spec"].get("selector"):
        yield invalid("spec.selector", selector or {}, "field is immutable")
    yield from _check_template(spec["template"])


def _check_template(template: Mapping[str, Any]) -> Iterator[FieldError]:
    decoder = Decoder(strict=False)
    check_labels(decoder, template.get("metadata") or {}, "labels", "spec.template.metadata")
    yield from decoder.errors
    yield from check_pod_spec(template["spec"], "spec.template.spec")


def check_job(obj: Mapping[str, Any], old: Mapping[str, Any] | None) -> Iterator[FieldError]:
    spec = obj["spec"]
    yield from _check_template(spec["template"])
    if spec["template"]["spec"].get("restartPolicy") == "Always":
        yield required("spec.template.spec.restartPolicy", 'valid values: "OnFailure", "Never"')
    for field in ("completions", "selector", "template", "completionMode") if old is not None else ():
        if spec.get(field) != (old or {})["spec"].get(field):
            yield invalid(f"spec.{field}", spec.get(field, ""), "field is immutable")
