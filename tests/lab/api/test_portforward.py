"""kubectl port-forward against the API alone: a pod's loopback is this machine's here."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.lab.api.conftest import Api

DEADLINE_S = 60
FORWARD = "/api/v1/namespaces/{namespace}/pods/p/portforward"


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(4096):
        writer.write(data)
        await writer.drain()
    writer.close()


@asynccontextmanager
async def served() -> AsyncIterator[int]:
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with server:
        yield int(server.sockets[0].getsockname()[1])


@asynccontextmanager
async def forwarding(api: Api, port: int) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    """kubectl, and the port of this machine that leads to `port` of the pod."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed")
    process = await asyncio.create_subprocess_exec(
        *(kubectl, f"--kubeconfig={api.server.kubeconfig}", f"--namespace={api.namespace}"),
        *("port-forward", "pod/p", f":{port}"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(DEADLINE_S):
            line = (await process.stdout.readline()).decode()
        match = re.fullmatch(rf"Forwarding from 127\.0\.0\.1:(\d+) -> {port}\n", line)
        assert match is not None, line
        yield process, int(match[1])
    finally:
        if process.returncode is None:  # after a connection that failed it gives up, as everywhere
            process.kill()
        await process.wait()


async def exchange(port: int, sent: bytes) -> bytes:
    """Everything that comes back for what is sent, until the far side ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def send() -> None:
        writer.write(sent)
        await writer.drain()
        writer.write_eof()

    async with asyncio.timeout(DEADLINE_S):
        _, back = await asyncio.gather(send(), reader.read())
    writer.close()
    return back


async def test_bytes_go_both_ways_whatever_becomes_of_other_connections(pod: Api) -> None:
    async with (
        served() as port,
        forwarding(pod, port) as (_, ours),
        forwarding(pod, 1) as (process, dead),
    ):
        texts = [b"one", bytes(range(256)) * 8192, b"", b"three"]
        assert await asyncio.gather(*(exchange(ours, text) for text in texts)) == texts
        assert await exchange(dead, b"") == b"", "nobody listens there"
        assert process.stderr is not None
        async with asyncio.timeout(DEADLINE_S):
            message = (await process.stderr.readline()).decode()
        assert f"error forwarding port 1 to pod {pod.namespace}/p: failed to connect to localhost" in message
        assert await exchange(ours, b"still") == b"still"


async def test_without_spdy_a_sentence_says_what_is_spoken(pod: Api) -> None:
    refusal = await pod.fails("POST", FORWARD)
    assert refusal["message"].startswith("Upgrade request required: the lab forwards ports by SPDY")
