"""The columns of each kind and their values (pkg/printers/internalversion/printers.go)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from netprobe.lab.api import resources as r
from netprobe.lab.api.selectors import render
from netprobe.lab.api.table.text import (
    NONE,
    UNKNOWN,
    UNSET,
    at,
    containers,
    duration,
    images,
    joined,
    labels,
    moment,
    since,
)
from netprobe.model.objects import Object

Cell = Callable[[Object, datetime], Any]


@dataclass(frozen=True, slots=True)
class Column:
    """A column. `wide` ones are shown with -o wide only; `cell` gives the value for an object at a time."""

    name: str
    cell: Cell
    type: str = "string"
    wide: bool = False


def _path(path: str, missing: Any = NONE) -> Cell:
    return lambda obj, _: at(obj, path, missing)


def _of(function: Callable[[Object], Any]) -> Cell:
    return lambda obj, _: function(obj)


def _number(name: str, path: str) -> Column:
    return Column(name, _path(path, 0), "integer")


NAME = Column("Name", _path("metadata.name"))
AGE = Column("Age", lambda obj, now: since(at(obj, "metadata.creationTimestamp"), now))
CONTAINERS = Column("Containers", _of(lambda o: containers(_template(o))), wide=True)
IMAGES = Column("Images", _of(lambda o: images(_template(o))), wide=True)
SELECTOR = Column("Selector", _of(lambda o: render(at(o, "spec.selector"))), wide=True)


def _template(obj: Object) -> Object:
    found: Object = at(obj, "spec.template.spec") or {}
    return found


def _pod_ready(pod: Object) -> str:
    statuses = at(pod, "status.containerStatuses", ())
    return f"{sum(bool(s.get('ready')) for s in statuses)}/{len(at(pod, 'spec.containers', ()))}"


def pod_status(pod: Object) -> str:
    """Terminating, the pod's own reason, the reason of a waiting or ended container, or the phase."""
    if "deletionTimestamp" in pod["metadata"]:
        return "Terminating"
    word = str(at(pod, "status.reason") or at(pod, "status.phase", "Unknown"))
    if at(pod, "status.reason"):
        return word
    for container in reversed(at(pod, "status.containerStatuses", ())):
        state = container.get("state", {})
        for kind in ("waiting", "terminated"):
            if reason := state.get(kind, {}).get("reason"):
                word = str(reason)
    return word


def _pod_restarts(pod: Object, _now: datetime) -> str:
    return str(sum(s.get("restartCount", 0) for s in at(pod, "status.containerStatuses", ())))


def _pod_gates(pod: Object) -> str:
    wanted = [gate["conditionType"] for gate in at(pod, "spec.readinessGates", ())]
    if not wanted:
        return NONE
    conditions = {c["type"]: c["status"] for c in at(pod, "status.conditions", ())}
    return f"{sum(conditions.get(kind) == 'True' for kind in wanted)}/{len(wanted)}"


def _service_address(service: Object) -> str:
    kind = at(service, "spec.type")
    if kind == "ExternalName":
        return str(at(service, "spec.externalName", NONE))
    external = joined(at(service, "spec.externalIPs", ()))
    return "<pending>" if kind == "LoadBalancer" and external == NONE else external


def _service_ports(service: Object) -> str:
    return joined(
        f"{p['port']}:{p['nodePort']}/{p['protocol']}"
        if p.get("nodePort")
        else f"{p['port']}/{p['protocol']}"
        for p in at(service, "spec.ports", ())
    )


def _endpoints(endpoints: Object) -> str:
    found = [
        f"{address['ip']}:{port['port']}"
        for subset in endpoints.get("subsets", ())
        for port in subset.get("ports", ())
        for address in subset.get("addresses", ())
    ]
    return _first(found, 3)


def _first(items: list[str], most: int) -> str:
    more = f" + {len(items) - most} more..." if len(items) > most else ""
    return joined(items[:most]) + more


