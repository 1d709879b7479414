"""The scale subresource: an autoscaling/v1 Scale in the place of a workload."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from aiohttp import hdrs, web

from netprobe.lab.api import requests
from netprobe.lab.api.decode import Decoder, parse
from netprobe.lab.api.operations import Operations
from netprobe.lab.api.patch import json_patch, merge
from netprobe.lab.api.requests import Target, reply
from netprobe.lab.api.schema import definition
from netprobe.lab.api.selectors import render, selector_of
from netprobe.lab.api.status import bad_request, conflict, method_not_allowed
from netprobe.lab.api.table.text import since
from netprobe.model.objects import Object


def of(obj: Object) -> Object:
    """The Scale of a workload."""
    metadata = {
        key: obj["metadata"][key]
        for key in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    }
    status: Object = {"replicas": obj.get("status", {}).get("replicas", 0)}
    if (selector := render(selector_of(obj))) != "<none>":
        status["selector"] = selector
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": metadata,
        "spec": {"replicas": obj["spec"].get("replicas", 0)},
        "status": status,
    }


def _table(scale: Object) -> Object:
    """The columns of pkg/printers/internalversion/printers.go."""
    age = since(scale["metadata"]["creationTimestamp"], datetime.now(UTC))
    cells = {
        "Name": scale["metadata"]["name"],
        "Desired": scale["spec"]["replicas"],
        "Available": scale["status"]["replicas"],
        "Age": age,
    }
    columns = [
        {
            "name": name,
            "type": "integer" if isinstance(cell, int) else "string",
            "format": "",
            "description": name,
            "priority": 0,
        }
        for name, cell in cells.items()
    ]
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {},
        "columnDefinitions": columns,
        "rows": [{"cells": list(cells.values()), "object": scale}],
    }


async def answer(request: web.BaseRequest, operations: Operations, target: Target) -> web.StreamResponse:
    """GET, PUT and PATCH of a workload's scale."""
    stored = operations.get(target.resource, target.namespace, target.name).object
    now = of(stored)
    by = requests.writer(request)
    match request.method:
        case hdrs.METH_GET:
            return reply(_table(now) if requests.form(request) == "table" else now)
        case hdrs.METH_PUT:
            wanted: Any = await requests.body(request, by)
        case hdrs.METH_PATCH:
            change = parse(await request.read(), "application/json", by.doubled)
            listed = requests.content_type(request) == "application/json-patch+json"
            wanted = json_patch(now, change) if listed else merge(now, change)
        case _:
            raise method_not_allowed()
    stored = operations.get(target.resource, target.namespace, target.name).object
    scale = Decoder("Scale", "v1").struct(wanted, definition("autoscaling.v1.Scale"))
    replicas = scale["spec"].get("replicas", 0)
    if replicas < 0:
        raise bad_request("spec.replicas: must be greater than or equal to 0")
    given = scale["metadata"].get("resourceVersion", "")
    if given and given != stored["metadata"]["resourceVersion"]:
        raise conflict(target.resource, target.name)
    copy: Object = json.loads(json.dumps(stored))
    copy["spec"]["replicas"] = replicas
    return reply(of(operations.replace(target.resource, stored, copy, by)), 200, by)
