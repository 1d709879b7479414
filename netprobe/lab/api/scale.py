"""The scale subresource: the number of a workload's pods as an autoscaling/v1 Scale."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import hdrs, web

from netprobe.lab.api import requests
from netprobe.lab.api.decode import ObjectDecoder, parse
from netprobe.lab.api.operations import Operations
from netprobe.lab.api.patch import JSON_PATCH, json_patch, merge
from netprobe.lab.api.requests import RequestTarget, reply
from netprobe.lab.api.resources import SCALE
from netprobe.lab.api.schema import definition_of
from netprobe.lab.api.selectors import render
from netprobe.lab.api.status import bad_request, conflict, method_not_allowed
from netprobe.model.objects import Object


def of(obj: Object) -> Object:
    """The Scale of a workload."""
    metadata = {
        key: obj["metadata"][key]
        for key in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    }
    status: Object = {"replicas": obj.get("status", {}).get("replicas", 0)}
    if (selector := render(obj["spec"].get("selector"))) != "<none>":
        status["selector"] = selector
    return {
        "kind": SCALE.kind,
        "apiVersion": SCALE.api_version,
        "metadata": metadata,
        "spec": {"replicas": obj["spec"].get("replicas", 0)},
        "status": status,
    }


async def answer(
    request: web.BaseRequest, operations: Operations, target: RequestTarget
) -> web.StreamResponse:
    """GET, PUT and PATCH of a workload's scale."""
    by, data = requests.writer(request), await request.read()
    stored = operations.get(target.resource, target.namespace, target.name).object
    now = of(stored)
    match request.method:
        case hdrs.METH_GET:
            return reply(now)
        case hdrs.METH_PUT:
            wanted: Any = parse(data, requests.content_type(request), by.doubled)
        case hdrs.METH_PATCH:
            change = parse(data, "application/json", by.doubled)
            is_json_patch = requests.content_type(request) == JSON_PATCH
            wanted = json_patch(now, change) if is_json_patch else merge(now, change)
        case _:
            raise method_not_allowed()
    scale = ObjectDecoder("Scale", "v1").struct(wanted, definition_of(SCALE))
    replicas = scale["spec"].get("replicas", 0)
    if replicas < 0:
        raise bad_request("spec.replicas: must be greater than or equal to 0")
    given = scale["metadata"].get("resourceVersion", "")
    if given and given != stored["metadata"]["resourceVersion"]:
        raise conflict(target.resource, target.name)
    copy: Object = json.loads(json.dumps(stored))
    copy["spec"]["replicas"] = replicas
    return reply(of(operations.replace(target.resource, stored, copy, by)), 200, by)
