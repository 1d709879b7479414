"""The Table form of objects: the columns of each kind that `kubectl get` prints.

Kinds without an effect have name and age. The cells are those of pkg/printers/internalversion/printers.go,
with shorter ages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from netprobe.lab.api import resources as r
from netprobe.lab.api.resources import Resource
from netprobe.lab.api.selectors import render
from netprobe.lab.api.store import Stored
from netprobe.model.objects import Object

NONE = "<none>"
Cell = Callable[[Object, datetime], Any]


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column. `wide` ones are shown with -o wide only; `cell` gives the value for an object at a time."""

    name: str
    cell: Cell
    wide: bool = False


# What cells show


def at(obj: Any, path: str, missing: Any = None) -> Any:
    """The value at a path of names, as in "status.podIP"."""
    for step in path.split("."):
        if not isinstance(obj, Mapping) or step not in obj:
            return missing
        obj = obj[step]
    return obj


_UNITS = ((365 * 86400, "y"), (86400, "d"), (3600, "h"), (60, "m"))


def duration(seconds: float) -> str:
    """In the largest unit of which there are at least two."""
    whole = int(seconds)
    for size, name in _UNITS:
        if whole >= 2 * size:
            return f"{whole // size}{name}"
    return f"{max(whole, 0)}s"


def _since(timestamp: str | None, now: datetime) -> str:
    """The time since a timestamp of the API, as in "5d3h"."""
    if not timestamp:
        return "<unknown>"
    return duration((now - datetime.fromisoformat(timestamp)).total_seconds())


def _joined(items: Iterable[Any], missing: str = NONE) -> str:
    return ",".join(str(item) for item in items) or missing


def _pairs(labels: Mapping[str, str] | None) -> str:
    return _joined(f"{key}={value}" for key, value in sorted((labels or {}).items()))


def _endpoints(slice_: Object) -> str:
    addresses = [one for endpoint in slice_.get("endpoints", ()) for one in endpoint.get("addresses", ())]
    more = f" + {len(addresses) - 3} more..." if len(addresses) > 3 else ""
    return _joined(addresses[:3]) + more


def _conditions(obj: Object) -> dict[str, str]:
    return {c["type"]: c["status"] for c in at(obj, "status.conditions", ())}


def _pod_ready(pod: Object) -> str:
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


def _restarts(pod: Object) -> str:
    return str(sum(s.get("restartCount", 0) for s in at(pod, "status.containerStatuses", ())))


def _gates(pod: Object) -> str:
    wanted = [gate["conditionType"] for gate in at(pod, "spec.readinessGates", ())]
    met = sum(_conditions(pod).get(kind) == "True" for kind in wanted)
    return f"{met}/{len(wanted)}" if wanted else NONE


def _external_address(service: Object) -> str:
    kind = at(service, "spec.type")
    if kind == "ExternalName":
        return str(at(service, "spec.externalName", NONE))
    return "<pending>" if kind == "LoadBalancer" else NONE


def _service_ports(service: Object) -> str:
    return _joined(
        f"{port['port']}{':' + str(port['nodePort']) if port.get('nodePort') else ''}/{port['protocol']}"
        for port in at(service, "spec.ports", ())
    )


def _node_status(node: Object) -> str:
    status = {"True": "Ready", "False": "NotReady"}.get(_conditions(node).get("Ready", ""), "Unknown")
    return f"{status},SchedulingDisabled" if at(node, "spec.unschedulable") else status


def _node_address(node: Object) -> str:
    addresses = at(node, "status.addresses", ())
    return next((a["address"] for a in addresses if a["type"] == "InternalIP"), NONE)


def _event_object(event: Object) -> str:
    about = event.get("involvedObject", {})
    return f"{about.get('kind', '').lower()}/{about.get('name', '')}"


# The columns


def _path(name: str, path: str, missing: Any = NONE, *, wide: bool = False) -> TableColumn:
    """A column with the value at a path."""
    return TableColumn(name, lambda obj, _: at(obj, path, missing), wide)


def _text(name: str, text: Callable[[Object], Any], *, wide: bool = False) -> TableColumn:
    return TableColumn(name, lambda obj, _: text(obj), wide)


def _age(name: str, path: str) -> TableColumn:
    return TableColumn(name, lambda obj, now: _since(at(obj, path), now))


def _of_containers(name: str, field: str) -> TableColumn:
    def text(workload: Object) -> str:
        return _joined((c.get(field, "") for c in at(workload, "spec.template.spec.containers", ())), "")

    return _text(name, text, wide=True)


_NAME = _path("Name", "metadata.name")
_AGE = _age("Age", "metadata.creationTimestamp")
_READY = _text("Ready", lambda obj: f"{at(obj, 'status.readyReplicas', 0)}/{at(obj, 'spec.replicas', 0)}")
_CONTAINERS = (_of_containers("Containers", "name"), _of_containers("Images", "image"))
_SELECTOR = _text("Selector", lambda obj: render(at(obj, "spec.selector")), wide=True)


