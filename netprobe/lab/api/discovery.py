"""What the server serves: discovery documents, OpenAPI and the version."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from netprobe import __version__
from netprobe.lab.api.resources import SCALE, Catalog, Resource
from netprobe.lab.api.status import no_such_path

KUBERNETES_MINOR = 33
GIT_VERSION = f"v1.{KUBERNETES_MINOR}.0+netprobe.{__version__}"
"""The version of Kubernetes whose API this is, and the program that serves it."""

ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
"""The machine's architecture, as Go spells it."""


def version() -> dict[str, str]:
    return {
        "major": "1",
        "minor": str(KUBERNETES_MINOR),
        "gitVersion": GIT_VERSION,
        "gitCommit": "unknown",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "none",
        "compiler": platform.python_implementation().lower(),
        "platform": f"linux/{ARCHITECTURE}",
    }


def document(catalog: Catalog, path: str) -> Mapping[str, Any] | None:
    """The discovery document at a path; None if there is none.

    The aggregated form is not served: a client that asks for it also takes these documents.
    """
    parts = [part for part in path.split("/") if part]
    groups = catalog.groups()
    match parts:
        case ["api"]:
            return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
        case ["api", "v1"]:
            return _resource_list(catalog, "", "v1")
        case ["apis"]:
            listed = [_group(name, versions) for name, versions in groups.items()]
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": listed}
        case ["apis", group, version_] if version_ in groups.get(group, ()):
            return _resource_list(catalog, group, version_)
    return None


def _group(group: str, names: list[str]) -> dict[str, Any]:
    versions = [{"groupVersion": f"{group}/{name}", "version": name} for name in names]
    return {"name": group, "versions": versions, "preferredVersion": versions[0]}


_CHANGE = ["get", "patch", "update"]
_STREAM = ["create", "get"]
_SUBRESOURCES: dict[str, tuple[str, list[str]]] = {  # kind ("": that of the resource) and verbs
    "attach": ("PodAttachOptions", _STREAM),
    "ephemeralcontainers": ("", _CHANGE),
    "exec": ("PodExecOptions", _STREAM),
    "log": ("", ["get"]),
    "portforward": ("PodPortForwardOptions", _STREAM),
    "scale": (SCALE.kind, _CHANGE),
    "status": ("", _CHANGE),
}


def _resource_list(catalog: Catalog, group: str, version_: str) -> dict[str, Any]:
    listed: list[dict[str, Any]] = []
    for resource in catalog.of_version(group, version_):
        own = {"namespaced": resource.namespaced, "kind": resource.kind}
        listed.append(
            {
                "name": resource.plural,
                "singularName": resource.singular,
                "shortNames": resource.short.split(),
                "categories": ["all"] if resource.in_all else [],
                **own,
                "verbs": list(resource.verbs),
            }
        )
        for subresource in resource.subresources:
            kind, verbs = _SUBRESOURCES[subresource]
            names = {"name": f"{resource.plural}/{subresource}", "singularName": ""}
            if subresource == "scale":
                names |= {"group": SCALE.group, "version": SCALE.version}
            listed.append({**names, **own, "kind": kind or resource.kind, "verbs": verbs})
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": f"{group}/{version_}" if group else version_,
        "resources": listed,
    }


_PROTOBUF = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
_EMPTY_V2 = b"\x0a\x032.0"
"""A document of version 2 (gnostic's OpenAPIv2.proto) with nothing but its version.

What kubectl does not find here it leaves to the server, which validates every object.
"""
_REFERENCE = "https://kubernetes.io/docs/reference/kubernetes-api/ explains the fields."


def openapi(request: web.BaseRequest, catalog: Catalog) -> web.Response:
    """The little of OpenAPI that kubectl needs; ApiError 404 if there is no document at the path.

    kubectl reads it to learn whether the server validates fields, and for `kubectl explain`. The server
    validates every object whatever the documents say, so they describe no fields.
    """
    match [part for part in request.path.split("/") if part][1:]:
        case ["v2"] if _PROTOBUF in request.headers.get("Accept", ""):
            return web.Response(body=_EMPTY_V2, content_type=_PROTOBUF.replace("@", "."))
        case ["v2"]:
            return _json({"swagger": "2.0", "info": _INFO, "paths": {}, "definitions": {}})
        case ["v3"]:
            paths = ["api/v1", *(f"apis/{g}/{v}" for g, names in catalog.groups().items() for v in names)]
            return _json({"paths": {path: {"serverRelativeURL": f"/openapi/v3/{path}"} for path in paths}})
        case ["v3", "api", "v1"]:
            return _json(_openapi_version(catalog.of_version("", "v1")))
        case ["v3", "apis", group, version] if listed := catalog.of_version(group, version):
            return _json(_openapi_version(listed))
    raise no_such_path()


_INFO = {"title": "Kubernetes", "version": GIT_VERSION}


def _json(document: dict[str, Any]) -> web.Response:
    return web.Response(body=json.dumps(document).encode(), content_type="application/json")


def _openapi_version(listed: list[Resource]) -> dict[str, Any]:
    """The kinds of one API version, and that a PATCH of each takes the parameter fieldValidation."""
    return {
        "openapi": "3.0.0",
        "info": _INFO,
        "paths": {_path(resource): {"patch": _patch_operation(resource)} for resource in listed},
        "components": {
            "schemas": {
                f"{resource.api_version}.{resource.kind}".replace("/", "."): {
                    "type": "object",
                    "description": f"{resource.about} {_REFERENCE}".strip(),
                    "x-kubernetes-group-version-kind": [_group_version_kind(resource)],
                }
                for resource in listed
            }
        },
    }


def _path(resource: Resource) -> str:
    base = f"/apis/{resource.api_version}" if resource.group else f"/api/{resource.version}"
    scope = "/namespaces/{namespace}" if resource.namespaced else ""
    return f"{base}{scope}/{resource.plural}/{{name}}"


def _patch_operation(resource: Resource) -> dict[str, Any]:
    parameters = [{"name": "fieldValidation", "in": "query", "schema": {"type": "string"}}]
    return {
        "parameters": parameters,
        "responses": {"200": {"description": "OK"}},
        "x-kubernetes-action": "patch",
        "x-kubernetes-group-version-kind": _group_version_kind(resource),
    }


def _group_version_kind(resource: Resource) -> dict[str, str]:
    return {"group": resource.group, "version": resource.version, "kind": resource.kind}
