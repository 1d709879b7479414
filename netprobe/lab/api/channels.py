"""The client's end of an exec: channels for input, output and status, over a websocket or over SPDY.

Over a websocket (protocols v4.channel.k8s.io and v5.channel.k8s.io) each message is a frame, whose first byte
names the channel: 0 stdin, 1 stdout, 2 stderr, 3 the status at the end, 4 the terminal's size as JSON. In v5
the byte 255 followed by a channel's byte closes that channel. Over SPDY each channel is a stream that the
client opens; the header `streamtype` names it. Clients differ in what they open (cyclonus asks for a terminal
and opens no resize stream), so there is no fixed set to wait for: output waits for its own stream, and a
stream that is opened after the end is finished at once.

Source: k8s.io/kubelet, pkg/cri/streaming/remotecommand.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any, Protocol, TypeAlias

from aiohttp import WSMsgType, hdrs, web

from netprobe.lab.api import requests, spdy
from netprobe.lab.api.status import bad_request
from netprobe.model.objects import Object

V4 = "v4.channel.k8s.io"
V5 = "v5.channel.k8s.io"
PROTOCOLS = (V5, V4)

LARGEST_MESSAGE = 4 << 20
"""Bytes of one message from a client; kubectl sends 32 KiB."""

STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255


Frame: TypeAlias = tuple[int, bytes]
"""What a client sends: STDIN and data (b"" at its end), or RESIZE and the terminal's size as JSON."""


def read_frame(message: bytes, protocol: str) -> Frame | None:
    """A message of a websocket; None for one that a server ignores."""
    if protocol == V5 and message == bytes([CLOSE, STDIN]):
        return STDIN, b""
    channel, data = message[:1], message[1:]
    return (channel[0], data) if data and channel[0] in {STDIN, RESIZE} else None


def exited(code: int) -> dict[str, Any]:
    """The Status at the end of a command, with its exit code."""
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    text = f"command terminated with non-zero exit code: command terminated with exit code {code}"
    return {
        "metadata": {},
        "status": "Failure",
        "message": text,
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


def not_run(why: str) -> dict[str, Any]:
    """The Status of a command that could not be started."""
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"Internal error occurred: {why}",
        "reason": "InternalError",
        "details": {"causes": [{"message": why}]},
        "code": 500,
    }


_CHANNELS = {"stdin": STDIN, "stdout": STDOUT, "stderr": STDERR, "error": ERROR, "resize": RESIZE}
_OUTPUTS = ("stdout", "stderr")


class Channels(Protocol):
    """`response` is what the request's handler returns when the exchange is over."""

    response: web.StreamResponse

    def frames(self) -> AsyncIterator[Frame]:
        """What the client sends, until it closes the connection."""

    async def send(self, channel: int, data: bytes) -> None:
        """Send output."""

    async def finish(self, status: Object | None) -> None:
        """End all output, after the command's status if there is one; nothing is sent after it."""


async def accept(request: web.BaseRequest) -> Channels:
    """Switch protocols as the client requests; ApiError 400 or 403 for one that is not supported."""
    upgrade = request.headers.get(hdrs.UPGRADE, "").lower()
    if upgrade == "websocket":
        socket = web.WebSocketResponse(protocols=PROTOCOLS, max_msg_size=LARGEST_MESSAGE, compress=False)
        await socket.prepare(request)
        return _WebSocketChannels(socket)
    if upgrade != spdy.SPDY.lower():
        raise bad_request("Upgrade request required: exec and attach need websocket or SPDY/3.1")
    peer = await spdy.upgrade(request, V4)
    return _SpdyChannels(peer, [kind for kind in _OUTPUTS if requests.flag(request, kind)])


class _WebSocketChannels:
    response: web.StreamResponse

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self.response = self._socket = socket

    async def frames(self) -> AsyncIterator[Frame]:
        protocol = self._socket.ws_protocol or V4
        async for message in self._socket:
            data = message.data.encode() if message.type is WSMsgType.TEXT else message.data
            if (frame := read_frame(data, protocol)) is not None:
                yield frame

    async def send(self, channel: int, data: bytes) -> None:
        await self._socket.send_bytes(bytes([channel]) + data)

    async def finish(self, status: Object | None) -> None:
        if status is not None:
            await self.send(ERROR, json.dumps(status).encode())
        await self._socket.close()


class _SpdyChannels:
    """`outputs`: which of stdout and stderr the client wants; the error stream always comes."""

    def __init__(self, peer: spdy.Peer, outputs: Sequence[str]) -> None:
        self.response = peer.response
        self._peer = peer
        loop = asyncio.get_running_loop()
        self._outputs: dict[int, asyncio.Future[int]] = {
            _CHANNELS[kind]: loop.create_future() for kind in ("error", *outputs)
        }
        self._channels: dict[int, int] = {}  # by stream
        self._finished = False

    async def frames(self) -> AsyncIterator[Frame]:
        async for event in self._peer.events():
            channel = self._channels.get(event.stream, CLOSE)
            match event:
                case spdy.Opened(stream, headers):
                    await self._open(stream, headers.get("streamtype", ""))
                case spdy.Data(_, content) if channel in {STDIN, RESIZE}:
                    yield channel, content
                case spdy.Finished() | spdy.Reset() if channel == STDIN:
                    yield STDIN, b""

    async def _open(self, stream: int, kind: str) -> None:
        if kind not in _CHANNELS:
            await self._peer.refuse(stream)
            return
        await self._peer.accept(stream)
        channel = self._channels[stream] = _CHANNELS[kind]
        if self._finished:
            await self._peer.send(stream, last=True)
        if (output := self._outputs.get(channel)) is not None and not output.done():
            output.set_result(stream)

    async def send(self, channel: int, data: bytes) -> None:
        if (output := self._outputs.get(channel)) is not None:
            await self._peer.send(await output, data)

    async def finish(self, status: Object | None) -> None:
        if status is not None:
            await self.send(ERROR, json.dumps(status).encode())
        self._finished = True
        for stream in list(self._channels):  # later ones are finished in _open
            await self._peer.send(stream, last=True)
