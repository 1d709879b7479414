"""The lab's API server: store, routes and controllers behind one TLS socket.

It makes its own certificate, and the kubeconfig that trusts it.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import secrets
import socket
import ssl
import weakref
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import RawRequestMessage
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestHandler
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from netprobe.lab.api.admission import serve_custom_kinds
from netprobe.lab.api.bootstrap import bootstrap
from netprobe.lab.api.operations import Operations
from netprobe.lab.api.routes import RequestRouter
from netprobe.lab.api.store import Store
from netprobe.lab.controllers.base import Controller
from netprobe.lab.controllers.cleanup import GarbageCollector, Namespaces
from netprobe.lab.controllers.deployments import Deployments
from netprobe.lab.controllers.endpoints import Endpoints
from netprobe.lab.controllers.workloads import WORKLOADS, WorkloadController
from netprobe.lab.fabric.state import Fabric
from netprobe.lab.kubelet import Kubelet
from netprobe.lab.state_pusher import StatePusher

_LIFETIME = timedelta(days=365)
_SUBJECT = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "netprobe-lab")])
_HOST_NAMES = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")
_HOST_ADDRESSES = ("127.0.0.1", "::1", "10.96.0.1")


@dataclass(frozen=True, slots=True)
class Certificate:
    """PEM texts. The certificate is self-signed: clients trust it as their only authority."""

    certificate: bytes
    key: bytes


def make_certificate() -> Certificate:
    """A new key and certificate for loopback."""
    now = datetime.now(UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in _HOST_NAMES]
    names += [x509.IPAddress(ip_address(address)) for address in _HOST_ADDRESSES]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(_SUBJECT)
        .issuer_name(_SUBJECT)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + _LIFETIME)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return Certificate(certificate.public_bytes(pem), private)


def _tls_context(own: Certificate, home: Path) -> ssl.SSLContext:
    """A server's TLS context. The ssl module reads files only, so both are in `home` for a moment."""
    path = home / "server.pem"
    _write_private(path, own.key + own.certificate)
    try:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.minimum_version = ssl.TLSVersion.TLSv1_2
        tls.load_cert_chain(path)
        tls.set_alpn_protocols(["http/1.1"])
        return tls
    finally:
        path.unlink()


def _write_private(path: Path, data: bytes) -> None:
    """Write a file of mode 0600 atomically."""
    temporary = path.with_name(f".{path.name}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(data)
    temporary.replace(path)


def _kubeconfig(name: str, url: str, ca: bytes, token: str) -> bytes:
    """A kubeconfig (JSON, which is YAML) with one context."""
    cluster = {"server": url, "certificate-authority-data": base64.b64encode(ca).decode()}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": {"token": token}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": "default"}}],
        "current-context": name,
        "preferences": {},
    }
    return json.dumps(config, indent=2).encode() + b"\n"


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


@dataclass(frozen=True, slots=True)
class Server:
    """A running API server. `store` is there for tests and benchmarks."""

    runner: web.ServerRunner
    tasks: list[asyncio.Task[None]]
    kubeconfig: Path
    store: Store

    async def close(self) -> None:
        """Stop answering and stop the controllers; the pods belong to the fabric and stay."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.runner.cleanup()
        with contextlib.suppress(FileNotFoundError):
            self.kubeconfig.unlink()


async def serve(
    sock: socket.socket, fabric: Fabric, name: str, home: Path, *, history: int = 10_000
) -> Server:
    """Serve the API on a bound loopback socket; write `home`/kubeconfig (mode 0600) with token and CA.

    Returns once it answers and the nodes and first namespaces exist. `history` is how many changes of a kind
    a watcher may be behind (see store.py).
    """
    own = make_certificate()
    token = secrets.token_urlsafe(32)
    store = Store(history)
    serve_custom_kinds(store)
    operations = Operations(store)
    enforcer = StatePusher(store, fabric)
    loops: list[StatePusher | Controller[Any]] = [
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
    await web.SockSite(runner, sock, ssl_context=_tls_context(own, home)).start()
    tasks = [asyncio.create_task(loop.run(), name=type(loop).__name__) for loop in loops]
    path = home / "kubeconfig"
    _write_private(path, _kubeconfig(f"netprobe-{name}", url, own.certificate, token))
    return Server(runner, tasks, path, store)
