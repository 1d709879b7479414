"""The servers on a pod's declared ports: sockets made in the pod's network namespace, served by the daemon.

TCP and UDP are echo servers. SCTP only listens, if the kernel has it. In the pods of the cluster's DNS,
port 53 answers DNS questions.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import functools
import socket
from collections.abc import Callable, Iterable, Sequence
from typing import cast

from netprobe.errors import LabError
from netprobe.lab.fabric import kernel
from netprobe.model.flow import ContainerPort, Protocol

Respond = Callable[[bytes, bool], bytes | None]
"""A DNS message, and whether it came as a datagram → the answer, if there is one."""

_BACKLOG = 4096
_DNS = 53
_KINDS = {
    Protocol.TCP: (socket.SOCK_STREAM, socket.IPPROTO_TCP),
    Protocol.UDP: (socket.SOCK_DGRAM, socket.IPPROTO_UDP),
    Protocol.SCTP: (socket.SOCK_STREAM, socket.IPPROTO_SCTP),
}
_ANYWHERE = {4: (socket.AF_INET, "0.0.0.0"), 6: (socket.AF_INET6, "::")}  # noqa: S104 (inside the pod)
_LOOPBACKS = {4: (socket.AF_INET, "127.0.0.1"), 6: (socket.AF_INET6, "::1")}
_NOT_IN_THIS_KERNEL = {errno.EPROTONOSUPPORT, errno.ESOCKTNOSUPPORT, errno.EAFNOSUPPORT}


class _Tcp(asyncio.Protocol):
    """Sends back what it receives, or answers DNS messages, each after its length (RFC 1035, 4.2.2)."""

    def __init__(self, open_ones: set[asyncio.BaseTransport], respond: Respond | None) -> None:
        self._open_ones = open_ones
        self._respond = respond
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._open_ones.add(transport)

    def connection_lost(self, _: Exception | None) -> None:
        self._open_ones.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        if self._respond is None:
            self._transport.write(data)
            return
        self._received += data
        while len(self._received) >= 2:
            end = 2 + int.from_bytes(self._received[:2])
            if len(self._received) < end:
                return
            message, self._received = self._received[2:end], self._received[end:]
            if (answer := self._respond(message, False)) is None:
                self._transport.close()
                return
            self._transport.write(len(answer).to_bytes(2) + answer)


class _Udp(asyncio.DatagramProtocol):
    """Answers each datagram with itself, or with what `respond` returns."""

    def __init__(self, respond: Respond | None) -> None:
        self._respond = respond

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        answer = data if self._respond is None else self._respond(data, True)
        if answer is not None:
            self._transport.sendto(answer, addr)


class Listeners:
    """The servers of one pod. They can be opened again after `close`."""

    def __init__(self) -> None:
        self._servers: list[asyncio.AbstractServer] = []
        self._transports: set[asyncio.BaseTransport] = set()
        self._sockets: list[socket.socket] = []

    async def open(
        self,
        network: int,
        ports: Sequence[ContainerPort],
        versions: Iterable[int],
        names: Respond | None = None,
        *,
        loopback: bool = False,
    ) -> None:
        """Listen on every port, of all addresses or of loopback only; `names` answers on the DNS port.

        LabError if a port is taken, by another pod on the network of the same node.
        """
        loop = asyncio.get_running_loop()
        kinds = {(port.protocol, port.number) for port in ports}
        hosts = _LOOPBACKS if loopback else _ANYWHERE
        families = [hosts[version] for version in versions]
        for protocol, bound in _bind(network, sorted(kinds, key=str), families):
            respond = names if bound.getsockname()[1] == _DNS else None
            if protocol is Protocol.TCP:
                made = functools.partial(_Tcp, self._transports, respond)
                self._servers.append(await loop.create_server(made, sock=bound, backlog=_BACKLOG))
            elif protocol is Protocol.UDP:
                transport, _ = await loop.create_datagram_endpoint(
                    functools.partial(_Udp, respond), sock=bound
                )
                self._transports.add(transport)
            else:
                self._sockets.append(bound)

    def close(self) -> None:
        for server in self._servers:
            server.close()
        for transport in tuple(self._transports):
            transport.close()
        for bound in self._sockets:
            bound.close()
        self._servers, self._transports, self._sockets = [], set(), []


def _bind(
    network: int, kinds: Iterable[tuple[Protocol, int]], families: Sequence[tuple[socket.AddressFamily, str]]
) -> list[tuple[Protocol, socket.socket]]:
    bound: list[tuple[Protocol, socket.socket]] = []
    with contextlib.ExitStack() as undo, kernel.inside(network):
        for protocol, port in kinds:
            for family, host in families:
                kind, number = _KINDS[protocol]
                try:
                    one = socket.socket(family, kind | socket.SOCK_NONBLOCK, number)
                except OSError as error:
                    if protocol is Protocol.SCTP and error.errno in _NOT_IN_THIS_KERNEL:
                        continue  # a probe of it fails for the same reason, and says so
                    raise
                undo.callback(one.close)
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, protocol is Protocol.TCP)
                if family == socket.AF_INET6:
                    one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                try:
                    one.bind((host, port))
                except OSError as error:
                    raise LabError(f"port {port}/{protocol.value} is taken: {error.strerror}") from error
                if protocol is not Protocol.UDP:
                    one.listen(_BACKLOG)
                bound.append((protocol, one))
        undo.pop_all()
    return bound
