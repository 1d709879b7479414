"""pods/exec over SPDY, as client-go speaks it: cyclonus' set of streams, input, and refusals."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

from netprobe.lab.api import spdy
from tests.lab.api.conftest import DEADLINE_S, Api
from tests.lab.api.test_spdy import Client

EXEC = "/api/v1/namespaces/{namespace}/pods/p/exec"
SUCCESS = {"metadata": {}, "status": "Success"}


class Exchange:
    """One connection after the upgrade; `streams` are opened in turn, with the numbers 1, 3, 5..."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._client = Client()
        self._connection = spdy.Connection()
        self._streams: dict[str, int] = {}
        self._received: dict[int, bytes] = {}
        self._finished: set[int] = set()

    def open(self, *kinds: str) -> None:
        for kind in kinds:
            number = self._streams[kind] = 2 * len(self._streams) + 1
            self._writer.write(self._client.opens(number, {"streamtype": kind}))

    async def finished(self, kind: str) -> bytes:
        """All that a stream carries, once the server has finished it."""
        stream = self._streams[kind]
        async with asyncio.timeout(DEADLINE_S):
            while stream not in self._finished:
                await self._receive()
        return self._received.get(stream, b"")

    async def _receive(self) -> None:
        data = await self._reader.read(65536)
        assert data, "the server closed the connection"
        for event in self._connection.feed(data):
            match event:
                case spdy.Data(number, content):
                    self._received[number] = self._received.get(number, b"") + content
                case spdy.Finished(number):
                    self._finished.add(number)

    async def status(self) -> Any:
        return json.loads(await self.finished("error"))


@asynccontextmanager
async def upgraded(
    api: Api, *argv: str, protocols: str = "v4.channel.k8s.io, v3.channel.k8s.io", **query: str
) -> AsyncIterator[tuple[str, Exchange]]:
    """The first line of the response, and the exchange."""
    config = json.loads(api.server.kubeconfig.read_text())
    cluster, token = config["clusters"][0]["cluster"], config["users"][0]["user"]["token"]
    ca = base64.b64decode(cluster["certificate-authority-data"]).decode()
    host, _, port = cluster["server"].removeprefix("https://").partition(":")
    context = ssl.create_default_context(cadata=ca)
    reader, writer = await asyncio.open_connection(host, int(port), ssl=context)
    asked = [("command", word) for word in argv] + [("stdout", "true"), ("stderr", "true"), *query.items()]
    lines = [
        f"POST {api.path(EXEC)}?{urlencode(asked)} HTTP/1.1",
        f"Host: {host}",
        f"Authorization: Bearer {token}",
        "Connection: Upgrade",
        "Upgrade: SPDY/3.1",
        f"X-Stream-Protocol-Version: {protocols}",
        "Content-Length: 0",
    ]
    writer.write("".join(f"{line}\r\n" for line in [*lines, ""]).encode())
    async with asyncio.timeout(DEADLINE_S):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
    try:
        yield head.partition("\r\n")[0], Exchange(reader, writer)
    finally:
        writer.close()


async def test_a_stream_may_come_after_the_command_has_ended(pod: Api) -> None:
    """A client opens one stream after another, and a short command is over before the last one is there."""
    async with upgraded(pod, "echo", "out") as (_, exchange):
        exchange.open("error", "stdout")
        assert await exchange.status() == SUCCESS
        assert await exchange.finished("stdout") == b"out\n"
        exchange.open("stderr")
        assert await exchange.finished("stderr") == b""


async def test_an_old_protocol_is_refused(pod: Api) -> None:
    async with upgraded(pod, "true", protocols="channel.k8s.io") as (line, _):
        assert line == "HTTP/1.1 403 Forbidden"
