"""The prober's view of a cluster, on the official client.

Objects stay dictionaries: the client's models drop fields that they do not know. The client builds, signs
and sends requests; what comes back is read here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, suppress
from typing import Any, Final

import aiohttp
from kubernetes.aio.stream import WsApiClient

from netprobe.errors import ClusterError, ConflictError, NotFoundError, UnreachableError
from netprobe.kube import errors
from netprobe.kube.exec import open_exec
from netprobe.kube.resources import RESOURCES, ServedKinds
from netprobe.kube.transport import TRIES, RateLimit, Request, Transport
from netprobe.model.flow import PodRef
from netprobe.model.objects import Object
from netprobe.probe.api import LOST_S, Event, Execution
from netprobe.probe.deciding import key_of
from netprobe.probe.ownership import TOKEN

_PAGE: Final = 500
_WATCH_S: Final = 240  # how long one watch request lasts before the next
_LONGEST_EVENT: Final = 16 * 2**20  # bytes; etcd takes objects of 1.5 MiB
_APPLY_TRIES: Final = 5
_AT_ONCE: Final = {"gracePeriodSeconds": 0}
_CLOSE_S: Final = 2.0  # how long connections may take to close


def selector(labels: Mapping[str, str | None] | None) -> str | None:
    """A label selector as the API takes it; None as a value asks for the key alone."""
    if not labels:
        return None
    return ",".join(key if value is None else f"{key}={value}" for key, value in labels.items())


def _token(obj: Object) -> str | None:
    """The token of the run that the object says it belongs to."""
    token = (obj["metadata"].get("annotations") or {}).get(TOKEN)
    return str(token) if token else None


async def _lines(response: aiohttp.ClientResponse, what: str) -> AsyncIterator[bytes]:
    """The lines of a stream. CutAnswerError if the last one has no end, or one is longer than any object."""
    rest = b""
    async for piece in response.content.iter_any():
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            yield line
        if len(rest) > _LONGEST_EVENT:
            break
    if rest:
        raise errors.CutAnswerError(what)


def _is_open(socket: Any) -> bool:
    return bool(socket.fileno() != -1)


class KubeCluster:
    """Implements probe's ClusterAPI. Made by `netprobe.kube.connect`.

    `context` is the name of the kubeconfig's context, if it has one. `reload` renews the credentials.
    """

    def __init__(
        self,
        client: WsApiClient,
        *,
        context: str | None,
        request_timeout_s: float,
        limit: RateLimit,
        reload: Callable[[], Awaitable[None]],
    ) -> None:
        self.context = context
        self._transport = Transport(client=client, timeout_s=request_timeout_s, limit=limit, reload=reload)
        self._served = ServedKinds(self.raw)
        self._sockets: set[Any] = set()  # of the connections that are used once and then closed

    @property
    def server(self) -> str:
        """The URL of the API server."""
        return self._transport.server

    async def get(self, kind: str, name: str, namespace: str | None = None) -> Object:
        return await self._request("GET", kind, namespace, name)

    async def find(
        self, kind: str, namespace: str | None = None, labels: Mapping[str, str | None] | None = None
    ) -> list[Object]:
        return (await self._list(kind, namespace, labels))[0]

    async def served(self, kind: str) -> str:
        return (await self._served.resource(kind)).api_version

    async def create(self, obj: Object) -> Object:
        if RESOURCES[key_of(obj)].is_review:
            return await self._post(obj, twice=True)
        if _token(obj) is None:  # nothing would show that the object is ours
            return await self._post(obj)
        failure: ClusterError | None = None  # of the request before

        async def once() -> Object:
            nonlocal failure
            refused = isinstance(failure, errors.ApiStatusError) and failure.did_nothing
            if failure and not refused and (made := await self._made(obj)):
                return made
            try:
                return await self._post(obj, tries=1)
            except ConflictError:
                if failure and (made := await self._made(obj)):
                    return made
                raise
            except ClusterError as e:
                failure = e
                raise

        return await self._transport.repeated(once, twice=True)

    async def ensure(self, obj: Object) -> None:
        with suppress(ConflictError):
            await self._post(obj, twice=True)

    async def _post(self, obj: Object, *, twice: bool = False, tries: int = TRIES) -> Object:
        return await self._request(
            "POST", key_of(obj), obj["metadata"].get("namespace"), body=obj, twice=twice, tries=tries
        )

    async def _made(self, obj: Object) -> Object | None:
        """The object as it is, if an earlier request created it: it has the same token and is not going."""
        meta = obj["metadata"]
        with suppress(NotFoundError):
            found = await self.get(key_of(obj), meta["name"], meta.get("namespace"))
            if _token(found) == _token(obj) and "deletionTimestamp" not in found["metadata"]:
                return found
        return None

    async def replace(self, obj: Object) -> Object:
        meta = obj["metadata"]
        return await self._request(
            "PUT", key_of(obj), meta.get("namespace"), meta["name"], body=obj, twice="resourceVersion" in meta
        )

    async def apply(self, obj: Object, *, may_replace: Callable[[Object], bool] = lambda _: True) -> Object:
        meta = obj["metadata"]
        for _ in range(_APPLY_TRIES):
            try:
                return await self._post(obj, twice=True)
            except ConflictError:
                current = await self.get(key_of(obj), meta["name"], meta.get("namespace"))
            if not may_replace(current):
                raise ConflictError(f"{obj['kind']} {meta['name']} already exists and belongs to others")
            version = current["metadata"]["resourceVersion"]
            with suppress(ConflictError):
                return await self.replace({**obj, "metadata": {**meta, "resourceVersion": version}})
        raise ConflictError(f"{obj['kind']} {meta['name']}: something else keeps changing it")

    async def patch(self, kind: str, name: str, namespace: str | None, patch: Object) -> Object:
        return await self._request("PATCH", kind, namespace, name, body=patch)

    async def delete(
        self,
        kind: str,
        name: str,
        namespace: str | None = None,
        *,
        uid: str | None = None,
        at_once: bool = False,
    ) -> None:
        body = {"preconditions": {"uid": uid}} if uid is not None else None
        await self._request("DELETE", kind, namespace, name, body=body, query=_AT_ONCE if at_once else None)

    async def delete_all(
        self, kind: str, namespace: str, labels: Mapping[str, str | None], *, unstarted: bool = False
    ) -> None:
        narrowed = {**_AT_ONCE, "fieldSelector": "status.phase=Pending"} if unstarted else {}
        await self._request("DELETE", kind, namespace, query={"labelSelector": selector(labels), **narrowed})

    async def watch(
        self, kind: str, namespace: str | None = None, labels: Mapping[str, str | None] | None = None
    ) -> AsyncGenerator[Event, None]:
        now = asyncio.get_running_loop().time
        lost: float | None = None  # since when the server was not reached
        while True:  # from the start, and again if the known version has expired
            objects, version = await self._list(kind, namespace, labels)
            for obj in objects:
                yield Event("ADDED", obj)
            while version:
                try:
                    async with aclosing(self._watch_once(kind, namespace, labels, version)) as events:
                        async for event in events:
                            seen = event.object["metadata"]["resourceVersion"]
                            if event.type != "BOOKMARK" and seen != version:  # else it came twice
                                yield event
                            version = seen
                except errors.ExpiredError:
                    version = ""
                except (UnreachableError, errors.CutAnswerError, errors.ApiStatusError) as e:
                    # A broken watch continues at its last version.
                    lost = now() if lost is None or self._transport.answered_at > lost else lost
                    if now() - lost >= LOST_S and not isinstance(e, errors.CutAnswerError):
                        raise
                await asyncio.sleep(0.1)  # no busy loop with a server that ends watches at once

    def exec(
        self, namespace: str, pod: str, container: str, command: Sequence[str], *, stdin: bool = True
    ) -> AbstractAsyncContextManager[Execution]:
        return self._running(PodRef(namespace, pod), container, command, stdin=stdin)

    def attach(self, pod: PodRef, container: str) -> AbstractAsyncContextManager[Execution]:
        """Attach to a container that runs its command; ClusterError on entering: it did not work."""
        return self._running(pod, container, None, stdin=True)

    async def add_ephemeral(self, pod: PodRef, container: Object) -> Object:
        """Add an ephemeral container to a pod; the pod. It cannot be removed again."""
        current = await self.get("Pod", pod.name, pod.namespace)
        others = (current.get("spec") or {}).get("ephemeralContainers") or []
        body = {
            "metadata": {"resourceVersion": current["metadata"]["resourceVersion"]},
            "spec": {"ephemeralContainers": [*others, container]},
        }
        path = f"{RESOURCES['Pod'].path(pod.namespace, pod.name)}/ephemeralcontainers"
        what = f"patch pods/ephemeralcontainers of {pod}"
        return await self._transport.json(Request("PATCH", path, what, body=body))

    @asynccontextmanager
    async def _running(
        self, pod: PodRef, container: str, command: Sequence[str] | None, *, stdin: bool
    ) -> AsyncIterator[Execution]:
        execution = await open_exec(self._transport, pod, container, command, stdin=stdin)
        self._remember(execution.socket)
        try:
            yield execution
        finally:
            await execution.close()

    async def raw(self, path: str) -> Object:
        """GET a path that is not a resource ("/version"), with few tries: an aggregated API may be down."""
        return await self._transport.json(Request("GET", path, f"get {path}"), tries=3)

    async def _list(
        self, kind: str, namespace: str | None, labels: Mapping[str, str | None] | None
    ) -> tuple[list[Object], str]:
        objects: list[Object] = []
        resource = await self._served.resource(kind)
        head = {"apiVersion": resource.api_version, "kind": resource.kind}
        query: dict[str, Any] = {"limit": _PAGE, "labelSelector": selector(labels)}
        while True:
            try:
                page = await self._request("GET", kind, namespace, query=query)
            except errors.ExpiredError:  # the rest of the list is gone: from the start
                objects, query["continue"] = [], None
                continue
            objects += [{**head, **item} for item in page.get("items") or ()]
            meta = page.get("metadata") or {}
            query["continue"] = meta.get("continue")
            if not query["continue"]:
                return objects, str(meta.get("resourceVersion") or "")

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
        resource = await self._served.resource(kind)
        what = f"watch {resource.plural}" + (f" in {namespace}" if namespace else "")
        request = Request("GET", resource.path(namespace), what, query)
        async with self._transport.response(request, _WATCH_S + 30) as response:
            if response.connection and response.connection.transport:
                self._remember(response.connection.transport.get_extra_info("socket"))
            with errors.wire_errors(what, self.server):
                async for line in _lines(response, what):
                    yield self._event(line, what)

    def _event(self, line: bytes, what: str) -> Event:
        """One event. ExpiredError if it says that the watch cannot continue, CutAnswerError if it is cut."""
        found = self._transport.parse(line, what)
        match found:
            case {"type": "ERROR"}:
                raise errors.ExpiredError(f"cannot {what}: {found.get('object')}")
            case {"type": str(), "object": {"metadata": {"resourceVersion": str()}}}:
                return Event(found["type"], found["object"])
        raise errors.CutAnswerError(what)

    async def _request(
        self,
        method: str,
        kind: str,
        namespace: str | None = None,
        name: str | None = None,
        *,
        body: Object | None = None,
        query: Mapping[str, Any] | None = None,
        twice: bool | None = None,
        tries: int = TRIES,
    ) -> Object:
        resource = await self._served.resource(kind)
        if body is not None and "kind" in body and resource.versions:
            body = {**body, "apiVersion": resource.api_version}
        subject = name or (body["metadata"].get("name") if body else None)
        what = errors.of_request(method, resource.plural, namespace, subject)
        request = Request(method, resource.path(namespace, name), what, query or {}, body)
        return await self._transport.json(request, twice=twice, tries=tries)

    async def close(self) -> None:
        """Close all connections, and wait for those that aiohttp leaves open for a moment."""
        await self._transport.client.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_S):
                await asyncio.sleep(0)
                while any(map(_is_open, self._sockets)):  # noqa: ASYNC110  there is no event to wait for
                    await asyncio.sleep(0.005)

    def _remember(self, socket: Any) -> None:
        """Remember the socket of a connection that is used once and then closed."""
        self._sockets = {socket, *filter(_is_open, self._sockets)}
