"""The prober's view of a cluster, on the official client.

Objects stay dictionaries: the client's models drop the fields that they do not know. The client builds,
signs and sends requests; what comes back is read here.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, asynccontextmanager, suppress
from typing import Any

import aiohttp
import tenacity
from kubernetes.aio.stream import WsApiClient

from netprobe.errors import ClusterError, ConflictError, UnreachableError
from netprobe.kube import errors
from netprobe.kube.limit import RateLimit
from netprobe.kube.resources import RESOURCES
from netprobe.kube.stream import WebsocketExecution, open_exec
from netprobe.model.objects import Object
from netprobe.probe.api import LOST_S, Event, Execution

_PAGE = 500
_WATCH_S = 240  # how long one watch request lasts before it is asked again
_AT_ONCE = {"gracePeriodSeconds": 0}
_CLOSE_S = 2.0  # how long connections may take to say goodbye


def selector(labels: Mapping[str, str | None] | None) -> str | None:
    """A label selector as the API takes it; None as a value asks for the key alone."""
    if not labels:
        return None
    return ",".join(key if value is None else f"{key}={value}" for key, value in labels.items())


def _is_open(socket: Any) -> bool:
    return bool(socket.fileno() != -1)


def _parsed(text: str | bytes, what: str, server: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as e:
        raise ClusterError(f"cannot {what}: {server} answers, but not in JSON: is it an API server?") from e


def _worth_another_try(error: BaseException) -> bool:
    return isinstance(error, errors.ApiStatusError) and error.status in {429, 503}


def _polite_wait(state: tenacity.RetryCallState) -> float:
    """As long as the server asks for (at most 30 s), else 0.2 s, doubled each time."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after_s if isinstance(error, errors.ApiStatusError) else None
    return min(30.0, asked) if asked is not None else float(min(5.0, 0.2 * 2 ** (state.attempt_number - 1)))


RETRY = tenacity.AsyncRetrying(
    retry=tenacity.retry_if_exception(_worth_another_try),
    wait=_polite_wait,
    stop=tenacity.stop_after_attempt(6),
    reraise=True,
)
"""429 and 503 say that nothing was done, so every verb may be repeated after them."""


