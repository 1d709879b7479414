"""Reading ports of API objects: numbers, names and protocols."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netprobe.model.flow import Protocol
from netprobe.policies import fields, names
from netprobe.policies.fields import Decoder, as_integer

_PROTOCOLS = tuple(protocol.value for protocol in Protocol)


def read_protocol(
    decoder: Decoder, entry: Mapping[str, Any], path: str, *, allow_empty: bool = False
) -> Protocol:
    """The `protocol` of an entry, TCP if it is absent; with `allow_empty` also if it is ""."""
    text = decoder.string(entry, "protocol", path)
    if text is None or (text == "" and allow_empty):
        return Protocol.TCP
    if text not in _PROTOCOLS:
        decoder.errors.append(fields.not_supported(f"{path}.protocol", text, _PROTOCOLS))
        return Protocol.TCP
    return Protocol(text)


def read_number(decoder: Decoder, entry: Mapping[str, Any], key: str, path: str) -> int | None:
    """A required port number; None and an error in `decoder` if it is missing or not an integer."""
    number = decoder.integer(entry, key, path)
    if number is not None:
        check_number(decoder, number, f"{path}.{key}")
    elif entry.get(key) is None:
        decoder.errors.append(fields.required(f"{path}.{key}", ""))
    return number


def read_port(decoder: Decoder, value: Any, path: str) -> int | str | None:
    """A port that is a number or the name of a container port; None and an error if it is neither."""
    if isinstance(value, str):
        decoder.errors += [fields.invalid(path, value, text) for text in names.port_name(value)]
        return value
    number = as_integer(value)
    if number is None:
        decoder.errors.append(fields.wrong_type(path, value, "an integer or a port's name"))
    else:
        check_number(decoder, number, path)
    return number


def check_number(decoder: Decoder, number: int, path: str) -> None:
    decoder.errors += [fields.invalid(path, number, text) for text in names.port_number(number)]
