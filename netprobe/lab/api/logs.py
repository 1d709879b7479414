"""pods/log: what there is to say of a container whose image is not run."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from netprobe.lab.api import requests
from netprobe.lab.api.exec import container_of
from netprobe.lab.api.operations import Operations
from netprobe.lab.api.requests import Target
from netprobe.lab.api.resources import PODS
from netprobe.lab.api.store import Key


def sentence(container: Mapping[str, Any]) -> str:
    """What a container of the lab has to say of itself."""
    ports = [f"{p['containerPort']}/{p['protocol']}" for p in container.get("ports", ())]
    served = f"ports {', '.join(ports)} are served" if ports else "no ports are declared"
    return f"netprobe lab: images are not run; {served}"


async def log(request: web.BaseRequest, operations: Operations, target: Target) -> web.StreamResponse:
    """The lab's one sentence; with follow the stream stays open until the pod ends."""
    pod = operations.get(PODS, target.namespace, target.name).object
    container = container_of(request, pod)
    stamp = f"{pod['status'].get('startTime', '')} " if requests.flag(request, "timestamps") else ""
    text = f"{stamp}{sentence(container)}\n"
    if request.query.get("tailLines") == "0" or requests.flag(request, "previous"):
        text = ""
    response = web.StreamResponse(headers={"Content-Type": "text/plain"})
    await response.prepare(request)
    await response.write(text.encode())
    key, store = Key(target.namespace, target.name), operations.store
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
