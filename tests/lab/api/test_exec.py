"""pods/exec over websocket, frame by frame; the processes are real ones of this machine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from netprobe.lab.api import channels
from netprobe.lab.api.channels import Frame
from tests.lab.api.conftest import Api

EXEC = "/api/v1/namespaces/{namespace}/pods/p/exec"


@asynccontextmanager
async def executing(
    api: Api, *argv: str, protocol: str = channels.V4, **query: str
) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    asked = [("command", word) for word in argv] + [("stdout", "true"), ("stderr", "true"), *query.items()]
    async with api.session.ws_connect(api.path(EXEC), protocols=(protocol,), params=asked) as socket:
        assert socket.protocol == protocol
        yield socket


async def test_a_client_that_goes_ends_the_command(pod: Api) -> None:
    async with executing(pod, "sh", "-c", "echo started; exec sleep 600") as socket:
        async with asyncio.timeout(60):
            assert (await socket.receive_bytes()) == bytes([channels.STDOUT]) + b"started\n"
    process = pod.fabric.processes[-1]
    async with asyncio.timeout(60):
        assert await process.wait() == 137


async def test_refusals_come_before_the_stream(pod: Api) -> None:
    assert (await pod.fails("GET", EXEC, command="x"))["message"].startswith("Upgrade request required")
    assert (await pod.fails("GET", EXEC))["code"] == 400
    await pod.pod("pending", {"nodeSelector": {"kubernetes.io/hostname": "nowhere"}})
    path = EXEC.replace("/p/", "/pending/")
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await pod.session.ws_connect(pod.path(path), params={"command": "x"}, protocols=(channels.V4,))
    assert caught.value.status == 400


FRAMES: list[tuple[bytes, str, Frame | None]] = [
    (b"\x00hello", channels.V4, (channels.STDIN, b"hello")),
    (b"\x00", channels.V4, None),
    (b"", channels.V4, None),
    (b"\xff\x00", channels.V5, (channels.STDIN, b"")),
    (b"\xff\x00", channels.V4, None),
    (b"\xff\x01", channels.V5, None),
    (b'\x04{"Width":80,"Height":24}', channels.V4, (channels.RESIZE, b'{"Width":80,"Height":24}')),
    (b"\x04", channels.V4, None),
    (b"\x01out", channels.V4, None),
]


def test_frames() -> None:
    for message, protocol, frame in FRAMES:
        assert channels.read_frame(message, protocol) == frame, message
