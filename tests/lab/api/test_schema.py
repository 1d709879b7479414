"""The types behind the API hold together, and protobuf is read by their numbers."""

from __future__ import annotations

from typing import Any

import pytest

from netprobe.lab.api import protobuf, resources, words
from netprobe.lab.api.decode import Decoder
from netprobe.lab.api.schema import SCALARS, Type, definition, definition_names, definition_of
from netprobe.lab.api.status import ApiError


def inner(type_: Type) -> Type:
    return inner(type_.item) if type_.item is not None else type_


@pytest.mark.parametrize("name", definition_names())
def test_a_definition_refers_to_what_there_is(name: str) -> None:
    of = definition(name)
    for field_name, field in of.fields.items():
        innermost = inner(field.type)
        assert innermost.name in SCALARS or innermost.name in definition_names(), field_name
        item = innermost.definition
        for key in (*field.keys, *filter(None, [field.merge_key])):
            assert item is not None
            assert key in item.fields, f"{field_name}: {key}"
    numbers = [field.number for field in of.fields.values() if field.number != (0, 0)]
    assert len(numbers) == len(set(numbers))


def test_every_kind_has_a_definition() -> None:
    for resource in resources.RESOURCES:
        assert "metadata" in definition_of(resource.group, resource.kind).fields


def test_words_describe_what_there_is() -> None:
    for name in words.DEFINITIONS:
        definition(name)
    for name, field in words.FIELDS:
        assert field in definition(name).fields


ACCESS_REVIEW = bytes.fromhex(  # as `kubectl auth can-i create pods` of 1.33 sends it
    "6b3873000a320a17617574686f72697a6174696f6e2e6b38732e696f2f7631121753656c665375626a6563744163636573735265"
    "76696577123f0a100a0012001a0022002a003200380042001221"
    "0a1f0a0764656661756c7412066372656174651a0022002a04706f647332003a001a080800120"
    "01a0020001a002200"
)


def test_an_access_review_in_protobuf() -> None:
    read = protobuf.decode(ACCESS_REVIEW)
    assert read["apiVersion"] == "authorization.k8s.io/v1"
    assert read["kind"] == "SelfSubjectAccessReview"
    attributes = read["spec"]["resourceAttributes"]
    assert {key: value for key, value in attributes.items() if value} == {
        "namespace": "default",
        "verb": "create",
        "resource": "pods",
    }


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
    read = protobuf.decode(envelope("v1", "Service", message(f1=metadata, f2=spec, f99="from the future")))
    assert read["spec"]["ports"][0]["targetPort"] == "web"
    assert read["metadata"]["creationTimestamp"] == "2023-11-14T22:13:20Z"
    decoded = Decoder("Service", "v1").struct(read, definition("core.v1.Service"))
    assert decoded["spec"] == {
        "ports": [{"name": "http", "protocol": "TCP", "port": 80, "targetPort": "web"}],
        "selector": {"app": "x"},
    }
    assert decoded["metadata"]["labels"] == {"a": ""}


def test_an_inlined_struct_and_a_pointer_to_zero() -> None:
    volume = message(f1="v", f2=message(f2=message(f1="Memory")))
    raw = message(f2=message(f1=volume, f4=0, f5=-1, f11=0))
    read: Any = protobuf.decode(envelope("v1", "Pod", raw))
    decoded = Decoder("Pod", "v1").struct(read, definition("core.v1.Pod"))
    assert decoded["spec"]["volumes"] == [{"name": "v", "emptyDir": {"medium": "Memory"}}]
    assert decoded["spec"]["terminationGracePeriodSeconds"] == 0, "a pointer: zero is a value"
    assert decoded["spec"]["activeDeadlineSeconds"] == -1
    assert "hostNetwork" not in decoded["spec"], "no pointer: zero is absence"


BROKEN = [
    b"",
    b"k8s",
    b"{}",
    envelope("v1", "Nonsense", b""),
    envelope("v1", "Pod", b"\x0a\xff"),
    envelope("v1", "Pod", b"\x0a\x7fshort"),
    envelope("v1", "Pod", b"\xff" * 12),
]


@pytest.mark.parametrize("data", BROKEN, ids=repr)
def test_broken_protobuf_is_a_bad_request(data: bytes) -> None:
    from netprobe.lab.api import decode

    with pytest.raises(ApiError) as caught:
        decode.parse(data, protobuf.MEDIA_TYPE, [])
    assert caught.value.code == 400
