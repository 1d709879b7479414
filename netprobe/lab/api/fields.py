"""Sets of fields, as metadata.managedFields holds them, and the values that stand at them.

A path is a tuple of steps spelled as in FieldsV1: "f:NAME" a field or map entry, 'k:{"name":"c"}' an item of
a list with keys, 'v:"x"' an item of a set. A path ends at a scalar, at something atomic or empty, or at an
item of a list (which owns its own existence beside its fields).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from netprobe.lab.api.schema import Definition, Field, Type

Path: TypeAlias = tuple[str, ...]
Fields: TypeAlias = frozenset[Path]

_EXISTS = object()  # stands for the value of a list item as such
_OUTSIDE = {"apiVersion", "kind"}
_SYSTEM = {
    "name",
    "namespace",
    "generateName",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
    "managedFields",
}


def values(obj: Mapping[str, Any], definition: Definition, *, status: bool = False) -> dict[Path, Any]:
    """What stands at each path that a client may own. `status`: the status only, else all but the status."""
    part = {key: value for key, value in obj.items() if (key == "status") is status and key not in _OUTSIDE}
    if "metadata" in part:
        part["metadata"] = {k: v for k, v in part["metadata"].items() if k not in _SYSTEM}
        if not part["metadata"]:
            del part["metadata"]
    return dict(_struct(part, definition, ()))


def _struct(value: Mapping[str, Any], definition: Definition, path: Path) -> Iterator[tuple[Path, Any]]:
    for key, item in value.items():
        field = definition.fields.get(key)
        if field is not None:
            yield from _field(item, field, (*path, f"f:{key}"))


def _field(value: Any, field: Field, path: Path) -> Iterator[tuple[Path, Any]]:
    item_type = field.type.item
    if isinstance(value, list) and item_type is not None:
        if field.keys:
            for item in value:
                place = (*path, key_step(item, field))
                yield place, _EXISTS
                yield from _value(item, item_type, place)
        elif field.is_set:
            yield from (((*path, f"v:{json.dumps(item)}"), item) for item in value)
        else:
            yield path, value
    elif field.atomic:
        yield path, value
    else:
        yield from _value(value, field.type, path)


def _value(value: Any, type_: Type, path: Path) -> Iterator[tuple[Path, Any]]:
    definition = type_.definition
    if not isinstance(value, dict) or not value or (definition is not None and definition.atomic):
        yield path, value
    elif definition is not None:
        yield from _struct(value, definition, path)
    elif type_.is_map and type_.item is not None:
        for key, item in value.items():
            yield from _value(item, type_.item, (*path, f"f:{key}"))
    else:
        yield path, value


def key_step(item: Mapping[str, Any], field: Field) -> str:
    """The step to an item of a list with keys; a key left out has its default."""
    inner = field.type.item.definition if field.type.item is not None else None
    keys = {}
    for name in sorted(field.keys):
        default = inner.fields[name].default if inner is not None else None
        if (value := item.get(name, default)) is not None:
            keys[name] = value
    return f"k:{json.dumps(keys, separators=(',', ':'))}"


def dump(fields: Iterable[Path]) -> dict[str, Any]:
    """FieldsV1."""
    tree: dict[str, Any] = {}
    for path in sorted(fields):
        node = tree
        for step in path:
            node = node.setdefault(step, {})
        node["."] = {}
    return _without_dots(tree)


def _without_dots(tree: dict[str, Any]) -> dict[str, Any]:
    """A node that has nothing but itself is written {}."""
    return {k: {} if v.keys() == {"."} or not v else _without_dots(v) for k, v in tree.items()}


def load(tree: Mapping[str, Any], path: Path = ()) -> Iterator[Path]:
    """The paths of a FieldsV1."""
    for step, inner in tree.items():
        if step == ".":
            yield path
        elif not inner:
            yield (*path, step)
        else:
            yield from load(inner, (*path, step))


def render(path: Path) -> str:
    """A path as conflicts name it: '.spec.containers[name="c"].image'."""
    text = ""
    for step in path:
        kind, _, rest = step.partition(":")
        if kind == "f":
            text += f".{rest}"
        elif kind == "k":
            text += "".join(f"[{','.join(f'{k}={json.dumps(v)}' for k, v in json.loads(rest).items())}]")
        else:
            text += f"[={rest}]"
    return text
