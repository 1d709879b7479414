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
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, cast

from aiohttp import WSMsgType, hdrs, web
from aiohttp.http import WebSocketReader

from netprobe.lab.api import requests, spdy
from netprobe.lab.api.status import ApiError, bad_request
from netprobe.model.objects import Object

V4 = "v4.channel.k8s.io"
V5 = "v5.channel.k8s.io"
PROTOCOLS = (V5, V4)

LARGEST_MESSAGE = 4 << 20
"""Bytes of one message from a client; kubectl sends 32 KiB."""

STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255


@dataclass(frozen=True, slots=True)
class StdinData:
    data: bytes


@dataclass(frozen=True, slots=True)
class Closed:
    """Standard input ends."""


@dataclass(frozen=True, slots=True)
class Size:
    columns: int
    rows: int


Frame: TypeAlias = StdinData | Closed | Size | None


def read_frame(message: bytes, protocol: str) -> Frame:
    """A frame from the client; None for one that a server ignores."""
    if not message:
        return None
    channel, data = message[0], message[1:]
    if channel == STDIN:
        return StdinData(data) if data else None
    if channel == CLOSE and protocol == V5 and data == bytes([STDIN]):
        return Closed()
    return _size(data) if channel == RESIZE else None


def _size(data: bytes) -> Size | None:
    """The terminal's size from JSON; None if it cannot be read."""
    try:
        values = json.loads(data)
        return Size(int(values["Width"]), int(values["Height"]))
    except (ValueError, KeyError, TypeError):
        return None


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


_SPDY = "SPDY/3.1"
_VERSION = "X-Stream-Protocol-Version"
_CHANNELS = {
    "stdin": STDIN,
    "stdout": STDOUT,
    "stderr": STDERR,
    "error": ERROR,
    "resize": RESIZE,
}
_OUTPUTS = ("stdout", "stderr")
_CHUNK = 32 * 1024


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
    if upgrade != _SPDY.lower():
        raise bad_request("Upgrade request required: exec and attach need websocket or SPDY/3.1")
    offered = ",".join(request.headers.getall(_VERSION, [])).replace(" ", "").split(",")
    if V4 not in offered:
        text = f"unable to upgrade: client supports {offered}, server accepts [{V4}]"
        raise ApiError(403, "Forbidden", text)
    headers = {hdrs.CONNECTION: "Upgrade", hdrs.UPGRADE: _SPDY, _VERSION: V4}
    response = web.StreamResponse(status=101, headers=headers)
    response.force_close()
    received = asyncio.StreamReader()
    if request.transport is not None:
        received.set_transport(request.transport)  # it makes the client pause when data is not consumed
    request.protocol.set_parser(cast("WebSocketReader", _Received(received)))
    await response.prepare(request)
    return _SpdyChannels(response, received, [kind for kind in _OUTPUTS if requests.flag(request, kind)])


class _WebSocketChannels:
    response: web.StreamResponse

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self.response = self._socket = socket

    async def frames(self) -> AsyncIterator[Frame]:
        protocol = self._socket.ws_protocol or V4
        async for message in self._socket:
            if message.type is WSMsgType.BINARY:
                yield read_frame(message.data, protocol)
            elif message.type is WSMsgType.TEXT:
                yield read_frame(message.data.encode(), protocol)

    async def send(self, channel: int, data: bytes) -> None:
        await self._socket.send_bytes(bytes([channel]) + data)

    async def finish(self, status: Object | None) -> None:
        if status is not None:
            await self.send(ERROR, json.dumps(status).encode())
        await self._socket.close()


class _Received:
    """Takes the bytes after the upgrade from aiohttp, in the place of its parser for websockets."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self._reader.feed_data(data)
        return False, b""

    def feed_eof(self) -> None:
        self._reader.feed_eof()


class _SpdyChannels:
    """`outputs`: which of stdout and stderr the client wants; the error stream always comes."""

    def __init__(
        self, response: web.StreamResponse, received: asyncio.StreamReader, outputs: Sequence[str]
    ) -> None:
        self.response = response
        self._received = received
        self._connection = spdy.Connection()
        loop = asyncio.get_running_loop()
        self._outputs: dict[int, asyncio.Future[int]] = {
            _CHANNELS[kind]: loop.create_future() for kind in ("error", *outputs)
        }
        self._channels: dict[int, int] = {}  # by stream
        self._finished = False

    async def frames(self) -> AsyncIterator[Frame]:
        while data := await self._received.read(_CHUNK):
            try:
                events = list(self._connection.feed(data))
            except ValueError:
                return  # this is not SPDY, so nothing that follows can be read
            for event in events:
                match event:
                    case spdy.Opened(stream, headers):
                        await self._open(stream, headers.get("streamtype", ""))
                    case spdy.Data(stream, content):
                        yield self._frame(stream, content)
                    case spdy.Finished(stream) | spdy.Reset(stream):
                        if self._channels.get(stream) == STDIN:
                            yield Closed()
                    case spdy.Answer(content):
                        await self.response.write(content)

    def _frame(self, stream: int, content: bytes) -> Frame:
        channel = self._channels.get(stream)
        if channel == STDIN:
            return StdinData(content)
        return _size(content) if channel == RESIZE else None

    async def _open(self, stream: int, kind: str) -> None:
        if kind not in _CHANNELS:
            await self.response.write(spdy.refuse(stream))
            return
        await self.response.write(self._connection.accept(stream))
        channel = self._channels[stream] = _CHANNELS[kind]
        if self._finished:
            await self.response.write(spdy.data(stream, b"", last=True))
        if (output := self._outputs.get(channel)) is not None and not output.done():
            output.set_result(stream)

    async def send(self, channel: int, data: bytes) -> None:
        if (output := self._outputs.get(channel)) is not None:
            await self.response.write(spdy.data(await output, data))

    async def finish(self, status: Object | None) -> None:
        if status is not None:
            await self.send(ERROR, json.dumps(status).encode())
        self._finished = True
        for stream in list(self._channels):  # later ones are finished in _open
            await self.response.write(spdy.data(stream, b"", last=True))
