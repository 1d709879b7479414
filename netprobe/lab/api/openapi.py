"""The little of OpenAPI that kubectl needs: that there is a document, and one sentence per kind.

kubectl reads it to learn whether the server validates fields, and for `kubectl explain`. The server validates
every object whatever the documents say, so they describe no fields.
"""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

from netprobe.lab.api.discovery import GIT_VERSION
from netprobe.lab.api.resources import Catalog, Resource
from netprobe.lab.api.status import no_such_path

_PROTOBUF = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
_EMPTY_V2 = b"\x0a\x032.0"
"""A document of version 2 (gnostic's OpenAPIv2.proto) with nothing but its version.

What kubectl does not find here it leaves to the server, which validates every object.
"""
_REFERENCE = "https://kubernetes.io/docs/reference/kubernetes-api/ explains the fields."


def answer(request: web.BaseRequest, catalog: Catalog) -> web.Response:
    """The document at a path; ApiError 404 if there is none."""
    match [part for part in request.path.split("/") if part][1:]:
        case ["v2"] if _PROTOBUF in request.headers.get("Accept", ""):
            return web.Response(body=_EMPTY_V2, content_type=_PROTOBUF.replace("@", "."))
        case ["v2"]:
            return _json({"swagger": "2.0", "info": _INFO, "paths": {}, "definitions": {}})
        case ["v3"]:
            paths = ["api/v1", *(f"apis/{g}/{v}" for g, names in catalog.groups().items() for v in names)]
            return _json({"paths": {path: {"serverRelativeURL": f"/openapi/v3/{path}"} for path in paths}})
        case ["v3", "api", "v1"]:
            return _json(_version(catalog.of_version("", "v1")))
        case ["v3", "apis", group, version] if listed := catalog.of_version(group, version):
            return _json(_version(listed))
    raise no_such_path()


_INFO = {"title": "Kubernetes", "version": GIT_VERSION}


def _json(document: dict[str, Any]) -> web.Response:
    return web.Response(body=json.dumps(document).encode(), content_type="application/json")


def _version(listed: list[Resource]) -> dict[str, Any]:
    """The kinds of one API version, and that a PATCH of each takes the parameter fieldValidation."""
    return {
        "openapi": "3.0.0",
        "info": _INFO,
        "paths": {_path(resource): {"patch": _patch(resource)} for resource in listed},
        "components": {
            "schemas": {
                f"{resource.api_version}.{resource.kind}".replace("/", "."): {
                    "type": "object",
                    "description": f"{resource.about} {_REFERENCE}".strip(),
                    "x-kubernetes-group-version-kind": [_kind(resource)],
                }
                for resource in listed
            }
        },
    }


def _path(resource: Resource) -> str:
    base = f"/apis/{resource.api_version}" if resource.group else f"/api/{resource.version}"
    scope = "/namespaces/{namespace}" if resource.namespaced else ""
    return f"{base}{scope}/{resource.plural}/{{name}}"


def _patch(resource: Resource) -> dict[str, Any]:
    parameters = [{"name": "fieldValidation", "in": "query", "schema": {"type": "string"}}]
    return {
        "parameters": parameters,
        "responses": {"200": {"description": "OK"}},
        "x-kubernetes-action": "patch",
        "x-kubernetes-group-version-kind": _kind(resource),
    }


def _kind(resource: Resource) -> dict[str, str]:
    return {"group": resource.group, "version": resource.version, "kind": resource.kind}
