"""The wire to an API server, which can be cut: a port of this machine that leads there until then."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from tests.cluster.account import kubectl


class Wire:
    """Carries connections to `host:port` from a port of its own, in a thread of its own."""

    def __init__(self, host: str, port: int) -> None:
        self._to = host, port
        self._loop = asyncio.new_event_loop()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server = self._loop.run_until_complete(asyncio.start_server(self._carry, "127.0.0.1", 0))
        self.port: int = self._server.sockets[0].getsockname()[1]
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    def cut(self) -> None:
        """From now on nobody is connected, and nobody can connect."""
        asyncio.run_coroutine_threadsafe(self._cut(), self._loop).result(10)

    def close(self) -> None:
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _cut(self) -> None:
        self._server.close()
        for writer in tuple(self._writers):
            writer.transport.abort()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*others, return_exceptions=True)  # each ends with its connection

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(*self._to)
        self._writers |= {writer, far_writer}
        try:
            await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
        finally:
            for one in (writer, far_writer):
                one.close()
                self._writers.discard(one)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except (ConnectionError, OSError):
        pass
    finally:
        writer.close()


@contextmanager
def wired(kubeconfig: str, folder: Path) -> Iterator[tuple[Wire, Path]]:
    """A wire to the cluster of a kubeconfig, and the kubeconfig that leads through it."""
    config = json.loads(kubectl(kubeconfig, "config", "view", "--minify", "--raw", "--flatten", "-o", "json"))
    (cluster,) = config["clusters"]
    there = urlsplit(cluster["cluster"]["server"])
    assert there.hostname
    assert there.port
    wire = Wire(there.hostname, there.port)
    try:
        cluster["cluster"] |= {
            "server": f"https://127.0.0.1:{wire.port}",
            "tls-server-name": there.hostname,
        }
        path = folder / "wired"
        path.write_text(json.dumps(config))
        path.chmod(0o600)
        yield wire, path
    finally:
        wire.close()
