"""The subresources of pods that run or show something: exec, attach, log, ephemeralcontainers.

Images are not run, and neither are their commands, with one exception: a container with `stdin: true` runs
its command for the client that attaches to it. So this works as on any cluster:

    kubectl run -it --rm --image=busybox --restart=Never x -- nc -zv web 80
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import functools
import json
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from typing import Any

from aiohttp import hdrs, web

from netprobe.errors import LabError
from netprobe.lab import podstatus
from netprobe.lab.api import channels, patch, requests
from netprobe.lab.api.channels import Channels
from netprobe.lab.api.defaults import check_name
from netprobe.lab.api.operations import Operations, lab_itself, now
from netprobe.lab.api.requests import RequestTarget, reply
from netprobe.lab.api.resources import PODS
from netprobe.lab.api.status import bad_request, invalid
from netprobe.lab.api.store import ObjectKey
from netprobe.lab.fabric import faults
from netprobe.lab.fabric.state import Fabric, Process
from netprobe.model.flow import PodRef
from netprobe.model.objects import Object
from netprobe.policies.fields import FieldError, forbidden, required
from netprobe.policies.names import dns_label

_PLACE = "spec.ephemeralContainers"
_NOT_EPHEMERAL = ("ports", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle", "resources")
_CHUNK = 32 * 1024
_WITHOUT_STATUS = {"breaks", "loses-status"}
_LEAVE_S = 5.0  # how long a client that has the status may take to close the connection
_SHELL = ("sh",)  # what most images run by default
_NOT_STARTED = 128  # the exit code that containerd reports


async def execute(
    request: web.BaseRequest, operations: Operations, fabric: Fabric, target: RequestTarget
) -> web.StreamResponse:
    """Run a command in a pod; it is killed when the client goes."""
    pod = operations.get(PODS, target.namespace, target.name).object
    require_started(pod, container_of(request, pod))
    command = request.query.getall("command", [])
    if not command:
        raise bad_request("you must specify at least one command for the container")
    return await _run(request, fabric, pod, command)


async def attach(
    request: web.BaseRequest, operations: Operations, fabric: Fabric, target: RequestTarget
) -> web.StreamResponse:
    """Run the container's command; with its end the pod ends too, if its restartPolicy says so.

    An ephemeral container ends in any case. A container without `stdin` runs nothing, and the client gets the
    same sentence as from the log.
    """
    pod = operations.get(PODS, target.namespace, target.name).object
    container = container_of(request, pod)
    require_started(pod, container)
    if not container.get("stdin"):
        client = await _accept(request, pod)
        await _converse(client, _print(client, f"{sentence(container)}; kubectl run -i runs a command\n"))
        return client.response

    def ended(code: int) -> None:
        if (change := _ended(pod, container, code)) is not None:
            operations.modify(PODS, ObjectKey(target.namespace, target.name), change, "status")

    command = (*container.get("command", ()), *container.get("args", ())) or _SHELL
    return await _run(request, fabric, pod, command, ended)


def _ended(pod: Object, container: Object, code: int) -> Callable[[Object], None] | None:
    """What the end of an attached command changes in the pod's status."""
    containers, policy = pod["spec"]["containers"], pod["spec"]["restartPolicy"]
    if container not in containers:
        return functools.partial(podstatus.ephemeral_ended, name=container["name"], code=code, at=now())
    over = policy == "Never" or (policy == "OnFailure" and code == 0)
    return functools.partial(podstatus.ended, code=code, at=now()) if over and len(containers) == 1 else None


def require_started(pod: Object, container: Object) -> None:
    """ApiError 400 for an ephemeral container that has ended; it is not started again."""
    for status in pod["status"].get("ephemeralContainerStatuses", ()):
        if status["name"] == container["name"] and "terminated" in status["state"]:
            raise bad_request(f"container {status['name']} of pod {pod['metadata']['name']} has ended")


def phase(pod: Object) -> str:
    return str(pod["status"].get("phase", "Unknown"))


async def _print(client: Channels, text: str) -> None:
    await client.send(channels.STDOUT, text.encode())
    await client.finish(channels.exited(0))


async def _accept(request: web.BaseRequest, pod: Object) -> Channels:
    if phase(pod) != "Running":
        raise bad_request(f"cannot exec into a container in a pod that is not running; phase is {phase(pod)}")
    return await channels.accept(request)


