"""The lab's API server: store, routes and controllers behind one TLS socket."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import weakref
from pathlib import Path
from typing import Any, Protocol

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import RawRequestMessage
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestHandler

from netprobe.lab.api import certs
from netprobe.lab.api.admission.definitions import serve_custom_kinds
from netprobe.lab.api.bootstrap import bootstrap
from netprobe.lab.api.operations import Operations
from netprobe.lab.api.routes import RequestRouter
from netprobe.lab.api.store import Store
from netprobe.lab.controllers.cleanup import GarbageCollector, Namespaces
from netprobe.lab.controllers.deployments import Deployments
from netprobe.lab.controllers.endpoints import Endpoints
from netprobe.lab.controllers.workloads import WORKLOADS, WorkloadController
from netprobe.lab.enforcer import StatePusher
from netprobe.lab.fabric.state import Fabric
from netprobe.lab.kubelet import Kubelet

_LARGEST_BODY = 3 * 1024 * 1024  # the limit of a real server
# What a client may make the lab keep before it has shown its token: CONNECTIONS * (LINE + HEADERS * HEADER).
_MOST_CONNECTIONS = 512
_LONGEST_LINE = 256 * 1024  # the command of an exec is part of the URL
_MOST_HEADERS, _LONGEST_HEADER = 64, 8 * 1024
_REQUEST_S = 60.0  # the time to a complete head of a request; idle connections are closed after it too


def _request(
    message: RawRequestMessage,
    payload: StreamReader,
    protocol: RequestHandler,
    writer: AbstractStreamWriter,
    task: asyncio.Task[None],
) -> web.BaseRequest:
    """A request of aiohttp's own kind, with a body as large as the API allows."""
    loop = asyncio.get_running_loop()
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=_LARGEST_BODY)


class BoundedListener(socket.socket):
    """A listening socket that closes new connections at once while too many are open.

    It counts connections from the moment they are accepted, those in a TLS handshake too.
    """

    def __init__(self, listener: socket.socket, most: int) -> None:
        super().__init__(listener.family, listener.type, listener.proto, listener.detach())
        self._most = most
        self._open: weakref.WeakSet[socket.socket] = weakref.WeakSet()

    def accept(self) -> tuple[socket.socket, Any]:
        connection, address = super().accept()
        if len(self._open) >= self._most:  # some may be closed and not yet collected
            self._open = weakref.WeakSet(one for one in self._open if one.fileno() != -1)
        if len(self._open) >= self._most:
            connection.close()
            raise ConnectionAbortedError("too many connections")
        self._open.add(connection)
        return connection, address


class Loop(Protocol):
    """A loop that runs as long as the lab."""

    async def run(self) -> None: ...


class Server:
    """A running API server. `store` is there for tests and benchmarks."""

    def __init__(
        self, runner: web.ServerRunner, tasks: list[asyncio.Task[None]], kubeconfig: Path, store: Store
    ) -> None:
        self._runner = runner
        self._tasks = tasks
        self.kubeconfig = kubeconfig
        self.store = store

    async def close(self) -> None:
        """Stop answering and stop the controllers; the pods belong to the fabric and stay."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._runner.cleanup()
        with contextlib.suppress(FileNotFoundError):
            self.kubeconfig.unlink()


async def serve(
    sock: socket.socket,
    fabric: Fabric,
    name: str,
    home: Path,
    *,
    history: int = 10_000,
) -> Server:
    """Serve the API on a bound loopback socket; write `home`/kubeconfig (mode 0600) with token and CA.

    Returns once it answers and the nodes and first namespaces exist. `history` is how many changes of a kind
    a watcher may be behind (see store.py).
    """
    own = certs.make()
    token = secrets.token_urlsafe(32)
    store = Store(history)
    serve_custom_kinds(store)
    operations = Operations(store)
    enforcer = StatePusher(store, fabric)
    loops: list[Loop] = [
        enforcer,
        Kubelet(operations, fabric, enforcer),
        Namespaces(operations, own.certificate.decode()),
        GarbageCollector(operations),
        Deployments(operations),
        *(WorkloadController(operations, workload) for workload in WORKLOADS),
        Endpoints(operations),
    ]
    bootstrap(operations, fabric)
    routes = RequestRouter(operations, fabric, token)
    runner = web.ServerRunner(
        web.Server(
            routes.handle,
            handler_cancellation=True,
            request_factory=_request,
            access_log=None,
            max_line_size=_LONGEST_LINE,
            max_headers=_MOST_HEADERS,
            max_field_size=_LONGEST_HEADER,
            keepalive_timeout=_REQUEST_S,
        ),
        shutdown_timeout=0.5,
    )
    await runner.setup()
    url = f"https://127.0.0.1:{sock.getsockname()[1]}"
    sock = BoundedListener(sock, _MOST_CONNECTIONS)
    await web.SockSite(runner, sock, ssl_context=certs.context(own, home)).start()
    tasks = [asyncio.create_task(loop.run(), name=type(loop).__name__) for loop in loops]
    path = home / "kubeconfig"
    certs.write_private(path, certs.kubeconfig(f"netprobe-{name}", url, own.certificate, token))
    return Server(runner, tasks, path, store)
