"""The cells of `kubectl get`: what they show of an object (pkg/printers/internalversion/printers.go)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from netprobe.model.objects import Object

NONE = "<none>"
UNKNOWN = "<unknown>"
UNSET = "<unset>"


def at(obj: Any, path: str, missing: Any = None) -> Any:
    """The value at a path of names, as in "status.podIP"."""
    for step in path.split("."):
        if not isinstance(obj, Mapping) or step not in obj:
            return missing
        obj = obj[step]
    return obj


def since(timestamp: str | None, now: datetime) -> str:
    """The time since a timestamp of the API, as in "5d3h"."""
    if not timestamp:
        return UNKNOWN
    return duration((now - moment(timestamp)).total_seconds())


def moment(timestamp: str) -> datetime:
    return datetime.fromisoformat(timestamp).astimezone(UTC)


def duration(seconds: float) -> str:
    """Two units at most, fewer as it gets longer (apimachinery's duration.HumanDuration)."""
    whole = int(seconds)
    if whole < 0:
        return "0s" if whole >= -1 else "<invalid>"
    for below, unit, finer, fine_below in _DURATIONS:
        if whole < below:
            size, name = unit
            rest = whole % size // finer[0] if whole < fine_below else 0
            return f"{whole // size}{name}{rest}{finer[1]}" if rest else f"{whole // size}{name}"
    return f"{whole // _YEAR}y"


_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_YEAR = 365 * _DAY
_DURATIONS = (  # below this many seconds: the unit, the finer unit, and below what the finer one is shown
    (2 * _MINUTE, (1, "s"), (1, ""), 0),
    (3 * _HOUR, (_MINUTE, "m"), (1, "s"), 10 * _MINUTE),
    (2 * _DAY, (_HOUR, "h"), (_MINUTE, "m"), 8 * _HOUR),
    (2 * _YEAR, (_DAY, "d"), (_HOUR, "h"), 8 * _DAY),
    (8 * _YEAR, (_YEAR, "y"), (_DAY, "d"), 8 * _YEAR),
)


def joined(items: Iterable[Any], missing: str = NONE) -> str:
    return ",".join(str(item) for item in items) or missing


def labels(pairs: Mapping[str, str] | None) -> str:
    return joined(f"{key}={value}" for key, value in sorted((pairs or {}).items()))


def containers(workload: Object) -> str:
    return joined((c["name"] for c in at(workload, "spec.template.spec.containers", ())), "")


def images(workload: Object) -> str:
    return joined((c.get("image", "") for c in at(workload, "spec.template.spec.containers", ())), "")


def pod_ready(pod: Object) -> str:
    statuses = at(pod, "status.containerStatuses", ())
    return f"{sum(bool(s.get('ready')) for s in statuses)}/{len(at(pod, 'spec.containers', ()))}"


def pod_status(pod: Object) -> str:
    """Terminating, the pod's own reason, the reason of a waiting or ended container, or the phase."""
    if "deletionTimestamp" in pod["metadata"]:
        return "Terminating"
    if reason := at(pod, "status.reason"):
        return str(reason)
    for container in at(pod, "status.containerStatuses", ()):
        for state in container.get("state", {}).values():
            if reason := state.get("reason"):
                return str(reason)
    return str(at(pod, "status.phase", "Unknown"))


def pod_restarts(pod: Object) -> str:
    return str(sum(s.get("restartCount", 0) for s in at(pod, "status.containerStatuses", ())))


def pod_gates(pod: Object) -> str:
    wanted = [gate["conditionType"] for gate in at(pod, "spec.readinessGates", ())]
    if not wanted:
        return NONE
    conditions = {c["type"]: c["status"] for c in at(pod, "status.conditions", ())}
    return f"{sum(conditions.get(kind) == 'True' for kind in wanted)}/{len(wanted)}"


def service_address(service: Object) -> str:
    kind = at(service, "spec.type")
    if kind == "ExternalName":
        return str(at(service, "spec.externalName", NONE))
    external = joined(at(service, "spec.externalIPs", ()))
    return "<pending>" if kind == "LoadBalancer" and external == NONE else external


def service_ports(service: Object) -> str:
    return joined(
        f"{port['port']}{':' + str(port['nodePort']) if port.get('nodePort') else ''}/{port['protocol']}"
        for port in at(service, "spec.ports", ())
    )


def endpoint_addresses(endpoints: Object) -> str:
    return _first_three(
        [
            f"{address['ip']}:{port['port']}"
            for subset in endpoints.get("subsets", ())
            for port in subset.get("ports", ())
            for address in subset.get("addresses", ())
        ]
    )


def slice_addresses(slice_: Object) -> str:
    return _first_three([a for e in slice_.get("endpoints", ()) for a in e.get("addresses", ())])


def slice_ports(slice_: Object) -> str:
    return joined((port["port"] for port in slice_.get("ports", ())), UNSET)


def _first_three(items: list[str]) -> str:
    more = f" + {len(items) - 3} more..." if len(items) > 3 else ""
    return joined(items[:3]) + more


def node_status(node: Object) -> str:
    conditions = {c["type"]: c["status"] for c in at(node, "status.conditions", ())}
    status = {"True": "Ready", "False": "NotReady"}.get(conditions.get("Ready", ""), "Unknown")
    return f"{status},SchedulingDisabled" if at(node, "spec.unschedulable") else status


def node_roles(node: Object) -> str:
    prefix = "node-role.kubernetes.io/"
    found = [k.removeprefix(prefix) for k in at(node, "metadata.labels", {}) if k.startswith(prefix)]
    return joined(sorted(found))


def node_address(node: Object) -> str:
    addresses = at(node, "status.addresses", ())
    return next((a["address"] for a in addresses if a["type"] == "InternalIP"), NONE)


def job_status(job: Object) -> str:
    conditions = {c["type"] for c in at(job, "status.conditions", ()) if c["status"] == "True"}
    for kind in ("Complete", "Failed", "Suspended"):
        if kind in conditions:
            return kind
    return "Terminating" if "deletionTimestamp" in job["metadata"] else "Running"


def job_completions(job: Object) -> str:
    done, wanted = at(job, "status.succeeded", 0), at(job, "spec.completions")
    if wanted is not None:
        return f"{done}/{wanted}"
    parallel = at(job, "spec.parallelism", 1)
    return f"{done}/1 of {parallel}" if parallel > 1 else f"{done}/1"


def job_duration(job: Object, now: datetime) -> str:
    start, end = at(job, "status.startTime"), at(job, "status.completionTime")
    if start is None:
        return ""
    return duration(((moment(end) if end else now) - moment(start)).total_seconds())


def event_object(event: Object) -> str:
    about = event.get("involvedObject", {})
    return f"{about.get('kind', '').lower()}/{about.get('name', '')}"


def event_source(event: Object) -> str:
    return joined(filter(None, (at(event, "source.component"), at(event, "source.host"))), "")
