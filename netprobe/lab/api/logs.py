"""pods/log: one sentence, since no image is run that could write a log."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from netprobe.lab.api import requests
from netprobe.lab.api.operations import Operations
from netprobe.lab.api.requests import RequestTarget
from netprobe.lab.api.resources import PODS
from netprobe.lab.api.status import bad_request
from netprobe.lab.api.store import ObjectKey
from netprobe.model.objects import Object


def container_of(request: web.BaseRequest, pod: Object) -> Object:
    """The container that the request names, or the first; ApiError 400 if there is no such container."""
    first, *others = pod["spec"].get("containers", ())
    wanted = request.query.get("container", "") or first["name"]
    for container in (first, *others, *pod["spec"].get("ephemeralContainers", ())):
        if container["name"] == wanted:
            return dict(container)
    raise bad_request(f"container {wanted} is not valid for pod {pod['metadata']['name']}")


def sentence(container: Mapping[str, Any]) -> str:
    """The log of a container: which ports the lab serves for it."""
    ports = [f"{p['containerPort']}/{p['protocol']}" for p in container.get("ports", ())]
    served = f"ports {', '.join(ports)} are served" if ports else "no ports are declared"
    return f"netprobe lab: images are not run; {served}"


async def log(request: web.BaseRequest, operations: Operations, target: RequestTarget) -> web.StreamResponse:
    """The sentence; with `follow` the stream stays open until the pod ends."""
    pod = operations.get(PODS, target.namespace, target.name).object
    container = container_of(request, pod)
    stamp = f"{pod['status'].get('startTime', '')} " if requests.flag(request, "timestamps") else ""
    text = f"{stamp}{sentence(container)}\n"
    if request.query.get("tailLines") == "0" or requests.flag(request, "previous"):
        text = ""
    response = web.StreamResponse(headers={"Content-Type": "text/plain"})
    await response.prepare(request)
    await response.write(text.encode())
    key, store = ObjectKey(target.namespace, target.name), operations.store
    while requests.flag(request, "follow"):
        stored = store.get(PODS, key)
        if stored is None or stored.object["status"].get("phase") in {"Succeeded", "Failed"}:
            break
        change = store.wait(PODS)
        try:
            await asyncio.wait([change])
        finally:
            change.cancel()
    return response
