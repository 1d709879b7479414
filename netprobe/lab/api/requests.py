"""What a request asks for: its resource and parameters, and the form of answer that it accepts."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from aiohttp import hdrs, web

from netprobe.lab.api import bodies, table
from netprobe.lab.api.bodies import PROTOBUF
from netprobe.lab.api.operations import Writer
from netprobe.lab.api.resources import Catalog, Resource
from netprobe.lab.api.schema import ObjectDecoder, definition
from netprobe.lab.api.status import ApiError, bad_request, no_such_path
from netprobe.lab.api.store import Stored
from netprobe.model.objects import Object

_READ = {"application/json", "application/yaml", PROTOBUF, "*/*"}


@dataclass(frozen=True, slots=True)
class RequestTarget:
    """The resource that a path names, and the version in which the client wants its objects.

    `namespace` "" is all of them; `name` "" is the collection.
    """

    resource: Resource
    namespace: str
    name: str
    subresource: str
    api_version: str


def target(catalog: Catalog, path: str) -> RequestTarget:
    """Read /api/v1/... and /apis/GROUP/VERSION/...; ApiError 404 for anything that is not served."""
    parts = [part for part in path.split("/") if part]
    if parts[0] == "api":
        group, rest = "", parts[1:]
    else:
        group, rest = parts[1] if len(parts) > 1 else "", parts[2:]
    if len(rest) < 2:
        raise no_such_path()
    version, names = rest[0], rest[1:]
    namespace = ""
    if names[0] == "namespaces" and len(names) >= 3 and names[2] not in {"status", "finalize"}:
        namespace, names = names[1], names[2:]
    resource = catalog.find(group, version, names[0])
    if resource is None or len(names) > 3 or (namespace and not resource.namespaced):
        raise no_such_path()
    name = names[1] if len(names) > 1 else ""
    if name and resource.namespaced and not namespace:
        raise no_such_path()
    subresource = names[2] if len(names) > 2 else ""
    return RequestTarget(resource.storage, namespace, name, subresource, resource.api_version)


_VERBS = {
    hdrs.METH_GET: "get",
    hdrs.METH_POST: "create",
    hdrs.METH_PUT: "update",
    hdrs.METH_PATCH: "patch",
    hdrs.METH_DELETE: "delete",
}


def verb(request: web.BaseRequest, target: RequestTarget) -> str:
    """The API's verb; "" for a method that it does not have."""
    found = _VERBS.get(request.method, "")
    if target.name or found not in {"get", "delete"}:
        return found
    if found == "delete":
        return "deletecollection"
    return "watch" if flag(request, "watch") else "list"


def as_table(request: web.BaseRequest) -> bool:
    """Does the client prefer a Table to the objects? ApiError 406 if it accepts neither."""
    for entry in request.headers.get("Accept", "*/*").split(","):
        media, *parameters = (part.strip() for part in entry.split(";"))
        if media not in {"application/json", "*/*", "application/*"}:
            continue
        values = dict(part.partition("=")[::2] for part in parameters)
        if "as" not in values:
            return False
        if (values["as"], values.get("v")) == ("Table", "v1"):
            return True
    raise ApiError(406, "NotAcceptable", "only the following media types are accepted: application/json")


def flag(request: web.BaseRequest, name: str) -> bool:
    return request.query.get(name, "") in {"true", "1", "True"}


def number(request: web.BaseRequest, name: str, missing: int) -> int:
    text = request.query.get(name, "")
    if not text:
        return missing
    try:
        return int(text)
    except ValueError as e:
        raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from e


def writer(request: web.BaseRequest) -> Writer:
    """How the request wants to write."""
    dry_run = request.query.getall("dryRun", [])
    if dry_run not in ([], ["All"]):
        raise bad_request(f'Invalid value: {json.dumps(dry_run)}: supported values: "All"')
    validation = request.query.get("fieldValidation", "") or "Warn"
    if validation not in {"Ignore", "Warn", "Strict"}:
        raise bad_request(f'fieldValidation: Unsupported value: "{validation}"')
    return Writer(dry_run=bool(dry_run), validation=validation)


def content_type(request: web.BaseRequest) -> str:
    return request.headers.get("Content-Type", "application/json").partition(";")[0].strip()


async def body(request: web.BaseRequest, by: Writer) -> Any:
    """The body as JSON values; ApiError 415 for a type that the server does not read."""
    kind = content_type(request)
    if kind not in _READ:
        text = (
            "the body of the request was in an unknown format - accepted media types include: "
            f"application/json, application/yaml, {PROTOBUF}"
        )
        raise ApiError(415, "UnsupportedMediaType", text)
    return bodies.parse(await request.read(), kind, by.doubled)


async def options(request: web.BaseRequest) -> dict[str, Any]:
    """DeleteOptions: the body, completed by the query."""
    data = await request.read()
    read: Any = bodies.parse(data, content_type(request), []) if data.strip() else {}
    read = ObjectDecoder("DeleteOptions", "v1").struct(read, definition("DeleteOptions"))
    given: dict[str, Any] = {}
    if "gracePeriodSeconds" in request.query:
        given["gracePeriodSeconds"] = number(request, "gracePeriodSeconds", 0)
    if "propagationPolicy" in request.query:
        given["propagationPolicy"] = request.query["propagationPolicy"]
    return {**given, **read}


def shown(request: web.BaseRequest, target: RequestTarget, stored: Stored) -> Any:
    """A stored object in the form that the client prefers."""
    if not as_table(request):
        return stored.json_as(target.api_version)
    metadata = {"resourceVersion": str(stored.revision)}
    return table.of_list(target.resource, [stored], metadata, included(request))


def included(request: web.BaseRequest) -> str:
    """What each row of a table shows of its object: None, Metadata or Object."""
    return request.query.get("includeObject", "Metadata")


def rendered(request: web.BaseRequest, target: RequestTarget, obj: Object) -> Any:
    """The result of a write in the form that the client prefers."""
    return shown(request, target, Stored(obj, int(obj["metadata"].get("resourceVersion") or 0)))


def reply(obj: Any, status: int = 200, by: Writer | None = None) -> web.Response:
    """An answer in JSON, with the warnings of a write in the headers that kubectl prints."""
    data = obj if isinstance(obj, bytes) else json.dumps(obj, separators=(",", ":")).encode()
    response = web.Response(body=data + b"\n", status=status, content_type="application/json")
    for warning in by.warnings if by else ():
        text = warning.replace("\\", "\\\\").replace('"', '\\"')
        response.headers.add("Warning", f'299 - "{text}"')
    return response


def failure(error: ApiError) -> web.Response:
    response = reply(error.status(), error.code)
    if error.retry_after_s:
        response.headers["Retry-After"] = str(error.retry_after_s)
    return response
