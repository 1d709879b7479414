"""A change of objects as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import jsonpatch
from jsonpointer import JsonPointer, JsonPointerException

from netprobe.model.policy import Origin

Operation: TypeAlias = Mapping[str, Any]
"""One operation of a JSON Patch (RFC 6902), with paths relative to the object."""


@dataclass(frozen=True, slots=True)
class Patch:
    """Change some fields of an object. `name` is "namespace/name", or "name" for cluster-scoped kinds.

    `origin` is where the object was read; None for an object of a live cluster. `group` is the API group that
    serves the object, if it is not that of `kind`.
    """

    kind: str
    name: str
    operations: tuple[Operation, ...]
    origin: Origin | None = None
    group: str | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Apply:
    """Create an object, or replace the one of that kind and name.

    `beside` is an object in whose file this one may be written; None without such a file.
    """

    object: Mapping[str, Any]
    beside: Origin | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete an object."""

    kind: str
    name: str
    origin: Origin | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class SetLabels:
    """Set labels of a Namespace ("shop"), or of a Pod ("shop/web") and its replicas.

    `patch` does the same in the file that describes the namespace or pod; None without a file.
    """

    kind: str
    name: str
    labels: Mapping[str, str]
    patch: Patch | None = field(default=None, compare=False)


ObjectChange: TypeAlias = Patch | Apply | Delete | SetLabels


def pointer(*keys: str | int) -> str:
    """A JSON Pointer (RFC 6901): ("spec", "ingress", 0) is "/spec/ingress/0". "-" is the end of a list."""
    return str(JsonPointer.from_parts(keys).path)


def value_at(value: Any, keys: tuple[str | int, ...]) -> Any:
    """What `keys` lead to; None for nothing."""
    for key in keys:
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def setting(value: Any, keys: tuple[str | int, ...], new: object) -> Operation:
    """The operation that sets what `keys` lead to, with the mappings above it that are missing or null."""
    for index, key in enumerate(keys):
        inner = value.get(key) if isinstance(value, Mapping) else value[key]
        if inner is None:
            for name in reversed(keys[index + 1 :]):
                new = {name: new}
            return {"op": "add", "path": pointer(*keys[: index + 1]), "value": new}
        value = inner
    return {"op": "replace", "path": pointer(*keys), "value": new}


def patched(value: Any, operations: tuple[Operation, ...]) -> Any:
    """A copy of plain data with the operations applied. ValueError if a path does not exist."""
    try:
        return jsonpatch.apply_patch(value, [dict(operation) for operation in operations])
    except (jsonpatch.JsonPatchException, JsonPointerException) as error:
        raise ValueError(str(error)) from error