def _slice_addresses(slice_: Object) -> str:
    return _first([a for e in slice_.get("endpoints", ()) for a in e.get("addresses", ())], 3)


def _node_status(node: Object) -> str:
    conditions = {c["type"]: c["status"] for c in at(node, "status.conditions", ())}
    status = {"True": "Ready", "False": "NotReady"}.get(conditions.get("Ready", ""), "Unknown")
    return f"{status},SchedulingDisabled" if at(node, "spec.unschedulable") else status


def _node_roles(node: Object) -> str:
    prefix = "node-role.kubernetes.io/"
    found = [k.removeprefix(prefix) for k in at(node, "metadata.labels", {}) if k.startswith(prefix)]
    return joined(sorted(found))


def _node_address(kind: str) -> Cell:
    return _of(
        lambda n: next((a["address"] for a in at(n, "status.addresses", ()) if a["type"] == kind), NONE)
    )


def _job_status(job: Object) -> str:
    conditions = {c["type"] for c in at(job, "status.conditions", ()) if c["status"] == "True"}
    for kind in ("Complete", "Failed", "Suspended", "FailureTarget"):
        if kind in conditions:
            return kind
    return "Terminating" if "deletionTimestamp" in job["metadata"] else "Running"


def _job_completions(job: Object) -> str:
    done, wanted = at(job, "status.succeeded", 0), at(job, "spec.completions")
    if wanted is not None:
        return f"{done}/{wanted}"
    parallel = at(job, "spec.parallelism", 1)
    return f"{done}/1 of {parallel}" if parallel > 1 else f"{done}/1"


def _job_duration(job: Object, now: datetime) -> str:
    start, end = at(job, "status.startTime"), at(job, "status.completionTime")
    if start is None:
        return ""
    return duration(((moment(end) if end else now) - moment(start)).total_seconds())


def _event_object(event: Object) -> str:
    about = event.get("involvedObject", {})
    return f"{about.get('kind', '').lower()}/{about.get('name', '')}"


def _event_seen(field: str) -> Cell:
    def cell(event: Object, now: datetime) -> str:
        return since(event.get(field) or event.get("eventTime"), now)

    return cell


_REPLICAS = (
    NAME,
    _number("Desired", "spec.replicas"),
    _number("Current", "status.replicas"),
    _number("Ready", "status.readyReplicas"),
    AGE,
    CONTAINERS,
    IMAGES,
)

