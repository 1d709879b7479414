"""An API server that says what a test tells it to, over real HTTP, and a kubeconfig for it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from aiohttp import web

from netprobe.kube import connect
from netprobe.kube.client import KubeCluster

TOKEN = "t0ken-of-the-test"  # noqa: S105  a word to look for in messages
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Asked:
    """The requests that arrived: "GET /path?query"."""

    requests: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)


def write_kubeconfig(path: Path, server: str, token: str = TOKEN) -> Path:
    path.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "test",
                "clusters": [{"name": "c", "cluster": {"server": server}}],
                "users": [{"name": "u", "user": {"token": token}}],
                "contexts": [{"name": "test", "context": {"cluster": "c", "user": "u"}}],
            }
        )
    )
    return path


@asynccontextmanager
async def serving(handler: Handler, folder: Path) -> AsyncIterator[tuple[KubeCluster, Asked]]:
    asked = Asked()

    async def take(request: web.Request) -> web.StreamResponse:
        asked.requests.append(f"{request.method} {request.path_qs}")
        asked.headers.append(dict(request.headers))
        return await handler(request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    try:
        kubeconfig = write_kubeconfig(folder / "kubeconfig", f"http://{host}:{port}")
        async with connect(kubeconfig, request_timeout_s=60) as cluster:
            yield cluster, asked
    finally:
        await runner.cleanup()
