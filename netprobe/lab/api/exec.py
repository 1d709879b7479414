"""pods/exec and pods/attach: a process in the pod, with its streams carried to and from the client.

Images are not run, and neither are their commands, with one exception: a container with `stdin: true` runs
its command for the client that attaches to it. So this works as on any cluster:

    kubectl run -it --rm --image=busybox --restart=Never x -- nc -zv web 80
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from netprobe.errors import LabError
from netprobe.lab import podstatus
from netprobe.lab.api import channels, faults, requests, streams
from netprobe.lab.api.channels import Channels
from netprobe.lab.api.logs import container_of, sentence
from netprobe.lab.api.operations import Operations, now
from netprobe.lab.api.requests import RequestTarget
from netprobe.lab.api.resources import PODS
from netprobe.lab.api.status import bad_request
from netprobe.lab.api.store import ObjectKey
from netprobe.lab.fabric.state import Fabric, Process
from netprobe.model.flow import PodRef
from netprobe.model.objects import Object

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
    await client.send(streams.STDOUT, text.encode())
    await client.finish(streams.exited(0))


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
    fault, seconds = faults.of_exec(pod)
    if fault == "late":
        await asyncio.sleep(seconds)
    try:
        takes_input, terminal = requests.flag(request, "stdin"), requests.flag(request, "tty")
        process = await fabric.exec(ref, command, stdin=takes_input, tty=terminal)
    except LabError as error:
        status = streams.not_run(f"error executing command in container: {error}")
        try:
            await _converse(client, client.finish(status))
        finally:  # a client that leaves cancels this request
            if ended is not None:
                ended(_NOT_STARTED)
        return client.response
    output = _Output(client, process, fault, request.transport, shows_code=ended is None)
    try:
        await _converse(client, output.serve(), process)
    finally:
        process.kill()
        code = await process.wait()
        if ended is not None:
            ended(code)
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
    async for frame in client.frames():
        match frame:
            case streams.StdinData(data) if stdin is not None:
                with contextlib.suppress(ConnectionError, RuntimeError):  # the process has closed its input
                    stdin.write(data)
                    await stdin.drain()
            case streams.Closed() if stdin is not None:
                stdin.close()
            case streams.Size(columns, rows) if process is not None:
                process.resize(columns, rows)
            case _:
                pass


@dataclass(frozen=True, slots=True)
class _Output:
    """Sends a process' output and its status to the client. `fault` is one of api/faults.py."""

    client: Channels
    process: Process
    fault: str
    transport: asyncio.Transport | None
    shows_code: bool

    async def serve(self) -> None:
        pumps = [self._pump(streams.STDOUT, self.process.stdout)]
        if self.process.stderr is not None:
            pumps.append(self._pump(streams.STDERR, self.process.stderr))
        await asyncio.gather(*pumps)
        code = await self.process.wait()
        if self.fault == "hangs":
            await asyncio.get_running_loop().create_future()
        status = streams.exited(code if self.shows_code else 0)
        await self.client.finish(None if self.fault in _WITHOUT_STATUS else status)

    async def _pump(self, channel: int, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(_CHUNK):
            if self.fault == "hangs":
                continue
            if self.fault == "breaks" and self.transport is not None:
                self.transport.abort()
                return
            await self.client.send(channel, data)