class KubeCluster:
    """Implements probe's ClusterAPI. Made by `netprobe.kube.connect`.

    `context` is the name of the kubeconfig's context, where it has one.
    `reload` renews the credentials (an expired token of an exec plugin); asked once for each 401.
    `lost_s`: for how long a watch goes on that reaches nobody.
    """

    def __init__(
        self,
        client: WsApiClient,
        *,
        context: str | None = None,
        request_timeout_s: float = 30.0,
        limit: RateLimit | None = None,
        retry: tenacity.AsyncRetrying = RETRY,
        reload: Callable[[], Awaitable[None]] | None = None,
        lost_s: float = LOST_S,
    ) -> None:
        self.context = context
        self._client = client
        self._timeout_s = request_timeout_s
        self._limit = limit or RateLimit(50, 100)
        self._retry = retry
        self._reload = reload
        self._lost_s = lost_s
        self._answered = 0.0  # when the server last answered anything, by the loop's clock
        self._sockets: set[Any] = set()  # of the connections that were not given back to the pool

    @property
    def server(self) -> str:
        """The URL of the API server."""
        return str(self._client.configuration.host)

    async def get(self, kind: str, name: str, namespace: str | None = None) -> Object:
        return await self._ask("GET", kind, namespace, name)

    async def find(
        self, kind: str, namespace: str | None = None, labels: Mapping[str, str | None] | None = None
    ) -> list[Object]:
        return (await self._list(kind, namespace, labels))[0]

    async def create(self, obj: Object) -> Object:
        meta = obj["metadata"]
        return await self._ask("POST", obj["kind"], meta.get("namespace"), body=obj, subject=meta.get("name"))

    async def replace(self, obj: Object) -> Object:
        meta = obj["metadata"]
        return await self._ask("PUT", obj["kind"], meta.get("namespace"), meta["name"], body=obj)

    async def apply(self, obj: Object) -> Object:
        meta = obj["metadata"]
        for _ in range(3):
            try:
                return await self.create(obj)
            except ConflictError:
                current = await self.get(obj["kind"], meta["name"], meta.get("namespace"))
            version = current["metadata"]["resourceVersion"]
            with suppress(ConflictError):
                return await self.replace({**obj, "metadata": {**meta, "resourceVersion": version}})
        raise ConflictError(f"{obj['kind']} {meta['name']}: somebody else changes it all the time")

    async def patch(self, kind: str, name: str, namespace: str | None, patch: Object) -> Object:
        return await self._ask("PATCH", kind, namespace, name, body=patch)

    async def delete(
        self, kind: str, name: str, namespace: str | None = None, *, at_once: bool = False
    ) -> None:
        await self._ask("DELETE", kind, namespace, name, query=_AT_ONCE if at_once else None)

    async def delete_all(
        self, kind: str, namespace: str, labels: Mapping[str, str | None], *, unstarted: bool = False
    ) -> None:
        narrowed = {**_AT_ONCE, "fieldSelector": "status.phase=Pending"} if unstarted else {}
        await self._ask("DELETE", kind, namespace, query={"labelSelector": selector(labels), **narrowed})

    async def watch(
        self, kind: str, namespace: str | None = None, labels: Mapping[str, str | None] | None = None
    ) -> AsyncGenerator[Event, None]:
        now = asyncio.get_running_loop().time
        lost: float | None = None  # since when nobody was reached
        while True:  # from the start, and again where the version that we knew is gone (410)
            objects, version = await self._list(kind, namespace, labels)
            for obj in objects:
                yield Event("ADDED", obj)
            while version:
                try:
                    async with aclosing(self._watch_once(kind, namespace, labels, version)) as events:
                        async for event in events:
                            if event.type == "ERROR":
                                version = ""
                                break
                            version = event.object["metadata"]["resourceVersion"]
                            if event.type != "BOOKMARK":
                                yield event
                except UnreachableError:  # a watch that breaks is asked again, from where it was
                    lost = now() if lost is None or self._answered > lost else lost
                    if now() - lost >= self._lost_s:
                        raise
                await asyncio.sleep(0.1)  # a server that ends watches at once is not asked in a busy loop

    @asynccontextmanager
    async def exec(
        self, namespace: str, pod: str, container: str, command: Sequence[str], *, stdin: bool = True
    ) -> AsyncIterator[Execution]:
        def opening() -> AbstractAsyncContextManager[WebsocketExecution]:
            where = namespace, pod, container
            return open_exec(
                self._client, self._limit, where, command, stdin=stdin, timeout_s=self._timeout_s
            )

        async with AsyncExitStack() as stack:
            try:
                execution = await stack.enter_async_context(opening())
            except errors.UnauthorizedError:
                if self._reload is None:
                    raise
                await self._reload()
                execution = await stack.enter_async_context(opening())
            self._opened(execution.socket)
            yield execution

    async def raw(self, path: str) -> Any:
        """GET a path that is no resource ("/version") and read its JSON."""
        async with self._response("GET", path, f"get {path}") as response:
            return _parsed(await response.text(), f"get {path}", self.server)

    async def _list(
        self, kind: str, namespace: str | None, labels: Mapping[str, str | None] | None
    ) -> tuple[list[Object], str]:
        objects: list[Object] = []
        query: dict[str, Any] = {"limit": _PAGE, "labelSelector": selector(labels)}
        while True:
            page = await self._ask("GET", kind, namespace, query=query)
            objects += [
                {"apiVersion": RESOURCES[kind].api_version, "kind": kind, **o}
                for o in page.get("items") or ()
            ]
            query["continue"] = page["metadata"].get("continue")
            if not query["continue"]:
                return objects, str(page["metadata"].get("resourceVersion") or "")

    async def _watch_once(
        self, kind: str, namespace: str | None, labels: Mapping[str, str | None] | None, version: str
    ) -> AsyncGenerator[Event, None]:
        query = {
            "watch": "true",
            "resourceVersion": version,
            "timeoutSeconds": _WATCH_S,
            "allowWatchBookmarks": "true",
            "labelSelector": selector(labels),
        }
        resource = RESOURCES[kind]
        what = f"watch {resource.plural}" + (f" in {namespace}" if namespace else "")
        path = resource.path(namespace)
        async with self._response("GET", path, what, query=query, timeout_s=_WATCH_S + 30) as response:
            if response.connection and response.connection.transport:
                self._opened(response.connection.transport.get_extra_info("socket"))
            with errors.told(what, self.server):
                async for line in response.content:
                    event = _parsed(line, what, self.server)
                    yield Event(event["type"], event["object"])

    async def _ask(
        self,
        method: str,
        kind: str,
        namespace: str | None = None,
        name: str | None = None,
        *,
        body: Object | None = None,
        query: Mapping[str, Any] | None = None,
        subject: str | None = None,
    ) -> Object:
        resource = RESOURCES[kind]
        what = errors.of_request(method, resource.plural, namespace, name or subject)
        path = resource.path(namespace, name)

        async def once() -> Object:
            async with self._response(method, path, what, query=query, body=body) as response:
                with errors.told(what, self.server):
                    answer = _parsed(await response.text(), what, self.server)
                if not isinstance(answer, dict):
                    raise ClusterError(f"cannot {what}: the answer is no object")
                return answer

        result: Object = await self._retry(once)
        return result

    @asynccontextmanager
    async def _response(
        self,
        method: str,
        path: str,
        what: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Object | None = None,
        timeout_s: float | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A response whose status is a success; any other is raised. Renews credentials once on a 401."""
        response = await self._send(method, path, what, query or {}, body, timeout_s)
        if response.status == 401 and self._reload is not None:
            response.release()
            await self._reload()
            response = await self._send(method, path, what, query or {}, body, timeout_s)
        try:
            if response.status >= 400:
                with errors.told(what, self.server):
                    text = await response.text()
                raise errors.from_status(response.status, text, what=what, headers=response.headers)
            yield response
        finally:
            response.release()

    async def _send(  # noqa: PLR0917  private, and called in one place
        self,
        method: str,
        path: str,
        what: str,
        query: Mapping[str, Any],
        body: Object | None,
        timeout_s: float | None,
    ) -> aiohttp.ClientResponse:
        await self._limit.turn()
        headers = {"Accept": "application/json"}
        if method == "PATCH":
            headers["Content-Type"] = "application/merge-patch+json"
        _, url, headers, body, _ = await self._client.param_serialize(
            method,
            path,
            query_params=[(k, v) for k, v in query.items() if v is not None],
            header_params=headers,
            body=body,
            auth_settings=["BearerToken"],
        )
        timeout = aiohttp.ClientTimeout(total=timeout_s or self._timeout_s, sock_connect=10)
        with errors.told(what, self.server):
            answer = await self._client.rest_client.request(
                method, url, headers=headers, body=body, _request_timeout=timeout
            )
        self._answered = asyncio.get_running_loop().time()
        response: aiohttp.ClientResponse = answer.response
        return response

    async def close(self) -> None:
        """Close all connections, and wait for those that aiohttp leaves to end by themselves."""
        await self._client.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_S):
                await asyncio.sleep(0)
                while any(map(_is_open, self._sockets)):  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(0.005)

    def _opened(self, socket: Any) -> None:
        """Remember the socket of a connection that is used for one thing and then closed."""
        self._sockets = {socket, *filter(_is_open, self._sockets)}