def _order(policy: Object) -> Any:
    return at(policy, "spec.order", at(policy, "spec.priority", NONE))


_OF_POLICIES = (_NAME, _path("Tier", "spec.tier"), _text("Order", _order), _AGE)
_COLUMNS: dict[Resource, tuple[TableColumn, ...]] = {
    r.NAMESPACES: (_NAME, _path("Status", "status.phase"), _AGE),
    r.PODS: (
        _NAME,
        _text("Ready", _pod_ready),
        _text("Status", pod_status),
        _text("Restarts", _restarts),
        _AGE,
        _path("IP", "status.podIP", wide=True),
        _path("Node", "spec.nodeName", wide=True),
        _text("Readiness Gates", _gates, wide=True),
    ),
    r.SERVICES: (
        _NAME,
        _path("Type", "spec.type"),
        _path("Cluster-IP", "spec.clusterIP"),
        _text("External-IP", _external_address),
        _text("Port(s)", _service_ports),
        _AGE,
        _text("Selector", lambda service: _pairs(at(service, "spec.selector")), wide=True),
    ),
    r.EVENTS: (
        _age("Last Seen", "lastTimestamp"),
        _path("Type", "type", ""),
        _path("Reason", "reason", ""),
        _text("Object", _event_object),
        _path("Message", "message", ""),
    ),
    r.ENDPOINT_SLICES: (
        _NAME,
        _path("AddressType", "addressType"),
        _text("Ports", lambda obj: _joined((port["port"] for port in obj.get("ports", ())), "<unset>")),
        _text("Endpoints", _endpoints),
        _AGE,
    ),
    r.NODES: (
        _NAME,
        _text("Status", _node_status),
        _AGE,
        _path("Version", "status.nodeInfo.kubeletVersion"),
        _text("Internal-IP", _node_address, wide=True),
        _path("OS-Image", "status.nodeInfo.osImage", wide=True),
        _path("Kernel-Version", "status.nodeInfo.kernelVersion", wide=True),
        _path("Container-Runtime", "status.nodeInfo.containerRuntimeVersion", wide=True),
    ),
    r.NETWORK_POLICIES: (_NAME, _text("Pod-Selector", lambda obj: render(at(obj, "spec.podSelector"))), _AGE),
    r.DEPLOYMENTS: (
        _NAME,
        _READY,
        _path("Up-to-date", "status.updatedReplicas", 0),
        _path("Available", "status.availableReplicas", 0),
        _AGE,
        *_CONTAINERS,
        _SELECTOR,
    ),
    r.REPLICA_SETS: (
        _NAME,
        _path("Desired", "spec.replicas", 0),
        _path("Current", "status.replicas", 0),
        _path("Ready", "status.readyReplicas", 0),
        _AGE,
        *_CONTAINERS,
        _SELECTOR,
    ),
    r.STATEFUL_SETS: (_NAME, _READY, _AGE, *_CONTAINERS),
    r.DAEMON_SETS: (
        _NAME,
        _path("Desired", "status.desiredNumberScheduled", 0),
        _path("Current", "status.currentNumberScheduled", 0),
        _path("Ready", "status.numberReady", 0),
        _path("Up-to-date", "status.updatedNumberScheduled", 0),
        _path("Available", "status.numberAvailable", 0),
        _text("Node Selector", lambda workload: _pairs(at(workload, "spec.template.spec.nodeSelector"))),
        _AGE,
        *_CONTAINERS,
        _SELECTOR,
    ),
    r.JOBS: (
        _NAME,
        _path("Active", "status.active", 0),
        _AGE,
        *_CONTAINERS,
        _SELECTOR,
    ),
    **dict.fromkeys(r.DEFINED, _OF_POLICIES),
}


def of_list(
    resource: Resource, items: list[Stored], metadata: Object, include: str, *, columns: bool = True
) -> Object:
    """The table of some objects. `include`: what a row holds besides its cells: None, Metadata or Object.

    Without `columns` the rows come alone, as in a watch after its first event.
    """
    columns_of_kind = _COLUMNS.get(resource, (_NAME, _AGE))
    now = datetime.now(UTC)
    rows = []
    for item in items:
        row: Object = {"cells": [column.cell(item.object, now) for column in columns_of_kind]}
        if include == "Object":
            row["object"] = item.object
        elif include != "None":
            row["object"] = _metadata_only(item.object["metadata"])
        rows.append(row)
    definitions = [
        {
            "name": column.name,
            "type": "string",
            "format": "name" if column.name == "Name" else "",
            "description": column.name,
            "priority": 1 if column.wide else 0,
        }
        for column in columns_of_kind
    ]
    return {**_table(metadata), "columnDefinitions": definitions if columns else [], "rows": rows}


def empty(metadata: Object) -> Object:
    """A table without cells, for a bookmark."""
    row = {"cells": [], "object": _metadata_only(metadata)}
    return {**_table(metadata), "columnDefinitions": None, "rows": [row]}


def _metadata_only(metadata: Object) -> Object:
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata}


def _table(metadata: Object) -> Object:
    return {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata}
