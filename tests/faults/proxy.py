"""A proxy in front of an API server that fails a share of the requests, by a seed.

A request fails before it reaches the server, or after it took effect: the answer has another status, is cut
off, or does not come. A watch is refused, is cut within an event, sends an event twice, or says that its
version is too old. An exec does not open, or its connection breaks.
"""

from __future__ import annotations

import asyncio
import base64
import random
import ssl
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp
import yaml
from aiohttp import web

BEFORE: Final = ("429", "500", "502", "503", "cut")
"""Faults of which the server learns nothing."""

AFTER: Final = ("500", "502", "504", "cut", "short", "half")
"""Faults of requests that have taken effect: "short" says how long it is, "half" looks whole."""

WATCH: Final = ("410", "500", "cut", "twice", "expired")
EXEC: Final = ("500", "cut", "broken")

_LARGEST: Final = 64 * 2**20
_HOP_BY_HOP: Final = {"connection", "content-length", "content-encoding", "host", "transfer-encoding"}


@dataclass
class FaultProxy:
    """Forwards to a server. `rate`: the share of requests that fail; `counts`: of faults, by kind."""

    server: str
    tls: ssl.SSLContext
    rate: float
    random: random.Random
    requests: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    _session: aiohttp.ClientSession = field(init=False)

    def _fault(self, kinds: tuple[str, ...], what: str) -> str:
        """The fault of this request; "" for none."""
        self.requests += 1
        if self.random.random() >= self.rate:
            return ""
        fault = self.random.choice(kinds)
        self.counts[f"{what}: {fault}"] += 1
        return fault

    async def handle(self, request: web.Request) -> web.StreamResponse:
        try:
            return await self._forward(request)
        except (ConnectionError, aiohttp.ClientError):  # the client has gone, or the server
            _cut(request)
            return web.StreamResponse()

    async def _forward(self, request: web.Request) -> web.StreamResponse:
        headers = {k: v for k, v in request.headers.items() if k.lower() not in _HOP_BY_HOP}
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._exec(request, headers)
        if "watch" in request.query:
            return await self._watch(request, headers)
        body = await request.read()
        late = self.random.random() < 0.5
        when, kinds = ("after", AFTER) if late else ("before", BEFORE)
        fault = self._fault(kinds, f"{request.method} {when}")
        if fault and not late:
            return _refused(request, fault)
        async with self._session.request(
            request.method, self.server + request.raw_path, headers=headers, data=body, ssl=self.tls
        ) as answer:
            data = await answer.read()
            if fault in {"short", "half"} and len(data) < 2:
                fault = "cut"
            if fault == "short":
                return await _short(request, answer.status, data)
            if fault and fault != "half":
                return _refused(request, fault)
            data = data[: len(data) // 2] if fault else data
            return web.Response(status=answer.status, body=data, content_type="application/json")

    async def _watch(self, request: web.Request, headers: dict[str, str]) -> web.StreamResponse:
        fault = self._fault(WATCH, "watch")
        if fault in {"410", "500"}:
            return _refused(request, fault)
        url = self.server + request.raw_path
        async with self._session.get(url, headers=headers, ssl=self.tls) as answer:
            response = web.StreamResponse(status=answer.status)
            await response.prepare(request)
            after = self.random.randrange(5)
            async for line in answer.content:
                if not fault or after:
                    await response.write(line)
                elif fault == "twice":
                    await response.write(line * 2)
                elif fault == "expired":
                    await response.write(b'{"type": "ERROR", "object": {"kind": "Status", "code": 410}}\n')
                    return response
                else:
                    await response.write(line[: len(line) // 2])
                    _cut(request)
                    return response
                after -= 1
            return response

    async def _exec(self, request: web.Request, headers: dict[str, str]) -> web.StreamResponse:
        fault = self._fault(EXEC, "exec")
        if fault in {"500", "cut"}:
            return _refused(request, fault)
        left = self.random.randrange(12) if fault else -1
        headers = {k: v for k, v in headers.items() if not k.lower().startswith(("sec-", "upgrade"))}
        protocols = [p.strip() for p in request.headers.get("Sec-WebSocket-Protocol", "").split(",")]
        url = self.server + request.raw_path
        upstream = self._session.ws_connect(
            url, headers=headers, protocols=protocols, ssl=self.tls, max_msg_size=_LARGEST
        )
        async with upstream as theirs:
            ours = web.WebSocketResponse(protocols=protocols, max_msg_size=_LARGEST)
            await ours.prepare(request)

            async def copy(source: Any, sink: Any) -> None:
                nonlocal left
                async for message in source:
                    if message.type is not aiohttp.WSMsgType.BINARY:
                        continue
                    if left == 0:
                        _cut(request)
                        return
                    left -= 1
                    await sink.send_bytes(message.data)

            copies = [asyncio.create_task(copy(theirs, ours)), asyncio.create_task(copy(ours, theirs))]
            await asyncio.wait(copies, return_when=asyncio.FIRST_COMPLETED)
            for task in copies:
                task.cancel()
            await asyncio.gather(*copies, return_exceptions=True)
            with suppress(ConnectionError):
                await ours.close()
            return ours


def _cut(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


def _refused(request: web.Request, fault: str) -> web.StreamResponse:
    if fault == "cut":
        _cut(request)
        return web.StreamResponse()
    status = {"kind": "Status", "message": f"a fault on demand: {fault}", "code": int(fault)}
    return web.json_response(status, status=int(fault))


async def _short(request: web.Request, status: int, data: bytes) -> web.StreamResponse:
    response = web.StreamResponse(status=status, headers={"Content-Type": "application/json"})
    response.content_length = len(data)
    await response.prepare(request)
    await response.write(data[: len(data) // 2])
    _cut(request)
    return response


@asynccontextmanager
async def faulty(
    kubeconfig: Path, folder: Path, *, rate: float, seed: int
) -> AsyncIterator[tuple[FaultProxy, Path]]:
    """A proxy in front of a kubeconfig's cluster, and a kubeconfig in `folder` that uses it."""
    config = yaml.safe_load(await asyncio.to_thread(kubeconfig.read_text))
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    tls = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    if "client-certificate-data" in user:
        with tempfile.NamedTemporaryFile() as pem:
            for part in ("client-certificate-data", "client-key-data"):
                pem.write(base64.b64decode(user.pop(part)))
            pem.flush()
            tls.load_cert_chain(pem.name)
    proxy = FaultProxy(cluster["server"], tls, rate, random.Random(seed))  # noqa: S311 (not a secret)
    proxy._session = aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=None),
        connector=aiohttp.TCPConnector(limit=0),
    )
    app = web.Application(client_max_size=_LARGEST)
    app.router.add_route("*", "/{path:.*}", proxy.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None, max_line_size=2**20)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    config["clusters"][0]["cluster"] = {"server": f"http://{host}:{port}"}
    path = folder / "faulty.kubeconfig"
    await asyncio.to_thread(path.write_text, yaml.safe_dump(config))
    try:
        yield proxy, path
    finally:
        await proxy._session.close()
        await runner.cleanup()
