"""A server on loopback over a fabric in memory, and a client that speaks plain HTTP to it.

There is one server for each worker of the tests, and each test has a namespace of its own.
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from netprobe.lab.api.server import Server, serve
from netprobe.lab.fabric.state import NetworkState
from netprobe.model.flow import PodRef
from netprobe.model.objects import Object
from tests.lab.api.memory import MemoryFabric

DEADLINE_S = 60.0


_NUMBERS = count(1)


class Api:
    """Requests to the server; answers are JSON. `get("/api/v1/pods")` raises if the status is not 2xx.

    In a path, {namespace} is the namespace of the test.
    """

    def __init__(
        self, session: aiohttp.ClientSession, server: Server, fabric: MemoryFabric, namespace: str = "default"
    ) -> None:
        self.session = session
        self.server = server
        self.fabric = fabric
        self.namespace = namespace
        self._changed = asyncio.Event()
        server.store.listen(lambda _: self._changed.set())

    def path(self, path: str) -> str:
        return path.replace("{namespace}", self.namespace)

    def ref(self, name: str) -> PodRef:
        return PodRef(self.namespace, name)

    @property
    def placed(self) -> set[str]:
        """The pods of the test that are in the network."""
        return {ref.name for ref in self.fabric.placed if ref.namespace == self.namespace}

    async def enforced(self, holds: Callable[[NetworkState], Any]) -> None:
        """Wait for a state of the network."""
        async with asyncio.timeout(DEADLINE_S):
            while not holds(self.fabric.state):
                self.fabric.enforced.clear()
                await self.fabric.enforced.wait()

    async def removed(self) -> None:
        """Wait until the network has no pod of this test."""
        await self.enforced(lambda state: all(ref.namespace != self.namespace for ref in state.members))
        assert self.placed == set()

    async def ask(
        self, method: str, path: str, body: Any = None, *, kind: str = "application/json", **query: str
    ) -> tuple[int, Object]:
        content = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
        data = None if content is None else io.BytesIO(content)
        headers = {"Content-Type": kind}
        async with self.session.request(
            method, self.path(path), data=data, headers=headers, params=query
        ) as response:
            return response.status, await response.json()

    async def ok(self, method: str, path: str, body: Any = None, **query: str) -> Object:
        status, answer = await self.ask(method, path, body, **query)
        assert status < 300, answer
        return answer

    async def fails(self, method: str, path: str, body: Any = None, **query: str) -> Object:
        """The Status of a refusal; its code is that of the response."""
        status, answer = await self.ask(method, path, body, **query)
        assert answer["kind"] == "Status"
        assert answer["status"] == "Failure"
        assert answer["code"] == status
        return answer

    async def get(self, path: str, **query: str) -> Object:
        return await self.ok("GET", path, **query)

    async def create_namespace(self, name: str, **labels: str) -> Object:
        metadata = {"name": name, "labels": labels}
        return await self.ok("POST", "/api/v1/namespaces", {"metadata": metadata})

    async def pod(self, name: str, spec: Object | None = None, **metadata: Any) -> Object:
        container = {"name": "c", "image": "x", "ports": [{"containerPort": 80, "name": "http"}]}
        body = {"metadata": {"name": name, **metadata}, "spec": {"containers": [container], **(spec or {})}}
        return await self.ok("POST", "/api/v1/namespaces/{namespace}/pods", body)

    async def until(self, path: str, holds: Callable[[Object], Any], **query: str) -> Object:
        """Read a path at each change of the store until something holds."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                self._changed.clear()
                status, answer = await self.ask("GET", path, **query)
                if status != 404 and holds(answer):
                    return answer
                await self._changed.wait()

    async def gone(self, path: str) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while True:
                self._changed.clear()
                if (await self.ask("GET", path))[0] == 404:
                    return
                await self._changed.wait()

    async def ready(self, name: str) -> Object:
        """The pod, once it is."""

        def holds(pod: Object) -> bool:
            conditions = pod["status"].get("conditions", ())
            return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)

        return await self.until(f"/api/v1/namespaces/{self.namespace}/pods/{name}", holds)


@asynccontextmanager
async def running(home: Path, *, fabric: MemoryFabric | None = None, **options: Any) -> AsyncIterator[Api]:
    fabric = fabric or MemoryFabric()
    sock = socket.create_server(("127.0.0.1", 0))
    server = await serve(sock, fabric, "test", home, **options)
    config = json.loads(server.kubeconfig.read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    ca = base64.b64decode(cluster["certificate-authority-data"]).decode()
    connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cadata=ca))
    headers = {"Authorization": f"Bearer {user['token']}"}
    try:
        async with aiohttp.ClientSession(cluster["server"], connector=connector, headers=headers) as session:
            yield Api(session, server, fabric)
    finally:
        await server.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    async with running(tmp_path_factory.mktemp("lab")) as started:
        yield started


@pytest_asyncio.fixture(loop_scope="session")
async def api(shared: Api) -> AsyncIterator[Api]:
    made = Api(shared.session, shared.server, shared.fabric, f"t{next(_NUMBERS)}")
    await made.create_namespace(made.namespace)
    yield made
    await made.ask("DELETE", "/api/v1/namespaces/{namespace}")


@pytest_asyncio.fixture(loop_scope="session")
async def pod(api: Api) -> Api:
    """With a pod p that is ready."""
    await api.pod("p")
    await api.ready("p")
    return api


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The coroutines of this folder share an event loop, and so the server."""
    for item in items:
        if Path(__file__).parent in item.path.parents and pytest_asyncio.is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)
