"""pods/portforward: connects streams of kubectl to ports of a pod.

As with a kubelet, the connection is made inside the pod, to localhost, so policies do not apply to it.
kubectl falls back to SPDY if it cannot tunnel it through a websocket.
For each connection it opens two streams with one `requestID`: "error", for a message if it fails, and
"data". Source: k8s.io/kubelet, pkg/cri/streaming/portforward.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from aiohttp import hdrs, web

from netprobe.errors import LabError
from netprobe.lab.api import spdy
from netprobe.lab.api.operations import Operations
from netprobe.lab.api.pods import phase
from netprobe.lab.api.requests import RequestTarget
from netprobe.lab.api.resources import PODS
from netprobe.lab.api.status import bad_request
from netprobe.lab.fabric.state import Fabric, Process
from netprobe.model.flow import PodRef

_PROTOCOL = "portforward.k8s.io"
_CHUNK = 32 * 1024


async def forward(
    request: web.BaseRequest, operations: Operations, fabric: Fabric, target: RequestTarget
) -> web.StreamResponse:
    """Serve connections to the pod's ports until the client leaves."""
    pod = operations.get(PODS, target.namespace, target.name).object
    if request.headers.get(hdrs.UPGRADE, "").lower() != spdy.SPDY.lower():
        raise bad_request("Upgrade request required: the lab forwards ports by SPDY/3.1, as kubectl does")
    if phase(pod) != "Running":
        raise bad_request(f"unable to forward port because pod is not running. Current status={phase(pod)}")
    session = _Session(await spdy.upgrade(request, _PROTOCOL), fabric, PodRef(target.namespace, target.name))
    try:
        return await session.run()
    finally:
        await session.close()


@dataclass(slots=True)
class _Pair:
    """The streams of one connection, and what the client has sent that the pod has not taken yet."""

    port: str
    streams: dict[str, int] = field(default_factory=dict)  # by their type
    incoming: asyncio.Queue[bytes | None] = field(default_factory=lambda: asyncio.Queue(64))
    task: asyncio.Task[None] | None = None


class _Session:
    def __init__(self, peer: spdy.Peer, fabric: Fabric, ref: PodRef) -> None:
        self._peer = peer
        self._fabric = fabric
        self._ref = ref
        self._pairs: dict[str, _Pair] = {}  # by requestID
        self._by_data: dict[int, _Pair] = {}  # by the stream of its data

    async def run(self) -> web.StreamResponse:
        async for event in self._peer.events():
            pair = self._by_data.get(event.stream)
            match event:
                case spdy.Opened(stream, headers):
                    await self._open(stream, headers)
                case spdy.Data(_, content) if pair is not None:
                    await pair.incoming.put(content)
                case spdy.Finished() if pair is not None:
                    await pair.incoming.put(None)
                case spdy.Reset() if pair is not None and pair.task is not None:
                    pair.task.cancel()
        return self._peer.response

    async def close(self) -> None:
        tasks = [pair.task for pair in self._pairs.values() if pair.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _open(self, stream: int, headers: Mapping[str, str]) -> None:
        kind, port, number = (headers.get(name, "") for name in ("streamtype", "port", "requestid"))
        if kind not in {"error", "data"} or not _is_port(port):
            await self._peer.refuse(stream)
            return
        pair = self._pairs.setdefault(number, _Pair(port))
        pair.streams[kind] = stream
        if kind == "data":
            self._by_data[stream] = pair
        await self._peer.accept(stream)
        if len(pair.streams) == 2 and pair.task is None:
            pair.task = asyncio.create_task(self._serve(number, pair))

    async def _serve(self, number: str, pair: _Pair) -> None:
        """Serve one connection from start to end."""
        data = pair.streams["data"]
        try:
            with contextlib.suppress(ConnectionError):  # the client has gone
                problem = await self._carry(pair, data)
                await self._peer.send(data, last=True)
                await self._peer.send(pair.streams["error"], problem.encode(), last=True)
        finally:
            del self._pairs[number], self._by_data[data]

    async def _carry(self, pair: _Pair, stream: int) -> str:
        """Carry bytes both ways until the pod ends the connection; the problem, or ""."""
        problem = f"error forwarding port {pair.port} to pod {self._ref}: failed to connect to localhost"
        try:
            process = await self._fabric.exec(self._ref, ["nc", "-N", "localhost", pair.port], stdin=True)
        except LabError as error:
            return f"{problem}: {error}"
        sending = asyncio.create_task(_send(pair.incoming, process))
        try:
            while content := await process.stdout.read(_CHUNK):
                await self._peer.send(stream, content)
            return problem if await process.wait() else ""
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            process.kill()


async def _send(incoming: asyncio.Queue[bytes | None], process: Process) -> None:
    assert process.stdin is not None  # noqa: S101 (for the type checker)
    with contextlib.suppress(ConnectionError):
        while (content := await incoming.get()) is not None:
            process.stdin.write(content)
            await process.stdin.drain()
        process.stdin.close()


def _is_port(text: str) -> bool:
    return text.isdecimal() and 0 < int(text) < 65536
