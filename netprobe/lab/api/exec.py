"""pods/exec: a process of the fabric at one end, a websocket at the other."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Sequence
from typing import Any

from aiohttp import WSMsgType, web

from netprobe.errors import LabError
from netprobe.lab.api import faults, requests, streams
from netprobe.lab.api.operations import Operations
from netprobe.lab.api.requests import Target
from netprobe.lab.api.resources import PODS
from netprobe.lab.api.status import bad_request
from netprobe.lab.fabric.state import Fabric, Process
from netprobe.model.flow import PodRef
from netprobe.model.objects import Object

_CHUNK = 32 * 1024
_WITHOUT_STATUS = {"breaks", "loses-status"}


async def execute(
    request: web.BaseRequest, operations: Operations, fabric: Fabric, target: Target
) -> web.StreamResponse:
    """Run a command in a pod; the connection's end is the process' end."""
    pod = operations.get(PODS, target.namespace, target.name).object
    require_started(pod, container_of(request, pod))
    command = request.query.getall("command", [])
    if not command:
        raise bad_request("you must specify at least one command for the container")
    return (await run(request, fabric, pod, command))[0]


async def run(
    request: web.BaseRequest, fabric: Fabric, pod: Object, command: Sequence[str], *, tells: bool = True
) -> tuple[web.StreamResponse, int | None]:
    """The answer, when all is said, and the command's status; None where it could not be started.

    `tells`: the client learns the status, as of an exec; who attaches only learns that it is over.
    """
    socket = await _opened(request, pod)
    takes_input, terminal = requests.flag(request, "stdin"), requests.flag(request, "tty")
    ref = PodRef(pod["metadata"]["namespace"], pod["metadata"]["name"])
    fault, seconds = faults.of_exec(pod)
    if fault == "late":
        await asyncio.sleep(seconds)
    try:
        process = await fabric.exec(ref, command, stdin=takes_input, tty=terminal)
    except LabError as error:
        await _end(socket, streams.not_run(f"error executing command in container: {error}"))
        return socket, None
    try:
        await _Session(socket, process, fault, request.transport, tells).run()
    finally:
        process.kill()
        ended = await process.wait()
    return socket, ended


async def tell(request: web.BaseRequest, pod: Object, text: str) -> web.StreamResponse:
    """Answer with a text and a good end, as of a command that printed it."""
    socket = await _opened(request, pod)
    await socket.send_bytes(streams.frame(streams.STDOUT, text.encode()))
    await _end(socket, streams.exited(0))
    return socket


async def _opened(request: web.BaseRequest, pod: Object) -> web.WebSocketResponse:
    if request.headers.get("Upgrade", "").lower() != "websocket":
        raise bad_request("Upgrade request required: the lab speaks websocket for exec, not SPDY")
    if pod["status"].get("phase") != "Running":
        raise bad_request(f"cannot exec into a container in a pod that is not running; phase is {phase(pod)}")
    socket = web.WebSocketResponse(protocols=streams.PROTOCOLS, max_msg_size=0, autoclose=True)
    await socket.prepare(request)
    return socket


async def _end(socket: web.WebSocketResponse, status: dict[str, Any]) -> None:
    await socket.send_bytes(streams.frame(streams.ERROR, json.dumps(status).encode()))
    await socket.close()


def container_of(request: web.BaseRequest, pod: Object) -> Object:
    """The container asked for, or the pod's first; ApiError 400 where there is no such one."""
    first, *others = pod["spec"].get("containers", ())
    wanted = request.query.get("container", "") or first["name"]
    for container in (first, *others, *pod["spec"].get("ephemeralContainers", ())):
        if container["name"] == wanted:
            return dict(container)
    raise bad_request(f"container {wanted} is not valid for pod {pod['metadata']['name']}")


def require_started(pod: Object, container: Object) -> None:
    """ApiError 400 where the container was added to the pod (kubectl debug) and has ended: it stays so."""
    for status in pod["status"].get("ephemeralContainerStatuses", ()):
        if status["name"] == container["name"] and "terminated" in status["state"]:
            raise bad_request(f"container {status['name']} of pod {pod['metadata']['name']} has ended")


def phase(pod: Object) -> str:
    return str(pod["status"].get("phase", "Unknown"))


class _Session:
    def __init__(
        self,
        socket: web.WebSocketResponse,
        process: Process,
        fault: str,
        transport: asyncio.Transport | None,
        tells: bool,
    ) -> None:
        self._transport = transport
        self._tells = tells
        self._socket = socket
        self._process = process
        self._fault = fault

    async def run(self) -> None:
        """Carry bytes both ways until the command has ended and its output is sent, or the client goes."""
        client = asyncio.create_task(self._listen())
        command = asyncio.create_task(self._serve())
        try:
            await asyncio.wait([client, command], return_when=asyncio.FIRST_COMPLETED)
            if command.done() and command.exception() is None:
                await self._socket.close()
        finally:
            for task in (client, command):
                task.cancel()
            await asyncio.gather(client, command, return_exceptions=True)

    async def _serve(self) -> None:
        pumps = [self._pump(streams.STDOUT, self._process.stdout)]
        if self._process.stderr is not None:
            pumps.append(self._pump(streams.STDERR, self._process.stderr))
        await asyncio.gather(*pumps)
        code = await self._process.wait()
        status = streams.exited(code if self._tells else 0)
        if self._fault == "hangs":
            await asyncio.get_running_loop().create_future()
        if self._fault in _WITHOUT_STATUS:
            return
        await self._socket.send_bytes(streams.frame(streams.ERROR, json.dumps(status).encode()))

    async def _pump(self, channel: int, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(_CHUNK):
            if self._fault == "hangs":
                continue
            if self._fault == "breaks" and self._transport is not None:
                self._transport.abort()
                return
            await self._socket.send_bytes(streams.frame(channel, data))

    async def _listen(self) -> None:
        async for message in self._socket:
            if message.type is WSMsgType.BINARY:
                data = message.data
            elif message.type is WSMsgType.TEXT:
                data = message.data.encode()
            else:
                continue
            await self._feed(streams.read(data, self._socket.ws_protocol or streams.V4))

    async def _feed(self, frame: streams.Frame) -> None:
        stdin = self._process.stdin
        match frame:
            case streams.Input(data) if stdin is not None:
                with contextlib.suppress(ConnectionError, RuntimeError):  # it reads no more
                    stdin.write(data)
                    await stdin.drain()
            case streams.Closed() if stdin is not None:
                stdin.close()
            case streams.Size(columns, rows):
                self._process.resize(columns, rows)
            case _:
                pass
