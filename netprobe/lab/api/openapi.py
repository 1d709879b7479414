"""The OpenAPI documents, made from schema.yaml when somebody asks: /openapi/v2 and /openapi/v3.

kubectl reads them for client-side apply (how lists are joined), to learn that the server validates fields
(the parameter fieldValidation of a PATCH), and for `kubectl explain`.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from aiohttp import web

from netprobe.lab.api import resources, words
from netprobe.lab.api.discovery import GIT_VERSION
from netprobe.lab.api.resources import Resource
from netprobe.lab.api.schema import (
    Definition,
    Field,
    Type,
    definition,
    definition_names,
    definition_of,
    full_name,
)
from netprobe.lab.api.status import no_such_path

_SCALARS: dict[str, dict[str, Any]] = {
    "string": {"type": "string"},
    "int": {"type": "integer", "format": "int32"},
    "bool": {"type": "boolean"},
    "number": {"type": "number", "format": "double"},
    "bytes": {"type": "string", "format": "byte"},
    "time": {"type": "string", "format": "date-time"},
    "quantity": {"type": "string"},
    "int-or-string": {"type": "string", "format": "int-or-string"},
    "any": {"type": "object"},
}
_PROTOBUF = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
_EMPTY_V2 = b"\x0a\x032.0"
"""A document of version 2 (gnostic's OpenAPIv2.proto) that says of itself "2.0" and describes no kind.

kubectl asks for it where /openapi/v3 has no answer: for a `List`, and for kinds that are not served. What it
does not find there it leaves to the server, which validates every object.
"""
_V2, _V3 = "#/definitions/", "#/components/schemas/"
_METHODS = {"get": "get", "put": "update", "patch": "patch", "delete": "delete"}
_COLLECTION_METHODS = {"get": "list", "post": "create", "delete": "deletecollection"}
_ON_WRITE = ("dryRun", "fieldManager", "fieldValidation")


def answer(request: web.BaseRequest) -> web.Response:
    """The document at a path; ApiError 404 where there is none."""
    parts = [part for part in request.path.split("/") if part][1:]
    match parts:
        case ["v2"] if _PROTOBUF in request.headers.get("Accept", ""):
            return web.Response(body=_EMPTY_V2, content_type=_PROTOBUF.replace("@", "."))
        case ["v2"]:
            text = _v2()
        case ["v3"]:
            text = _index()
        case ["v3", "api", "v1"]:
            text = _v3("")
        case ["v3", "apis", group, version] if resources.groups().get(group) == version:
            text = _v3(group)
        case _:
            raise no_such_path()
    return web.Response(body=text, content_type="application/json")


@cache
def _index() -> bytes:
    paths = {"api/v1": {"serverRelativeURL": "/openapi/v3/api/v1"}}
    for group, version in resources.groups().items():
        paths[f"apis/{group}/{version}"] = {"serverRelativeURL": f"/openapi/v3/apis/{group}/{version}"}
    return json.dumps({"paths": paths}).encode()


@cache
def _v2() -> bytes:
    document = {
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": GIT_VERSION},
        "paths": {k: v for r in resources.RESOURCES for k, v in _paths(r, 2).items()},
        "definitions": {
            full_name(name): _schema(definition(name), _V2, _kinds(name)) for name in definition_names()
        },
    }
    return json.dumps(document).encode()


@cache
def _v3(group: str) -> bytes:
    listed = resources.of_group(group)
    names = _reachable([definition_of(r.group, r.kind).name for r in listed])
    document = {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": GIT_VERSION},
        "paths": {k: v for r in listed for k, v in _paths(r, 3).items()},
        "components": {
            "schemas": {full_name(name): _schema(definition(name), _V3, _kinds(name)) for name in names}
        },
    }
    return json.dumps(document).encode()


def _reachable(names: list[str]) -> list[str]:
    found: dict[str, None] = {}
    while names:
        name = names.pop()
        if name not in found:
            found[name] = None
            for field in definition(name).fields.values():
                type_ = field.type
                while type_.item is not None:
                    type_ = type_.item
                if type_.is_struct:
                    names.append(type_.name)
    return list(found)


def _kinds(name: str) -> list[dict[str, str]]:
    for resource in resources.RESOURCES:
        if definition_of(resource.group, resource.kind).name == name:
            return [_kind(resource)]
    return []


def _kind(resource: Resource) -> dict[str, str]:
    return {"group": resource.group, "version": resource.version, "kind": resource.kind}


def _schema(of: Definition, prefix: str, kinds: list[dict[str, str]]) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object"}
    if text := words.DEFINITIONS.get(of.name) or (words.ELSEWHERE if kinds else ""):
        schema["description"] = text
    if of.fields:
        schema["properties"] = {
            name: _described(of.name, name, _property(field, prefix)) for name, field in of.fields.items()
        }
    if required := [name for name, field in of.fields.items() if field.required]:
        schema["required"] = required
    if of.atomic:
        schema["x-kubernetes-map-type"] = "atomic"
    if kinds:
        schema["x-kubernetes-group-version-kind"] = kinds
    return schema


def _described(definition_name: str, name: str, schema: dict[str, Any]) -> dict[str, Any]:
    text = words.FIELDS.get((definition_name, name))
    return {**schema, "description": text} if text else schema


def _property(field: Field, prefix: str) -> dict[str, Any]:
    schema = _type(field.type, prefix)
    if field.type.is_list:
        kind = "map" if field.keys else "set" if field.is_set else "atomic"
        schema["x-kubernetes-list-type"] = kind
        if field.keys:
            schema["x-kubernetes-list-map-keys"] = list(field.keys)
    strategies = []
    if field.merge_key is not None:
        strategies.append("merge")
        if field.merge_key:
            schema["x-kubernetes-patch-merge-key"] = field.merge_key
    if field.retain_keys:
        strategies.append("retainKeys")
    if strategies:
        schema["x-kubernetes-patch-strategy"] = ",".join(strategies)
    if field.default:
        schema["default"] = field.default
    return schema


def _type(type_: Type, prefix: str) -> dict[str, Any]:
    if type_.item is not None:
        if type_.is_list:
            return {"type": "array", "items": _type(type_.item, prefix)}
        return {"type": "object", "additionalProperties": _type(type_.item, prefix)}
    if type_.is_struct:
        reference = {"$ref": prefix + full_name(type_.name)}
        return reference if prefix == _V2 else {"allOf": [reference]}
    return dict(_SCALARS[type_.name])


def _paths(resource: Resource, version: int) -> dict[str, Any]:
    """The paths of a resource: enough to say which verbs there are and what their parameters are called."""
    base = f"/apis/{resource.api_version}" if resource.group else f"/api/{resource.version}"
    scope = "/namespaces/{namespace}" if resource.namespaced else ""
    collection = f"{base}{scope}/{resource.plural}"
    paths: dict[str, Any] = {}
    for path, methods in ((collection, _COLLECTION_METHODS), (f"{collection}/{{name}}", _METHODS)):
        served = {
            method: _operation(resource, method, verb, version)
            for method, verb in methods.items()
            if verb in resource.verbs
        }
        if served:
            paths[path] = served
    return paths


def _operation(resource: Resource, method: str, verb: str, version: int) -> dict[str, Any]:
    names = _ON_WRITE if method in {"put", "post", "patch"} else ()
    parameters = [
        {"name": name, "in": "query", "type": "string"}
        if version == 2
        else {"name": name, "in": "query", "schema": {"type": "string"}}
        for name in names
    ]
    return {
        "operationId": f"{verb}{(resource.group or 'core').partition('.')[0].title()}V1{resource.kind}",
        "parameters": parameters,
        "responses": {"200": {"description": "OK"}},
        "x-kubernetes-action": verb,
        "x-kubernetes-group-version-kind": _kind(resource),
    }
