"""The definitions of the API, and protobuf, which is read by their numbers."""

from __future__ import annotations

from typing import Any

import pytest

from netprobe.lab.api import bodies
from netprobe.lab.api.resources import PODS, RESOURCES, SECRETS, SERVICES
from netprobe.lab.api.schema import SCALARS, Definition, ObjectDecoder, Type, definition_of
from netprobe.lab.api.status import ApiError


def inner(type_: Type) -> Type:
    return inner(type_.item) if type_.item is not None else type_


def test_definitions_refer_to_what_exists() -> None:
    for resource in RESOURCES:
        check(definition_of(resource), set())


def check(of: Definition, seen: set[str]) -> None:
    seen.add(of.name)
    numbers = [field.number for field in of.fields.values() if field.number != (0, 0)]
    assert len(numbers) == len(set(numbers)), of.name
    for name, field in of.fields.items():
        innermost = inner(field.type)
        item = innermost.definition  # KeyError where it does not exist
        if item is None:
            assert innermost.name in SCALARS, f"{of.name}.{name}"
            continue
        assert not field.merge_key or field.merge_key in item.fields, f"{of.name}.{name}"
        if item.name not in seen:
            check(item, seen)


def test_an_unknown_field_is_kept_only_where_the_kind_has_no_effect() -> None:
    for resource, unknown in ((PODS, ["spec.nonsense"]), (SECRETS, [])):
        decoder = ObjectDecoder(resource.kind, "v1")
        read = decoder.struct({"spec": {"nonsense": 1}}, definition_of(resource))
        assert (decoder.unknown, "nonsense" in read["spec"]) == (unknown, not unknown)


def varint(number: int) -> bytes:
    number &= (1 << 64) - 1
    data = bytearray()
    while number > 0x7F:
        data.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*data, number])


def message(**fields: bytes | int | str) -> bytes:
    """A protobuf message: f3=... is field 3."""
    data = b""
    for name, value in fields.items():
        number = int(name.removeprefix("f"))
        if isinstance(value, int):
            data += varint(number << 3) + varint(value)
        else:
            text = value.encode() if isinstance(value, str) else value
            data += varint(number << 3 | 2) + varint(len(text)) + text
    return data


def envelope(api_version: str, kind: str, raw: bytes) -> bytes:
    return b"k8s\x00" + message(f1=message(f1=api_version, f2=kind), f2=raw)


def test_every_sort_of_value_in_protobuf() -> None:
    port = message(f1="http", f2="TCP", f3=80, f4=message(f1=1, f2=0, f3="web"), f5=0)
    spec = message(f1=port, f2=message(f1="app", f2="x"))
    metadata = message(f1="s", f3="shop", f8=message(f1=1700000000), f11=message(f1="a", f2=""))
    raw = message(f1=metadata, f2=spec, f99="from the future")
    read = bodies.decode_protobuf(envelope("v1", "Service", raw))
    assert read["spec"]["ports"][0]["targetPort"] == "web"
    assert read["metadata"]["creationTimestamp"] == "2023-11-14T22:13:20Z"
    decoded = ObjectDecoder("Service", "v1").struct(read, definition_of(SERVICES))
    assert decoded["spec"] == {
        "ports": [{"name": "http", "protocol": "TCP", "port": 80, "targetPort": "web"}],
        "selector": {"app": "x"},
    }
    assert decoded["metadata"]["labels"] == {"a": ""}


def test_an_inlined_struct_and_a_pointer_to_zero() -> None:
    probe = message(f1=message(f2=message(f1="/", f2=message(f2=80))))
    container = message(f1="c", f11=probe)
    raw = message(f2=message(f2=container, f4=0, f5=-1, f11=0))
    read: Any = bodies.decode_protobuf(envelope("v1", "Pod", raw))
    decoded = ObjectDecoder("Pod", "v1").struct(read, definition_of(PODS))
    [read_container] = decoded["spec"]["containers"]
    assert read_container["readinessProbe"] == {"httpGet": {"path": "/", "port": 80}}
    assert decoded["spec"]["terminationGracePeriodSeconds"] == 0, "a pointer: zero is a value"
    assert decoded["spec"]["activeDeadlineSeconds"] == -1
    assert "hostNetwork" not in decoded["spec"], "no pointer: zero is absence"


BROKEN = [
    b"",
    b"k8s",
    b"{}",
    envelope("v1", "Nonsense", b""),
    envelope("v1", "Event", b""),
    envelope("v1", "Pod", b"\x0a\xff"),
    envelope("v1", "Pod", b"\x0a\x7fshort"),
    envelope("v1", "Pod", b"\xff" * 12),
]


def test_broken_protobuf_is_a_bad_request() -> None:
    for data in BROKEN:
        with pytest.raises(ApiError) as caught:
            bodies.parse(data, bodies.PROTOBUF, [])
        assert caught.value.code == 400, data
