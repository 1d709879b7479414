"""Reading what a client sent: text to JSON values, JSON values to a typed object.

As in the real server, a field of the wrong type is an error. An unknown field, or one that is given twice,
is dropped with a warning, or is an error with fieldValidation=Strict. What the server's encoder leaves out
(nulls, empty lists and maps, zeros that are not pointers) is left out here: `ingress: []` becomes absent.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import yaml

from netprobe.lab.api import protobuf
from netprobe.lab.api.schema import Definition, Field, Type
from netprobe.lab.api.status import bad_request

_DEEPEST = 500  # the parser in C has no limit of its own
_YAML_TYPES = ("application/yaml", "application/apply-patch+yaml")
_JSON_NAMES = {str: "string", bool: "bool", int: "number", float: "number", list: "array", dict: "object"}
_GO_NAMES = {"int": "int32", "bytes": "[]uint8", "time": "v1.Time"}


def parse(body: bytes, content_type: str, doubled: list[str]) -> Any:
    """A request body as JSON values; names of fields that are given twice are appended to `doubled`."""

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(items)
        if len(result) < len(items):
            doubled.extend(key for key, times in Counter(key for key, _ in items).items() if times > 1)
        return result

    try:
        if content_type == protobuf.MEDIA_TYPE:
            return protobuf.decode(body)
        if content_type in _YAML_TYPES and not body.lstrip().startswith(b"{"):
            return _yaml(body)
        return json.loads(body, object_pairs_hook=pairs)
    except (ValueError, yaml.YAMLError, RecursionError) as e:
        raise bad_request(f"error decoding request body: {e}") from e


def _yaml(body: bytes) -> Any:
    """A YAML document as JSON values. An alias may stand for a document of any size, so there are none."""
    depth = 0
    for event in yaml.parse(body, yaml.CSafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not supported")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise yaml.YAMLError("exceeded max depth")
    return json.loads(json.dumps(yaml.load(body, yaml.CSafeLoader), default=str))


class ObjectDecoder:
    """Reads one object; `unknown` collects the paths of fields that the kind does not have."""

    def __init__(self, kind: str, version: str) -> None:
        self.kind = kind
        self.version = version
        self.unknown: list[str] = []

    def struct(self, value: Any, definition: Definition, path: str = "") -> dict[str, Any]:
        """The object with its known fields only; ApiError 400 if a type is wrong."""
        if not isinstance(value, dict):
            raise self._mismatch(value, definition.name, path)
        result: dict[str, Any] = {}
        for key, item in value.items():
            field = definition.fields.get(key)
            place = f"{path}.{key}" if path else key
            if field is None:
                if not definition.keeps_others:
                    self.unknown.append(place)
                elif item is not None:
                    result[key] = item
                continue
            read = self._value(item, field.type, place)
            if read is not None and not (_is_empty(read, field) and not field.required):
                result[key] = read
        for key, field in definition.fields.items():
            if key in result or not (field.present or field.default):
                continue
            result[key] = {} if field.present else field.default
        return result

    def _value(self, value: Any, type_: Type, path: str) -> Any:
        if value is None:
            return None
        item_type = type_.item
        if item_type is not None and type_.is_list:
            if not isinstance(value, list):
                raise self._mismatch(value, _go_name(type_), path)
            return [
                {} if item is None and item_type.is_struct else self._value(item, item_type, f"{path}[{i}]")
                for i, item in enumerate(value)
            ]
        if item_type is not None:
            if not isinstance(value, dict):
                raise self._mismatch(value, _go_name(type_), path)
            return {k: "" if v is None else self._value(v, item_type, path) for k, v in value.items()}
        if (definition := type_.definition) is not None:
            return self.struct(value, definition, path)
        return self._scalar(value, type_, path)

    def _scalar(self, value: Any, type_: Type, path: str) -> Any:
        is_int = isinstance(value, int) and not isinstance(value, bool)
        match type_.name:
            case "any":
                return value
            case "bool":
                good = isinstance(value, bool)
            case "int":
                good = is_int or (isinstance(value, float) and value.is_integer())
                value = int(value) if good else value
            case "int-or-string":
                good = is_int or isinstance(value, str)
            case "quantity":
                good = is_int or isinstance(value, (str, float))
                value = str(value) if good else value
            case _:
                good = isinstance(value, str)
        if not good:
            raise self._mismatch(value, _go_name(type_), path)
        return value

    def _mismatch(self, value: Any, wanted: str, path: str) -> Exception:
        got = _JSON_NAMES.get(type(value), "null")
        if got == "number":
            got = f"number {value}" if wanted.startswith("int") else "number"
        dotted = "".join(char for char in _without_indices(path))
        field = f"Go struct field {self.kind}.{dotted} of type" if path else "Go value of type"
        return bad_request(
            f'{self.kind} in version "{self.version}" cannot be handled as a {self.kind}: '
            f"json: cannot unmarshal {got} into {field} {wanted}"
        )


def _go_name(type_: Type) -> str:
    if type_.item is not None:
        return f"{'map[string]' if type_.is_map else '[]'}{_go_name(type_.item)}"
    if type_.is_struct:
        return f"v1.{type_.name}"
    return _GO_NAMES.get(type_.name, type_.name)


def _without_indices(path: str) -> Iterator[str]:
    depth = 0
    for char in path:
        depth += char == "["
        if not depth:
            yield char
        depth -= char == "]"


def _is_empty(value: Any, field: Field) -> bool:
    if field.type.is_list or field.type.is_map:
        return not value
    return not field.pointer and not field.type.is_struct and value in ("", 0, False)
