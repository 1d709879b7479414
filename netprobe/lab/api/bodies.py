"""Request bodies in JSON, YAML or protobuf. Answers are always JSON.

`kubectl create` and Kubernetes' own tests send protobuf. schema.yaml has the field numbers. The wire format:
a varint of number and wire type, then the value. Unknown numbers are skipped, as protobuf requires.
"""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import yaml

from netprobe.lab.api import resources
from netprobe.lab.api.schema import Definition, Field, Type, definition, definition_of, has_protobuf
from netprobe.lab.api.status import bad_request

_DEEPEST = 500  # the parser in C has no limit of its own
_YAML_TYPES = ("application/yaml", "application/apply-patch+yaml")
PROTOBUF = "application/vnd.kubernetes.protobuf"
_MAGIC = b"k8s\x00"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ZERO_TIME = -62135596800  # the year 1, Go's zero


def parse(body: bytes, content_type: str, doubled: list[str]) -> Any:
    """A request body as JSON values; names of fields that are given twice are appended to `doubled`."""

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(items)
        if len(result) < len(items):
            doubled.extend(key for key, times in Counter(key for key, _ in items).items() if times > 1)
        return result

    try:
        if content_type == PROTOBUF:
            return decode_protobuf(body)
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


def decode_protobuf(data: bytes) -> dict[str, Any]:
    """The object in a request body; ValueError if it cannot be read."""
    if not data.startswith(_MAGIC):
        raise ValueError("the body does not begin like a protobuf object")
    envelope = dict(_fields(data[len(_MAGIC) :]))
    kind = {number: _text(value) for number, value in _fields(_bytes(envelope.get(1, b"")))}
    api_version, name = kind.get(1, ""), kind.get(2, "")
    resource = resources.of_kind(api_version, name)
    if name == "DeleteOptions":
        of = definition(name)
    elif resource is not None and has_protobuf(resource):
        of = definition_of(resource)
    else:
        raise ValueError(f'the lab reads the kind "{name}" of "{api_version}" as JSON only')
    return {"apiVersion": api_version, "kind": name, **_message(_bytes(envelope.get(2, b"")), of)}


def _message(data: bytes, of: Definition) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for number, value in _fields(data):
        found = of.numbered.get((number, 0))
        if found is not None:
            _put(result, *found, value)
        elif any(outer == number for outer, _ in of.numbered):
            for inner, inner_value in _fields(_bytes(value)):
                found = of.numbered.get((number, inner))
                if found is not None:
                    _put(result, *found, inner_value)
    return result


def _put(result: dict[str, Any], name: str, field: Field, value: int | bytes) -> None:
    type_ = field.type
    if type_.item is not None and type_.name == "[]":
        result.setdefault(name, []).append(_value(value, type_.item))
    elif type_.item is not None:
        entry = dict(_fields(_bytes(value)))
        key = _text(entry.get(1, b""))
        result.setdefault(name, {})[key] = _value(entry.get(2, b""), type_.item)
    else:
        result[name] = _value(value, type_)


def _value(value: int | bytes, type_: Type) -> Any:
    if (of := type_.definition) is not None:
        return _message(_bytes(value), of)
    if type_.item is not None:  # a list inside a map gets its own message
        inner = type_.item
        return [_value(item, inner) for _, item in _fields(_bytes(value))]
    return _SCALARS.get(type_.name, _text)(value)


def _parts(value: int | bytes) -> dict[int, int | bytes]:
    """A small message whose fields do not repeat."""
    return dict(_fields(_bytes(value)))


def _int_or_string(value: int | bytes) -> int | str:
    parts = _parts(value)
    return _text(parts.get(3, b"")) if parts.get(1) else _signed(parts.get(2, 0))


def _time(value: int | bytes) -> str | None:
    parts = _parts(value)
    if 1 not in parts or (seconds := _signed(parts[1])) == _ZERO_TIME:
        return None
    moment = _EPOCH + timedelta(seconds=seconds, microseconds=_signed(parts.get(2, 0)) // 1000)
    form = "%Y-%m-%dT%H:%M:%S.%fZ" if moment.microsecond else "%Y-%m-%dT%H:%M:%SZ"
    return moment.strftime(form)


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and raw value of each field; ValueError if the message is cut short."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        wire = tag & 7
        value: int | bytes
        if wire == 0:
            value, at = _varint(data, at)
        else:
            size = {1: 8, 5: 4}.get(wire, 0)
            if wire == 2:
                size, at = _varint(data, at)
            elif not size:
                raise ValueError(f"wire type {wire} is not used")
            value, at = data[at : at + size], at + size
            if at > len(data):
                raise ValueError("unexpected end of the message")
        yield tag >> 3, value


def _varint(data: bytes, at: int) -> tuple[int, int]:
    result = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise ValueError("a number does not end")
        byte = data[at]
        at += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, at
        shift += 7


def _signed(value: int | bytes) -> int:
    if isinstance(value, bytes):
        raise ValueError("a number was expected")  # noqa: TRY004 (the message is wrong, not a Python type)
    return value - (1 << 64) if value >> 63 else value


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise ValueError("bytes were expected")  # noqa: TRY004
    return value


def _text(value: int | bytes) -> str:
    return _bytes(value).decode()


_SCALARS: dict[str, Callable[[int | bytes], Any]] = {
    "int": _signed,
    "bool": bool,
    "bytes": lambda value: base64.b64encode(_bytes(value)).decode(),
    "time": _time,
    "quantity": lambda value: _text(_parts(value).get(1, b"")),
    "int-or-string": _int_or_string,
}