async def _run(
    request: web.BaseRequest,
    fabric: Fabric,
    pod: Object,
    command: Sequence[str],
    ended: Callable[[int], None] | None = None,
) -> web.StreamResponse:
    """Serve one command from start to end.

    `ended` is called with the exit code when the command is over (attach);
    the client does not get the code then.
    """
    client = await _accept(request, pod)
    ref = PodRef(pod["metadata"]["namespace"], pod["metadata"]["name"])
    fault, seconds = faults.of_exec(pod["metadata"].get("annotations") or {})
    if fault == "late":
        await asyncio.sleep(seconds)
    try:
        takes_input, terminal = requests.flag(request, "stdin"), requests.flag(request, "tty")
        process = await fabric.exec(ref, command, stdin=takes_input, tty=terminal)
    except LabError as error:
        status = channels.not_run(f"error executing command in container: {error}")
        try:
            await _converse(client, client.finish(status))
        finally:  # a client that leaves cancels this request
            if ended is not None:
                ended(_NOT_STARTED)
        return client.response
    if ended is not None:
        process.on_exit(ended)  # also when this request is cancelled before the process has ended
    serve = _serve(client, process, fault, request.transport, shows_code=ended is None)
    try:
        await _converse(client, serve, process)
    finally:
        process.kill()
        await process.wait()
    return client.response


async def _converse(
    client: Channels, serve: Coroutine[Any, Any, None], process: Process | None = None
) -> None:
    """Read from the client while `serve` writes to it; return when that is done or the client is gone."""
    reading = asyncio.create_task(_read(client, process))
    serving = asyncio.create_task(serve)
    try:
        await asyncio.wait([reading, serving], return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            await asyncio.wait([reading], timeout=_LEAVE_S)
    finally:
        reading.cancel()
        serving.cancel()
        await asyncio.gather(reading, serving, return_exceptions=True)


async def _read(client: Channels, process: Process | None) -> None:
    """Pass input and the terminal's size on to the process."""
    stdin = process.stdin if process is not None else None
    async for channel, data in client.frames():
        if process is None:
            continue
        if channel == channels.RESIZE:
            with contextlib.suppress(ValueError, KeyError, TypeError):  # not a size
                size = json.loads(data)
                process.resize(int(size["Width"]), int(size["Height"]))
        elif stdin is not None and data:
            with contextlib.suppress(ConnectionError, RuntimeError):  # the process has closed its input
                stdin.write(data)
                await stdin.drain()
        elif stdin is not None:
            stdin.close()


async def _serve(
    client: Channels, process: Process, fault: str, transport: asyncio.Transport | None, *, shows_code: bool
) -> None:
    """Send a process' output and its status to the client. `fault` is one of fabric/faults.py."""

    async def pump(channel: int, reader: asyncio.StreamReader | None) -> None:
        while reader is not None and (data := await reader.read(_CHUNK)):
            if fault == "breaks" and transport is not None:
                transport.abort()
                return
            if fault != "hangs":
                await client.send(channel, data)

    await asyncio.gather(pump(channels.STDOUT, process.stdout), pump(channels.STDERR, process.stderr))
    code = await process.wait()
    if fault == "hangs":
        await asyncio.get_running_loop().create_future()
    status = channels.exited(code if shows_code else 0)
    await client.finish(None if fault in _WITHOUT_STATUS else status)


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
    text = f"{sentence(container)}\n"
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


async def ephemeral_containers(
    request: web.BaseRequest, operations: Operations, _: Fabric, target: RequestTarget
) -> web.StreamResponse:
    """The pod with the containers that the request adds; ApiError 422 if one is not valid."""
    stored = operations.get(PODS, target.namespace, target.name)
    if request.method == hdrs.METH_GET:
        return reply(requests.shown(request, target, stored))
    by, old = requests.writer(request), stored.object
    if request.method == hdrs.METH_PATCH:
        kind = requests.content_type(request)
        raw = patch.changed(operations, target, kind, await request.read(), by)
    else:
        raw = await requests.body(request, by)
    requested = operations.typed(PODS, raw, by).get("spec", {}).get("ephemeralContainers") or []
    known: Sequence[Object] = old["spec"].get("ephemeralContainers", ())
    if causes := list(_problems(requested, known, old["spec"])):
        raise invalid(PODS, target.name, causes)
    fresh = [container for container in requested if container not in known]
    pod = copy.deepcopy(old)
    pod["spec"]["ephemeralContainers"] = [*known, *fresh]
    if not by.dry_run:
        podstatus.ephemeral_added(pod, now())
        pod = operations.replace(PODS, old, pod, lab_itself())
    return reply(requests.rendered(request, target, pod), 200, by)


def _problems(
    requested: Sequence[Mapping[str, Any]], known: Sequence[Object], spec: Mapping[str, Any]
) -> Iterator[FieldError]:
    if gone := [container["name"] for container in known if container not in requested]:
        text = f'existing ephemeral containers "{gone[0]}" may not be removed or changed'
        yield forbidden(_PLACE, text)
    others = (*spec["containers"], *spec.get("initContainers", ()), *known)
    names = {container["name"] for container in others}
    for index, container in enumerate(requested):
        if container in known:
            continue
        place = f"{_PLACE}[{index}]"
        yield from check_name(place, container.get("name", ""), names, dns_label)
        if not container.get("image"):
            yield required(f"{place}.image", "")
        for field in _NOT_EPHEMERAL:
            if container.get(field):
                yield forbidden(f"{place}.{field}", "cannot be set for an Ephemeral Container")
