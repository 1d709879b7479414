"""A command in a pod, over a websocket. `ExecSession` reads its frames and needs no socket.

The protocol (v4.channel.k8s.io, and v5 which only adds a frame that closes a channel): each binary message
is a channel number and data. 1 is standard output, 2 standard error, 3 the error channel, on which one
`Status` object says how the command ended. A frame border may cut a character, a line, or the Status.
Source: k8s.io/apimachinery/pkg/util/remotecommand, k8s.io/apiserver/pkg/util/wsstream.

The error channel is lost when the connection drops. Without it, it is not known what the command did, so the
status is None, and a script's own last line has to prove that it got to its end.
"""

from __future__ import annotations

import asyncio
import codecs
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Any, Final

import aiohttp

from netprobe.kube import errors
from netprobe.kube.resources import RESOURCES
from netprobe.kube.transport import EXECS, Transport
from netprobe.model.flow import PodRef
from netprobe.probe.api import ExecResult

STDIN, STDOUT, STDERR, ERROR = range(4)
_KEPT_STDERR: Final = 8192
_LONGEST_LINE: Final = 65536
_FREE_BYTES: Final = 4 * 2**20
"""What a command may print, besides _BYTES_A_BYTE for each byte that it is sent; a probe needs less."""
_BYTES_A_BYTE: Final = 64
_MESSAGE_BYTES: Final = 32768
_CLOSE_S = 2.0

_HANDSHAKE: Final = {
    400: "the container does not exist or has not started",
    403: "the server does not say more",
    404: "no such pod",
}
"""What the status of a refused exec means: the client does not keep the server's own words."""


class ExecSession:
    """One exec, fed with messages; lines of standard output come out."""

    def __init__(self) -> None:
        self._left = _FREE_BYTES
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._partial = ""
        self._stderr = bytearray()
        self._error = bytearray()
        self.finished: ExecResult | None = None

    @property
    def stderr(self) -> str:
        return self._stderr.decode("utf-8", "replace")

    def feed(self, message: bytes) -> list[str]:
        """Take one message; the lines of standard output that it completes, without their ends."""
        self._left -= len(message)
        if self._left < 0:
            self._refuse(f"it printed more than {_FREE_BYTES >> 20} MiB without being asked for it")
        if not message or self.finished is not None:
            return []
        channel, data = message[0], message[1:]
        if channel == STDOUT:
            return self._out(data)
        if channel == STDERR:
            self._stderr += data[: max(0, _KEPT_STDERR - len(self._stderr))]
        elif channel == ERROR:
            self._error += data
            if len(self._error) > _LONGEST_LINE:
                self._refuse("its status has no end")
            else:
                self.finished = _finished(bytes(self._error))
        return []

    def sent(self, size: int) -> None:
        """Count bytes of standard input: the command may answer them."""
        self._left += size * _BYTES_A_BYTE

    def _refuse(self, reason: str) -> None:
        """Read no more output: no probe's shell behaves like this."""
        self._partial = ""
        self.finished = self.finished or ExecResult(None, reason)

    def close(self) -> list[str]:
        """The connection ended. A last line without an end counts only if the command's end is known."""
        if self.finished is None:
            text = self._error.decode("utf-8", "replace")
            self.finished = ExecResult(
                None, f"cut status: {text[:200]}" if text else "the connection was lost"
            )
            return []
        rest = self._partial + self._decoder.decode(b"", final=True)
        self._partial = ""
        return [rest] if rest and self.finished.status is not None else []

    def _out(self, data: bytes) -> list[str]:
        *lines, self._partial = (self._partial + self._decoder.decode(data)).split("\n")
        if len(self._partial) > _LONGEST_LINE:
            self._refuse(f"it printed a line of more than {_LONGEST_LINE >> 10} KiB")
        return lines


def _finished(data: bytes) -> ExecResult | None:
    """Read the Status; None while it is not all there."""
    try:
        status: Any = json.loads(data)
    except ValueError:
        return None
    if not isinstance(status, dict):
        return ExecResult(None, f"unreadable status: {data[:200]!r}")
    if status.get("status") == "Success":
        return ExecResult(0)
    message = str(status.get("message") or status.get("reason") or "no message")
    causes = (status.get("details") or {}).get("causes") or []
    codes = [str(c.get("message")) for c in causes if isinstance(c, dict) and c.get("reason") == "ExitCode"]
    if codes and codes[0].isdecimal():
        return ExecResult(int(codes[0]), message)
    return ExecResult(None, message)  # the runtime could not start the command, or the pod is gone


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
                continue  # v4 is binary only; errors of the connection end the loop
            for line in self._session.feed(message.data):
                yield line
            if self._session.finished is not None:
                break  # the error channel comes last
        for line in self._session.close():
            yield line

    async def send(self, text: str) -> None:
        data = text.encode()
        self._session.sent(len(data))
        with errors.wire_errors(self._what, self._host):
            for start in range(0, len(data), _MESSAGE_BYTES):
                await self._socket.send_bytes(bytes([STDIN]) + data[start : start + _MESSAGE_BYTES])

    async def close(self) -> None:
        """Close the connection. One that does not close in time is dropped with the client."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_S):
                await self._socket.close()

    @property
    def socket(self) -> Any:
        """The socket below, as asyncio shows it."""
        return self._socket.get_extra_info("socket")

    @property
    def finished(self) -> ExecResult | None:
        return self._session.finished

    @property
    def stderr(self) -> str:
        return self._session.stderr


async def open_exec(
    transport: Transport, pod: PodRef, container: str, command: Sequence[str] | None, *, stdin: bool
) -> WebsocketExecution:
    """Start a command, tried again if it was not started. ClusterError: it was not started.

    None: attach to the container's own command.
    """

    async def once() -> WebsocketExecution:
        return await transport.renewed(lambda: _open(transport, pod, container, command, stdin=stdin))

    opened: WebsocketExecution = await EXECS(once)
    return opened


async def _open(
    transport: Transport, pod: PodRef, container: str, command: Sequence[str] | None, *, stdin: bool
) -> WebsocketExecution:
    subresource = "attach" if command is None else "exec"
    what = f"{subresource} in {pod} (create pods/{subresource})"
    await transport.limit.turn()
    # What CoreV1Api.connect_get_namespaced_pod_exec_without_preload_content does. Importing that class loads
    # the models of the whole API, which takes longer than everything else that a small run does.
    options = [("container", container), ("stdin", stdin), ("stdout", True), ("stderr", True)]
    client = transport.client
    _, url, headers, _, _ = await client.param_serialize(
        "GET",
        f"{RESOURCES['Pod'].path(pod.namespace, pod.name)}/{subresource}",
        query_params=[*(("command", word) for word in command or ()), *options],
        header_params={"Accept": "*/*"},
        auth_settings=["BearerToken"],
    )
    connection = (await client.call_api("GET", url, headers, _preload_content=False)).response
    with errors.wire_errors(what, transport.server):
        try:
            async with asyncio.timeout(transport.timeout_s):
                socket = await connection
        except aiohttp.WSServerHandshakeError as e:
            # The client does not keep the body, which would say more.
            message = _HANDSHAKE.get(e.status, "no message")
            raise errors.from_status(e.status, message, what=what, headers=e.headers or {}) from e
    return WebsocketExecution(socket, what, transport.server)