COLUMNS: dict[r.Resource, tuple[Column, ...]] = {
    r.NAMESPACES: (NAME, Column("Status", _path("status.phase")), AGE),
    r.PODS: (
        NAME,
        Column("Ready", _of(_pod_ready)),
        Column("Status", _of(pod_status)),
        Column("Restarts", _pod_restarts),
        AGE,
        Column("IP", _path("status.podIP"), wide=True),
        Column("Node", _path("spec.nodeName"), wide=True),
        Column("Nominated Node", _path("status.nominatedNodeName"), wide=True),
        Column("Readiness Gates", _of(_pod_gates), wide=True),
    ),
    r.SERVICES: (
        NAME,
        Column("Type", _path("spec.type")),
        Column("Cluster-IP", _path("spec.clusterIP")),
        Column("External-IP", _of(_service_address)),
        Column("Port(s)", _of(_service_ports)),
        AGE,
        Column("Selector", _of(lambda s: labels(at(s, "spec.selector"))), wide=True),
    ),
    r.CONFIGMAPS: (
        NAME,
        Column("Data", _of(lambda c: len(c.get("data", ())) + len(c.get("binaryData", ())))),
        AGE,
    ),
    r.SECRETS: (
        NAME,
        Column("Type", _path("type", "Opaque")),
        Column("Data", _of(lambda s: len(s.get("data", ())))),
        AGE,
    ),
    r.SERVICE_ACCOUNTS: (NAME, Column("Secrets", _of(lambda s: len(s.get("secrets", ())))), AGE),
    r.EVENTS: (
        Column("Last Seen", _event_seen("lastTimestamp")),
        Column("Type", _path("type", "")),
        Column("Reason", _path("reason", "")),
        Column("Object", _of(_event_object)),
        Column("Subobject", _path("involvedObject.fieldPath", ""), wide=True),
        Column(
            "Source",
            _of(lambda e: joined(filter(None, (at(e, "source.component"), at(e, "source.host"))), "")),
            wide=True,
        ),
        Column("Message", _of(lambda e: e.get("message", "").strip())),
        Column("First Seen", _event_seen("firstTimestamp"), wide=True),
        Column("Count", _path("count", 1), wide=True),
        Column("Name", _path("metadata.name"), wide=True),
    ),
    r.ENDPOINTS: (NAME, Column("Endpoints", _of(_endpoints)), AGE),
    r.NODES: (
        NAME,
        Column("Status", _of(_node_status)),
        Column("Roles", _of(_node_roles)),
        AGE,
        Column("Version", _path("status.nodeInfo.kubeletVersion")),
        Column("Internal-IP", _node_address("InternalIP"), wide=True),
        Column("External-IP", _node_address("ExternalIP"), wide=True),
        Column("OS-Image", _path("status.nodeInfo.osImage", UNKNOWN), wide=True),
        Column("Kernel-Version", _path("status.nodeInfo.kernelVersion", UNKNOWN), wide=True),
        Column("Container-Runtime", _path("status.nodeInfo.containerRuntimeVersion", UNKNOWN), wide=True),
    ),
    r.NETWORK_POLICIES: (
        NAME,
        Column("Pod-Selector", _of(lambda p: render(at(p, "spec.podSelector")))),
        AGE,
    ),
    r.DEPLOYMENTS: (
        NAME,
        Column("Ready", _of(lambda d: f"{at(d, 'status.readyReplicas', 0)}/{at(d, 'spec.replicas', 0)}")),
        _number("Up-to-date", "status.updatedReplicas"),
        _number("Available", "status.availableReplicas"),
        AGE,
        CONTAINERS,
        IMAGES,
        SELECTOR,
    ),
    r.REPLICA_SETS: (*_REPLICAS, SELECTOR),
    r.STATEFUL_SETS: (
        NAME,
        Column("Ready", _of(lambda s: f"{at(s, 'status.readyReplicas', 0)}/{at(s, 'spec.replicas', 0)}")),
        AGE,
        CONTAINERS,
        IMAGES,
    ),
    r.DAEMON_SETS: (
        NAME,
        _number("Desired", "status.desiredNumberScheduled"),
        _number("Current", "status.currentNumberScheduled"),
        _number("Ready", "status.numberReady"),
        _number("Up-to-date", "status.updatedNumberScheduled"),
        _number("Available", "status.numberAvailable"),
        Column("Node Selector", _of(lambda d: labels(at(d, "spec.template.spec.nodeSelector")))),
        AGE,
        CONTAINERS,
        IMAGES,
        SELECTOR,
    ),
    r.JOBS: (
        NAME,
        Column("Status", _of(_job_status)),
        Column("Completions", _of(_job_completions)),
        Column("Duration", _job_duration),
        AGE,
        CONTAINERS,
        IMAGES,
        SELECTOR,
    ),
    r.DEFINITIONS: (NAME, Column("Created At", _path("metadata.creationTimestamp"))),
    r.LEASES: (NAME, Column("Holder", _path("spec.holderIdentity", "")), AGE),
    r.ENDPOINT_SLICES: (
        NAME,
        Column("AddressType", _path("addressType")),
        Column("Ports", _of(lambda e: joined((p["port"] for p in e.get("ports", ())), UNSET))),
        Column("Endpoints", _of(_slice_addresses)),
        AGE,
    ),
}
