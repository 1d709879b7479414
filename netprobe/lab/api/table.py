"""The Table form of objects: the columns of each kind that `kubectl get` prints.

Kinds that are not listed here have name and age. The cells are those of Kubernetes
(pkg/printers/internalversion/printers.go), with shorter ages and the same columns for all workloads.
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
Cell = Callable[[Object], Any]


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column. `wide` ones are shown with -o wide only."""

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


def _value(path: str, missing: Any = NONE) -> Cell:
    return lambda obj: at(obj, path, missing)


_UNITS = ((365 * 86400, "y"), (86400, "d"), (3600, "h"), (60, "m"))


def duration(seconds: float) -> str:
    """In the largest unit of which there are at least two."""
    whole = int(seconds)
    for size, name in _UNITS:
        if whole >= 2 * size:
            return f"{whole // size}{name}"
    return f"{max(whole, 0)}s"


def _since(path: str) -> Cell:
    """The time since a timestamp of the API."""

    def age(obj: Object) -> str:
        timestamp = at(obj, path)
        if not timestamp:
            return "<unknown>"
        return duration((datetime.now(UTC) - datetime.fromisoformat(timestamp)).total_seconds())

    return age


def _joined(items: Iterable[Any], missing: str = NONE) -> str:
    return ",".join(str(item) for item in items) or missing


def _selector(path: str) -> Cell:
    return lambda obj: render(at(obj, path))


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
    missing = "<pending>" if at(service, "spec.type") == "LoadBalancer" else NONE
    return str(at(service, "spec.externalName", missing))


def _service_ports(service: Object) -> str:
    return _joined(
        f"{port['port']}{':' + str(port['nodePort']) if port.get('nodePort') else ''}/{port['protocol']}"
        for port in at(service, "spec.ports", ())
    )


def _pairs(path: str) -> Cell:
    return lambda obj: _joined(f"{key}={value}" for key, value in sorted(at(obj, path, {}).items()))


def _endpoints(slice_: Object) -> str:
    addresses = [one for endpoint in slice_.get("endpoints", ()) for one in endpoint.get("addresses", ())]
    more = f" + {len(addresses) - 3} more..." if len(addresses) > 3 else ""
    return _joined(addresses[:3]) + more


def _endpoint_ports(slice_: Object) -> str:
    return _joined((port["port"] for port in slice_.get("ports", ())), "<unset>")


def _node_status(node: Object) -> str:
    status = {"True": "Ready", "False": "NotReady"}.get(_conditions(node).get("Ready", ""), "Unknown")
    return f"{status},SchedulingDisabled" if at(node, "spec.unschedulable") else status


def _node_address(node: Object) -> str:
    addresses = at(node, "status.addresses", ())
    return next((a["address"] for a in addresses if a["type"] == "InternalIP"), NONE)


def _event_object(event: Object) -> str:
    about = event.get("involvedObject", {})
    return f"{about.get('kind', '').lower()}/{about.get('name', '')}"


def _workload_ready(workload: Object) -> str:
    """Ready pods of wanted ones; a DaemonSet and a Job have other fields for them."""
    status, wanted = workload.get("status", {}), at(workload, "spec.replicas")
    ready = next((status[key] for key in ("readyReplicas", "numberReady", "ready") if key in status), 0)
    if wanted is None:
        wanted = status.get("desiredNumberScheduled", at(workload, "spec.parallelism", 0))
    return f"{ready}/{wanted}"


def _of_containers(field: str) -> Cell:
    path = "spec.template.spec.containers"
    return lambda workload: _joined((one.get(field, "") for one in at(workload, path, ())), "")


def _order(policy: Object) -> Any:
    return at(policy, "spec.order", at(policy, "spec.priority", NONE))


# The columns

_NAME = TableColumn("Name", _value("metadata.name"))
_AGE = TableColumn("Age", _since("metadata.creationTimestamp"))
_OF_WORKLOADS = (
    _NAME,
    TableColumn("Ready", _workload_ready),
    _AGE,
    TableColumn("Containers", _of_containers("name"), wide=True),
    TableColumn("Images", _of_containers("image"), wide=True),
    TableColumn("Selector", _selector("spec.selector"), wide=True),
)
_OF_POLICIES = (_NAME, TableColumn("Tier", _value("spec.tier")), TableColumn("Order", _order), _AGE)
_COLUMNS: dict[Resource, tuple[TableColumn, ...]] = {
    r.NAMESPACES: (_NAME, TableColumn("Status", _value("status.phase")), _AGE),
    r.PODS: (
        _NAME,
        TableColumn("Ready", _pod_ready),
        TableColumn("Status", pod_status),
        TableColumn("Restarts", _restarts),
        _AGE,
        TableColumn("IP", _value("status.podIP"), wide=True),
        TableColumn("Node", _value("spec.nodeName"), wide=True),
        TableColumn("Readiness Gates", _gates, wide=True),
    ),
    r.SERVICES: (
        _NAME,
        TableColumn("Type", _value("spec.type")),
        TableColumn("Cluster-IP", _value("spec.clusterIP")),
        TableColumn("External-IP", _external_address),
        TableColumn("Port(s)", _service_ports),
        _AGE,
        TableColumn("Selector", _pairs("spec.selector"), wide=True),
    ),
    r.EVENTS: (
        TableColumn("Last Seen", _since("lastTimestamp")),
        TableColumn("Type", _value("type", "")),
        TableColumn("Reason", _value("reason", "")),
        TableColumn("Object", _event_object),
        TableColumn("Message", _value("message", "")),
    ),
    r.ENDPOINT_SLICES: (
        _NAME,
        TableColumn("AddressType", _value("addressType")),
        TableColumn("Ports", _endpoint_ports),
        TableColumn("Endpoints", _endpoints),
        _AGE,
    ),
    r.NODES: (
        _NAME,
        TableColumn("Status", _node_status),
        _AGE,
        TableColumn("Version", _value("status.nodeInfo.kubeletVersion")),
        TableColumn("Internal-IP", _node_address, wide=True),
        TableColumn("Kernel-Version", _value("status.nodeInfo.kernelVersion"), wide=True),
    ),
    r.NETWORK_POLICIES: (_NAME, TableColumn("Pod-Selector", _selector("spec.podSelector")), _AGE),
    **dict.fromkeys((r.DEPLOYMENTS, r.REPLICA_SETS, r.STATEFUL_SETS, r.DAEMON_SETS, r.JOBS), _OF_WORKLOADS),
    **dict.fromkeys(r.DEFINED, _OF_POLICIES),
}


def of_list(resource: Resource, items: list[Stored], metadata: Object, include: str) -> Object:
    """The table of some objects. `include`: what a row holds besides its cells: None, Metadata or Object."""
    columns = _COLUMNS.get(resource, (_NAME, _AGE))
    rows = []
    for item in items:
        row: Object = {"cells": [column.cell(item.object) for column in columns]}
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
        for column in columns
    ]
    return {**_table(metadata), "columnDefinitions": definitions, "rows": rows}


def empty(metadata: Object) -> Object:
    """A table without cells, for a bookmark."""
    row = {"cells": [], "object": _metadata_only(metadata)}
    return {**_table(metadata), "columnDefinitions": None, "rows": [row]}


def _metadata_only(metadata: Object) -> Object:
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata}


def _table(metadata: Object) -> Object:
    return {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata}
