"""From a request to an operation: who sends it, which path and method, which handler."""

from __future__ import annotations

import asyncio
import dataclasses
import hmac
import json
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import hdrs, web

from netprobe.lab.api import discovery, patch, pods, requests, status
from netprobe.lab.api.bodies import parse
from netprobe.lab.api.lists import Lists, selection, watch
from netprobe.lab.api.operations import Deletion, Operations, Subresource, now
from netprobe.lab.api.patch import JSON_PATCH, json_patch, merge
from netprobe.lab.api.portforward import forward
from netprobe.lab.api.requests import RequestTarget, reply
from netprobe.lab.api.resources import ACCESS_REVIEWS, NAMESPACES, PODS, RULES_REVIEWS, SCALE, Resource
from netprobe.lab.api.schema import ObjectDecoder, definition_of
from netprobe.lab.api.selectors import render
from netprobe.lab.api.status import ApiError
from netprobe.lab.api.store import ObjectKey, Store
from netprobe.lab.api.trace import trace
from netprobe.lab.fabric import faults
from netprobe.lab.fabric.state import Fabric
from netprobe.lab.trace import RULES, TRACE
from netprobe.model.objects import Object

_OfPods = Callable[[web.BaseRequest, Operations, Fabric, RequestTarget], Awaitable[web.StreamResponse]]

_STREAM_METHODS = frozenset({hdrs.METH_GET, hdrs.METH_POST})
_STATUS_METHODS = frozenset({hdrs.METH_GET, hdrs.METH_PUT, hdrs.METH_PATCH})
_POD_STREAMS: dict[str, _OfPods] = {"exec": pods.execute, "attach": pods.attach, "portforward": forward}
_ON_COLLECTIONS = {"list", "watch", "create", "deletecollection"}
_HEALTH = ("/healthz", "/readyz", "/livez")

logger = logging.getLogger(__name__)


class RequestRouter:
    """The handler of every request. A client with `token`, from the lab's kubeconfig, may do everything."""

    def __init__(self, operations: Operations, fabric: Fabric, token: str) -> None:
        self._operations = operations
        self._fabric = fabric
        self._token = f"Bearer {token}".encode()
        self._lists = Lists(operations.store)
        self._faults = ApiFaults(operations.store)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer; every refusal becomes a Status."""
        try:
            self._authenticate(request)
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

    def _authenticate(self, request: web.BaseRequest) -> None:
        given = request.headers.get("Authorization", "").encode(errors="surrogateescape")
        if not hmac.compare_digest(given, self._token):
            raise status.unauthorized()

    async def _route(self, request: web.BaseRequest) -> web.StreamResponse:
        path, catalog = request.path, self._operations.store.catalog
        if (answer := await self._outside_the_api(request)) is not None:
            return answer
        if not path.startswith(("/api/", "/apis/")) and path not in {"/api", "/apis"}:
            raise status.no_such_path()
        if (document := discovery.document(catalog, path)) is not None:
            return reply(document)
        target = requests.target(catalog, path)
        await self._faults.strike(target)
        if target.subresource:
            return await self._subresource(request, target)
        return await self._resource(request, target)

    async def _outside_the_api(self, request: web.BaseRequest) -> web.Response | None:
        """Health, version, OpenAPI, and the rules and traces of the lab."""
        path, catalog = request.path, self._operations.store.catalog
        if path.startswith(_HEALTH):
            return web.Response(text="ok")
        if path == "/version":
            return reply(discovery.version())
        if path in {RULES, TRACE}:
            return reply(await self._of_the_kernel(request))
        if path.startswith("/openapi/"):
            return discovery.openapi(request, catalog)
        return None

    async def _of_the_kernel(self, request: web.BaseRequest) -> Any:
        if request.path == TRACE:
            return await trace(self._operations, self._fabric, request.query)
        return {"items": [dataclasses.asdict(rule) for rule in await self._fabric.rules()]}

    async def _resource(self, request: web.BaseRequest, target: RequestTarget) -> web.StreamResponse:
        resource, verb = target.resource, requests.verb(request, target)
        everywhere = resource.namespaced and not target.namespace
        if verb not in resource.verbs or bool(target.name) == (verb in _ON_COLLECTIONS):
            raise status.method_not_allowed()
        match verb:
            case "get":
                return self._get(request, target)
            case "list":
                return self._lists.answer(request, target)
            case "watch":
                end_s = self._faults.watch_ends_after(target)
                return await watch(request, self._operations.store, target, cut_after_s=end_s)
            case "delete" | "deletecollection":
                return await self._delete(request, target)
            case "create" if everywhere:
                raise status.method_not_allowed()
            case "create" if not resource.stored:
                return reply(_review(resource), 201)
            case _:
                return await self._write(request, target)

    def _get(self, request: web.BaseRequest, target: RequestTarget) -> web.StreamResponse:
        stored = self._operations.get(target.resource, target.namespace, target.name)
        return reply(requests.shown(request, target, stored))

    async def _write(
        self, request: web.BaseRequest, target: RequestTarget, subresource: Subresource = ""
    ) -> web.StreamResponse:
        """POST creates, PUT replaces, PATCH changes, and creates by server-side apply."""
        by, operations, created = requests.writer(request), self._operations, False
        place = (target.resource, target.namespace)
        if request.method == hdrs.METH_POST:
            stored, created = operations.create(*place, await requests.body(request, by), by), True
        elif request.method == hdrs.METH_PUT:
            obj = await requests.body(request, by)
            stored = operations.update(*place, target.name, obj, by, subresource=subresource)
        else:
            kind, data = requests.content_type(request), await request.read()
            stored, created = patch.apply(operations, target, kind, data, by, subresource=subresource)
        return reply(requests.rendered(request, target, stored), 201 if created else 200, by)

    async def _delete(self, request: web.BaseRequest, target: RequestTarget) -> web.StreamResponse:
        """Delete an object, or all of a collection that a selector chooses."""
        by, operations = requests.writer(request), self._operations
        deletion = Deletion.read(await requests.options(request))
        if target.name:
            found = operations.delete(target.resource, target.namespace, target.name, deletion, by)
            return reply(found, 200, by)
        test = selection(request)
        listed = operations.store.items(target.resource, target.namespace)
        chosen = [stored.object for stored in listed if test(stored.object)]
        for metadata in (obj["metadata"] for obj in chosen):
            namespace = metadata.get("namespace", "")
            operations.delete(target.resource, namespace, metadata["name"], deletion, by)
        kind = {"kind": f"{target.resource.kind}List", "apiVersion": target.api_version}
        metadata = {"resourceVersion": str(operations.store.revision)}
        return reply({**kind, "metadata": metadata, "items": chosen})

    async def _subresource(self, request: web.BaseRequest, target: RequestTarget) -> web.StreamResponse:
        resource, name, method = target.resource, target.subresource, request.method
        if name == "status" and resource.status and method in _STATUS_METHODS:
            if method == hdrs.METH_GET:
                return self._get(request, target)
            return await self._write(request, target, "status")
        if name == "scale" and resource.scale:
            return await _answer_scale(request, self._operations, target)
        if resource is PODS:
            if name in _POD_STREAMS and method in _STREAM_METHODS:
                return await _POD_STREAMS[name](request, self._operations, self._fabric, target)
            if name == "ephemeralcontainers" and method in _STATUS_METHODS:
                return await pods.ephemeral_containers(request, self._operations, self._fabric, target)
            if name == "log" and method == hdrs.METH_GET:
                return await pods.log(request, self._operations, target)
        raise status.no_such_path()


class ApiFaults:
    """Counts the requests of each namespace that has faults on demand (fabric/faults.py)."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._requests: Counter[str] = Counter()

    async def strike(self, target: RequestTarget) -> None:
        """Raise, or never return, if it is this request's turn."""
        name, number = self._fault(target)
        if name not in {"429", "500", "hang"} or number < 1:
            return
        self._requests[target.namespace] += 1
        if self._requests[target.namespace] % int(number):
            return
        if name == "429":
            text = "the server has received too many requests and has asked us to try again later"
            raise ApiError(429, "TooManyRequests", text, retry_after_s=1)
        if name == "500":
            raise ApiError(500, "InternalError", "Internal error occurred: a fault on demand")
        await asyncio.get_running_loop().create_future()

    def watch_ends_after(self, target: RequestTarget) -> float:
        """Seconds; 0 if a watch may take its time."""
        name, number = self._fault(target)
        return number if name == "watch" else 0.0

    def _fault(self, target: RequestTarget) -> tuple[str, float]:
        stored = self._store.get(NAMESPACES, ObjectKey("", target.namespace))
        return faults.of_api(stored.object["metadata"].get("annotations") or {}) if stored else ("", 0.0)


