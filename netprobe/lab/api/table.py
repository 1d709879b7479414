"""The Table form of objects: the columns of each kind that `kubectl get` prints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from netprobe.lab.api import cells
from netprobe.lab.api import resources as r
from netprobe.lab.api.cells import NONE, UNKNOWN, at, labels, since
from netprobe.lab.api.resources import Resource
from netprobe.lab.api.selectors import render
from netprobe.lab.api.store import Stored
from netprobe.model.objects import Object
from netprobe.policies.kinds import PolicyKind

Cell = Callable[[Object, datetime], Any]


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column. `wide` ones are shown with -o wide only; `cell` gives the value for an object at a time."""

    name: str
    cell: Cell
    wide: bool = False


def _path(name: str, path: str, missing: Any = NONE, *, wide: bool = False) -> TableColumn:
    """A column with the value at a path, as in "status.podIP"."""
    return TableColumn(name, lambda obj, _: at(obj, path, missing), wide)


def _text(name: str, text: Callable[[Object], Any], *, wide: bool = False) -> TableColumn:
    return TableColumn(name, lambda obj, _: text(obj), wide)


def _age(name: str, path: str, *, wide: bool = False) -> TableColumn:
    return TableColumn(name, lambda obj, now: since(at(obj, path), now), wide)


def _count(*fields: str) -> Callable[[Object], int]:
    return lambda obj: sum(len(obj.get(field, ())) for field in fields)


def _ready(workload: Object) -> str:
    return f"{at(workload, 'status.readyReplicas', 0)}/{at(workload, 'spec.replicas', 0)}"


_NAME = _path("Name", "metadata.name")
_AGE = _age("Age", "metadata.creationTimestamp")
_CONTAINERS = (
    _text("Containers", cells.containers, wide=True),
    _text("Images", cells.images, wide=True),
)
_SELECTOR = _text("Selector", lambda obj: render(at(obj, "spec.selector")), wide=True)


def _of_policies(kind: PolicyKind) -> tuple[TableColumn, ...]:
    """The columns of network-policy-api's kinds, and of Calico's what decides their order."""
    fields = {
        "ClusterNetworkPolicy": (_path("Tier", "spec.tier"), _path("Priority", "spec.priority")),
        "AdminNetworkPolicy": (_path("Priority", "spec.priority"),),
        "Tier": (_path("Order", "spec.order"), _path("Default-Action", "spec.defaultAction", "Deny")),
    }
    if kind.group.endswith("projectcalico.org") and kind.kind.endswith("NetworkPolicy"):
        fields[kind.kind] = (_path("Tier", "spec.tier", "default"), _path("Order", "spec.order"))
    return (_NAME, *fields.get(kind.kind, ()), _AGE)


_COLUMNS: dict[Resource, tuple[TableColumn, ...]] = {
    r.NAMESPACES: (_NAME, _path("Status", "status.phase"), _AGE),
    r.PODS: (
        _NAME,
        _text("Ready", cells.pod_ready),
        _text("Status", cells.pod_status),
        _text("Restarts", cells.pod_restarts),
        _AGE,
        _path("IP", "status.podIP", wide=True),
        _path("Node", "spec.nodeName", wide=True),
        _path("Nominated Node", "status.nominatedNodeName", wide=True),
        _text("Readiness Gates", cells.pod_gates, wide=True),
    ),
    r.SERVICES: (
        _NAME,
        _path("Type", "spec.type"),
        _path("Cluster-IP", "spec.clusterIP"),
        _text("External-IP", cells.service_address),
        _text("Port(s)", cells.service_ports),
        _AGE,
        _text("Selector", lambda service: labels(at(service, "spec.selector")), wide=True),
    ),
    r.CONFIGMAPS: (_NAME, _text("Data", _count("data", "binaryData")), _AGE),
    r.SECRETS: (_NAME, _path("Type", "type", "Opaque"), _text("Data", _count("data")), _AGE),
    r.SERVICE_ACCOUNTS: (_NAME, _text("Secrets", _count("secrets")), _AGE),
    r.EVENTS: (
        _age("Last Seen", "lastTimestamp"),
        _path("Type", "type", ""),
        _path("Reason", "reason", ""),
        _text("Object", cells.event_object),
        _path("Subobject", "involvedObject.fieldPath", "", wide=True),
        _text("Source", cells.event_source, wide=True),
        _path("Message", "message", ""),
        _age("First Seen", "firstTimestamp", wide=True),
        _path("Count", "count", 1, wide=True),
        _path("Name", "metadata.name", wide=True),
    ),
    r.ENDPOINTS: (_NAME, _text("Endpoints", cells.endpoint_addresses), _AGE),
    r.ENDPOINT_SLICES: (
        _NAME,
        _path("AddressType", "addressType"),
        _text("Ports", cells.slice_ports),
        _text("Endpoints", cells.slice_addresses),
        _AGE,
    ),
    r.NODES: (
        _NAME,
        _text("Status", cells.node_status),
        _text("Roles", cells.node_roles),
        _AGE,
        _path("Version", "status.nodeInfo.kubeletVersion"),
        _text("Internal-IP", cells.node_address, wide=True),
        _text("External-IP", lambda _: NONE, wide=True),
        _path("OS-Image", "status.nodeInfo.osImage", UNKNOWN, wide=True),
        _path("Kernel-Version", "status.nodeInfo.kernelVersion", UNKNOWN, wide=True),
        _path("Container-Runtime", "status.nodeInfo.containerRuntimeVersion", UNKNOWN, wide=True),
    ),
    r.NETWORK_POLICIES: (
        _NAME,
        _text("Pod-Selector", lambda policy: render(at(policy, "spec.podSelector"))),
        _AGE,
    ),
    r.DEPLOYMENTS: (
        _NAME,
        _text("Ready", _ready),
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
    r.STATEFUL_SETS: (_NAME, _text("Ready", _ready), _AGE, *_CONTAINERS),
    r.DAEMON_SETS: (
        _NAME,
        _path("Desired", "status.desiredNumberScheduled", 0),
        _path("Current", "status.currentNumberScheduled", 0),
        _path("Ready", "status.numberReady", 0),
        _path("Up-to-date", "status.updatedNumberScheduled", 0),
        _path("Available", "status.numberAvailable", 0),
        _text("Node Selector", lambda workload: labels(at(workload, "spec.template.spec.nodeSelector"))),
        _AGE,
        *_CONTAINERS,
        _SELECTOR,
    ),
    r.JOBS: (
        _NAME,
        _text("Status", cells.job_status),
        _text("Completions", cells.job_completions),
        TableColumn("Duration", cells.job_duration),
        _AGE,
        *_CONTAINERS,
        _SELECTOR,
    ),
    r.DEFINITIONS: (_NAME, _path("Created At", "metadata.creationTimestamp")),
    r.LEASES: (_NAME, _path("Holder", "spec.holderIdentity", ""), _AGE),
    **{resource: _of_policies(kind) for resource, kind in r.DEFINED.items()},
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
