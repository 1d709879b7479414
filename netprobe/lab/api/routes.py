"""From a request to an operation: paths and methods."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import hdrs, web

from netprobe.lab.api import debug, discovery, openapi, patch, requests, scale
from netprobe.lab.api.access import Gate
from netprobe.lab.api.access.attributes import of_request
from netprobe.lab.api.access.reviews import review
from netprobe.lab.api.attach import attach
from netprobe.lab.api.decode import Decoder
from netprobe.lab.api.eviction import evict
from netprobe.lab.api.exec import execute
from netprobe.lab.api.faults import ApiFaults
from netprobe.lab.api.lifecycle import Deletion
from netprobe.lab.api.lists import Lists, selection
from netprobe.lab.api.logs import log
from netprobe.lab.api.operations import Operations, Subresource
from netprobe.lab.api.portforward import forward
from netprobe.lab.api.requests import Target, reply
from netprobe.lab.api.resources import PODS, SERVICE_ACCOUNTS, SERVICES
from netprobe.lab.api.schema import definition
from netprobe.lab.api.status import ApiError, method_not_allowed, no_such_path
from netprobe.lab.api.store import Key
from netprobe.lab.api.watch import watch
from netprobe.lab.fabric.state import Fabric
from netprobe.lab.trace import RULES

Answer = Awaitable[web.StreamResponse]
_VERBS = {
    hdrs.METH_GET: "get",
    hdrs.METH_POST: "create",
    hdrs.METH_PUT: "update",
    hdrs.METH_PATCH: "patch",
    hdrs.METH_DELETE: "delete",
}
_STREAM_METHODS = frozenset({hdrs.METH_GET, hdrs.METH_POST})
_STATUS_METHODS = frozenset({hdrs.METH_GET, hdrs.METH_PUT, hdrs.METH_PATCH})
_ALONE = {"/": discovery.root, "/version": discovery.version}
_HEALTH = ("/healthz", "/readyz", "/livez")


logger = logging.getLogger(__name__)


class Routes:
    """The handler of every request."""

    def __init__(self, operations: Operations, fabric: Fabric, gate: Gate) -> None:
        self._operations = operations
        self._fabric = fabric
        self._gate = gate
        self._lists = Lists(operations.store)
        self._faults = ApiFaults(operations.store)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer; every refusal becomes a Status."""
        try:
            request[requests.USER] = self._gate.admit(request)
            return await self._route(request)
        except ApiError as error:
            return requests.failure(error)
        except web.HTTPRequestEntityTooLarge:
            text = "Request entity too large: limit is 3145728"
            return requests.failure(ApiError(413, "RequestEntityTooLarge", text))
        except Exception as error:
            logger.exception("%s %s", request.method, request.path)
            text = f"Internal error occurred: {type(error).__name__}"
            return requests.failure(ApiError(500, "InternalError", text))

    async def _route(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.path
        if (answer := await self._beside(path)) is not None:
            return answer
        if path.startswith("/openapi/"):
            return openapi.answer(request)
        if not path.startswith(("/api/", "/apis/")) and path not in {"/api", "/apis"}:
            raise no_such_path()
        if (document := discovery.document(path, request.headers.get("Accept", ""))) is not None:
            response = reply(document)
            if document["kind"] == "APIGroupDiscoveryList":
                response.headers["Content-Type"] = discovery.AGGREGATED
            return response
        target = requests.target(path)
        await self._faults.strike(target)
        if target.subresource:
            return await self._subresource(request, target)
        return await self._resource(request, target)

    async def _beside(self, path: str) -> web.Response | None:
        """What is no resource: health, version, and the lab's own rules with their counters."""
        if path.startswith(_HEALTH):
            return web.Response(text="ok")
        if path in _ALONE:
            return reply(_ALONE[path]())
        if path == RULES:
            return reply([dataclasses.asdict(rule) for rule in await self._fabric.rules()])
        return None

    async def _resource(self, request: web.BaseRequest, target: Target) -> web.StreamResponse:
        verb = _VERBS.get(request.method, "")
        collection = not target.name
        if collection and verb == "get":
            verb = "watch" if requests.flag(request, "watch") else "list"
        elif collection and verb == "delete":
            verb = "deletecollection"
        if verb not in target.resource.verbs or collection != (verb in _ON_COLLECTIONS):
            raise method_not_allowed()
        if collection and target.resource.namespaced and not target.namespace and verb == "create":
            raise method_not_allowed()
        handler: Callable[[web.BaseRequest, Target], Answer] = getattr(self, f"_{verb}")
        return await handler(request, target)

    async def _list(self, request: web.BaseRequest, target: Target) -> web.StreamResponse:
        return self._lists.answer(request, target)

    async def _watch(self, request: web.BaseRequest, target: Target) -> web.StreamResponse:
        end_s = self._faults.watch_ends_after(target)
        return await watch(request, self._operations.store, target, cut_after_s=end_s)

    async def _get(self, request: web.BaseRequest, target: Target) -> web.StreamResponse:
        stored = self._operations.get(target.resource, target.namespace, target.name)
        return reply(requests.shown(request, target.resource, stored))

    async def _create(self, request: web.BaseRequest, target: Target) -> web.StreamResponse:
        by = requests.writer(request)
        obj = await requests.body(request, by)
        if not target.resource.stored:
            typed = self._operations.typed(target.resource, obj, by)
            answer = review(self._gate, by.user, target.resource, target.namespace, typed)
            return reply(answer, 201, by)
        created = self._operations.create(target.resource, target.namespace, obj, by)
        return reply(requests.rendered(request, target.resource, created), 201, by)

    async def _update(
        self, request: web.BaseRequest, target: Target, subresource: Subresource = ""
    ) -> web.StreamResponse:
        by = requests.writer(request)
        obj = await requests.body(request, by)
        stored = self._operations.update(
            target.resource, target.namespace, target.name, obj, by, subresource=subresource
        )
        return reply(requests.rendered(request, target.resource, stored), 200, by)

    async def _patch(
        self, request: web.BaseRequest, target: Target, subresource: Subresource = ""
    ) -> web.StreamResponse:
        by = requests.writer(request)
        kind = requests.content_type(request)
        data = await request.read()
        key = Key(target.namespace, target.name)
        if kind == patch.APPLY_PATCH and self._operations.store.get(target.resource, key) is None:
            asked = of_request(request.method, request.path, request.query)
            self._gate.require(by.user, dataclasses.replace(asked, verb="create"))
        stored, created = patch.apply(self._operations, target, kind, data, by, subresource=subresource)
        return reply(requests.rendered(request, target.resource, stored), 201 if created else 200, by)

    async def _delete(self, request: web.BaseRequest, target: Target) -> web.StreamResponse:
        by = requests.writer(request)
        deletion = Deletion.read(await requests.options(request))
        result = self._operations.delete(target.resource, target.namespace, target.name, deletion, by)
        return reply(result, 200, by)

    async def _deletecollection(self, request: web.BaseRequest, target: Target) -> web.StreamResponse:
        by = requests.writer(request)
        deletion = Deletion.read(await requests.options(request))
        test = selection(request, target)
        listed = self._operations.store.items(target.resource, target.namespace)
        chosen = [stored.object for stored in listed if test(stored.object)]
        for obj in chosen:
            metadata = obj["metadata"]
            namespace = metadata.get("namespace", "")
            self._operations.delete(target.resource, namespace, metadata["name"], deletion, by)
        kind, version = f"{target.resource.kind}List", target.resource.api_version
        metadata = {"resourceVersion": str(self._operations.store.revision)}
        return reply({"kind": kind, "apiVersion": version, "metadata": metadata, "items": chosen})

    async def _subresource(self, request: web.BaseRequest, target: Target) -> web.StreamResponse:
        resource, method = target.resource, request.method
        match target.subresource:
            case "status" if resource.status and method in _STATUS_METHODS:
                handler = getattr(self, f"_{_VERBS[method]}")
                extra = {} if method == hdrs.METH_GET else {"subresource": "status"}
                answer: web.StreamResponse = await handler(request, target, **extra)
                return answer
            case "scale" if resource.scale:
                return await scale.answer(request, self._operations, target)
            case what if resource is PODS and (of_pods := _OF_PODS.get(what)) and method in of_pods.methods:
                return await of_pods.handler(request, self._operations, self._fabric, target)
            case "log" if resource is PODS and method == hdrs.METH_GET:
                return await log(request, self._operations, target)
            case "eviction" if resource is PODS and method == hdrs.METH_POST:
                return await self._evict(request, target)
            case "token" if resource is SERVICE_ACCOUNTS and method == hdrs.METH_POST:
                return await self._token(request, target)
        if (why := _ABSENT.get((resource, target.subresource))) is not None:
            raise ApiError(501, "NotImplemented", why)
        raise no_such_path()

    async def _evict(self, request: web.BaseRequest, target: Target) -> web.StreamResponse:
        by = requests.writer(request)
        eviction: Any = await requests.body(request, by)
        options = eviction.get("deleteOptions") or {} if isinstance(eviction, dict) else {}
        evict(self._operations, target.namespace, target.name, Deletion.read(options), by)
        answer = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}
        return reply(answer, 201, by)

    async def _token(self, request: web.BaseRequest, target: Target) -> web.StreamResponse:
        by = requests.writer(request)
        asked = await requests.body(request, by)
        typed = Decoder("TokenRequest", "v1").struct(asked, definition("authentication.v1.TokenRequest"))
        account = self._operations.get(target.resource, target.namespace, target.name).object
        return reply(self._gate.tokens.issue(account, typed), 201, by)


_NO_PROXY = (
    "the lab is no proxy into its pods: kubectl port-forward leads there, or kubectl exec POD -- nc HOST PORT"
)
_ABSENT = {
    (PODS, "proxy"): _NO_PROXY,
    (SERVICES, "proxy"): _NO_PROXY,
}
"""Subresources that people ask for and the lab has not: a sentence in place of 404."""


@dataclass(frozen=True, slots=True)
class _OfPods:
    """A subresource of pods that needs more than the store."""

    handler: Callable[[web.BaseRequest, Operations, Fabric, Target], Answer]
    methods: frozenset[str] = _STREAM_METHODS


_OF_PODS = {
    "exec": _OfPods(execute),
    "attach": _OfPods(attach),
    "portforward": _OfPods(forward),
    "ephemeralcontainers": _OfPods(debug.containers, _STATUS_METHODS),
}

_ON_COLLECTIONS = {"list", "watch", "create", "deletecollection"}