def _review(resource: Resource) -> dict[str, Any]:
    """The answer to `kubectl auth can-i` and `kubectl auth whoami`: everything is allowed."""
    if resource is ACCESS_REVIEWS:
        status: dict[str, Any] = {"allowed": True}
    elif resource is RULES_REVIEWS:
        every = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
        paths = {"verbs": ["*"], "nonResourceURLs": ["*"]}
        status = {"resourceRules": [every], "nonResourceRules": [paths], "incomplete": False}
    else:
        user = {"username": "kubernetes-admin", "groups": ["system:masters", "system:authenticated"]}
        status = {"userInfo": user}
    return {
        "kind": resource.kind,
        "apiVersion": resource.api_version,
        "metadata": {"creationTimestamp": now()},
        "spec": {},
        "status": status,
    }


def _scale_of(obj: Object) -> Object:
    """The Scale of a workload."""
    metadata = {
        key: obj["metadata"][key]
        for key in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    }
    status: Object = {"replicas": obj.get("status", {}).get("replicas", 0)}
    if (selector := render(obj["spec"].get("selector"))) != "<none>":
        status["selector"] = selector
    return {
        "kind": SCALE.kind,
        "apiVersion": SCALE.api_version,
        "metadata": metadata,
        "spec": {"replicas": obj["spec"].get("replicas", 0)},
        "status": status,
    }


async def _answer_scale(
    request: web.BaseRequest, operations: Operations, target: RequestTarget
) -> web.StreamResponse:
    """GET, PUT and PATCH of a workload's scale."""
    by, kind = requests.writer(request), requests.content_type(request)
    stored = operations.get(target.resource, target.namespace, target.name)
    now = _scale_of(stored.object)
    match request.method:
        case hdrs.METH_GET:
            return reply(now)
        case hdrs.METH_PUT:
            wanted = await requests.body(request, by)
        case hdrs.METH_PATCH:
            change = parse(await request.read(), "application/json", by.doubled)
            wanted = json_patch(now, change) if kind == JSON_PATCH else merge(now, change)
        case _:
            raise status.method_not_allowed()
    scale = ObjectDecoder("Scale", "v1").struct(wanted, definition_of(SCALE))
    replicas = scale["spec"].get("replicas", 0)
    if replicas < 0:
        raise status.bad_request("spec.replicas: must be greater than or equal to 0")
    if scale["metadata"].get("resourceVersion", "") not in {"", str(stored.revision)}:
        raise status.conflict(target.resource, target.name)
    changed = json.loads(stored.json)
    changed["spec"]["replicas"] = replicas
    return reply(_scale_of(operations.replace(target.resource, stored.object, changed, by)), 200, by)
