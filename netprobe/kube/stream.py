"""An exec over a websocket: the connection, with the frames left to `netprobe.kube.exec`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from netprobe.kube import errors
from netprobe.kube.exec import STDIN, ExecSession
from netprobe.kube.limit import RateLimit
from netprobe.kube.resources import RESOURCES
from netprobe.probe.api import Finished

_CLOSE_S = 2.0
_SAID = {
    400: "the container is not there, or has not started",
    403: "the server does not say more",
    404: "there is no such pod",
}


class WebsocketExecution:
    """Implements probe's Execution on an open websocket."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, what: str, host: str) -> None:
        self._socket = socket
        self._what = what
        self._host = host
        self._session = ExecSession()

    async def lines(self) -> AsyncIterator[str]:
        async for message in self._socket:
            if message.type is not aiohttp.WSMsgType.BINARY:
                continue  # v4 speaks binary only; errors of the connection end the loop
            for line in self._session.feed(message.data):
                yield line
            if self._session.finished is not None:
                break  # the error channel comes last
        for line in self._session.close():
            yield line

    async def send(self, text: str) -> None:
        data = text.encode()
        with errors.told(self._what, self._host):
            for at in range(0, len(data), 32768):
                await self._socket.send_bytes(bytes([STDIN]) + data[at : at + 32768])

    @property
    def socket(self) -> Any:
        """The socket below, as asyncio shows it."""
        return self._socket.get_extra_info("socket")

    @property
    def finished(self) -> Finished | None:
        return self._session.finished

    @property
    def stderr(self) -> str:
        return self._session.stderr


@asynccontextmanager
async def open_exec(
    client: Any,
    limit: RateLimit,
    where: tuple[str, str, str],
    command: Sequence[str],
    *,
    stdin: bool,
    timeout_s: float,
) -> AsyncIterator[WebsocketExecution]:
    """Start a command in `where`: namespace, pod, container. ClusterError: it was not started."""
    namespace, pod, container = where
    what = f"exec in {namespace}/{pod} (create pods/exec)"
    host = str(client.configuration.host)
    await limit.turn()
    # What CoreV1Api.connect_get_namespaced_pod_exec_without_preload_content does. Importing that class loads
    # the models of the whole API, which takes longer than everything else that a small run does.
    options = [("container", container), ("stdin", stdin), ("stdout", True), ("stderr", True)]
    _, url, headers, _, _ = await client.param_serialize(
        "GET",
        RESOURCES["Pod"].path(namespace, pod) + "/exec",
        query_params=[*(("command", word) for word in command), *options],
        header_params={"Accept": "*/*"},
        auth_settings=["BearerToken"],
    )
    connection = (await client.call_api("GET", url, headers, _preload_content=False)).response
    with errors.told(what, host):
        try:
            async with asyncio.timeout(timeout_s):
                socket = await connection
        except aiohttp.WSServerHandshakeError as e:
            # The body, which would say more, is not kept by the client.
            said = _SAID.get(e.status, "no message")
            raise errors.from_status(e.status, said, what=what, headers=e.headers or {}) from e
    try:
        yield WebsocketExecution(socket, what, host)
    finally:
        # Not shielded: a socket that does not close in time is dropped with the session.
        try:
            async with asyncio.timeout(_CLOSE_S):
                await socket.close()
        except TimeoutError:
            pass
