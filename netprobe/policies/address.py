"""Addresses, networks and ports in the spellings that the API server accepts.

The server uses the parser of Go before 1.17 (k8s.io/utils/net, ParseIPSloppy and ParseCIDRSloppy): leading
zeros are skipped, host bits are cleared, IPv4 may be written as IPv4-mapped IPv6. Python's `ipaddress`
refuses leading zeros, so the text is parsed here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any

from netprobe.model.flow import Address, Protocol
from netprobe.model.policy import Network
from netprobe.policies import fields, names
from netprobe.policies.fields import Decoder, as_integer

_BIG = 0xFFFFFF  # Go's limit for any number in an address, leading zeros not counted
_DECIMAL = re.compile(r"[0-9]+")
_HEX = re.compile(r"[0-9A-Fa-f]+")


@dataclass(frozen=True, slots=True)
class CidrBlock:
    """A network as Go keeps it: `length` counts the bits of the family in which it was written."""

    network: Network
    length: int

    def contains_strictly(self, other: CidrBlock) -> bool:
        """The server's test for `except`: its first address lies inside, and its length is greater.

        The lengths are compared as written, so a network may be a subset of itself in another spelling.
        """
        first = other.network.network_address
        if first.version != self.network.version:
            return False
        return first in self.network and self.length < other.length


def parse_address(text: str) -> Address | None:
    """An address, None if the text is not one. An IPv4-mapped address becomes an IPv4 address."""
    try:
        return IPv4Address(text)  # the usual spelling, at a fifth of the cost
    except ValueError:
        pass
    for character in text:
        if character == ".":
            number = _ipv4(text)
            return None if number is None else IPv4Address(number)
        if character == ":":
            number = _ipv6(text)
            return None if number is None else _unmapped(number)
    return None


@lru_cache(maxsize=4096)
def parse_block(text: str) -> CidrBlock | None:
    """A CIDR with host bits cleared, None if the text is not one."""
    head, slash, tail = text.partition("/")
    length = _number(tail, _DECIMAL, 10)
    if not slash or length is None:
        return None
    number = _ipv4(head)
    if number is not None:
        return CidrBlock(IPv4Network((number, length), strict=False), length) if length <= 32 else None
    number = _ipv6(head)
    if number is None or length > 128:
        return None
    masked = number >> (128 - length) << (128 - length)
    if length >= 96 and masked >> 32 == 0xFFFF:
        return CidrBlock(IPv4Network((masked & 0xFFFFFFFF, length - 96)), length)
    return CidrBlock(IPv6Network((masked, length)), length)


def read_address(decoder: Decoder, text: str, path: str) -> Address | None:
    """An address of an API object; None and an error in `decoder` if the text is not one."""
    address = parse_address(text)
    if address is None:
        detail = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
        decoder.errors.append(fields.invalid(path, text, detail))
    return address


def _unmapped(number: int) -> Address:
    if number >> 32 == 0xFFFF:
        return IPv4Address(number & 0xFFFFFFFF)
    return IPv6Address(number)


def _number(text: str, form: re.Pattern[str], base: int) -> int | None:
    if not form.fullmatch(text):
        return None
    digits = text.lstrip("0") or "0"
    if len(digits) > 8:
        return None
    number = int(digits, base)
    return number if number < _BIG else None


def _ipv4(text: str) -> int | None:
    parts = text.split(".")
    if len(parts) != 4:
        return None
    result = 0
    for part in parts:
        number = _number(part, _DECIMAL, 10)
        if number is None or number > 255:
            return None
        result = result << 8 | number
    return result


def _ipv6(text: str) -> int | None:
    head, ellipsis, tail = text.partition("::")
    if "::" in tail or tail.startswith(":"):
        return None
    before, after = _groups(head, last=not ellipsis), _groups(tail, last=True)
    if before is None or after is None:
        return None
    missing = 8 - len(before) - len(after)
    if (missing < 1) if ellipsis else (missing != 0):
        return None
    result = 0
    for group in (*before, *[0] * missing, *after):
        result = result << 16 | group
    return result


def _groups(text: str, *, last: bool) -> list[int] | None:
    """The 16-bit groups of a part. With `last` its end may be written as IPv4."""
    if not text:
        return []
    groups: list[int] = []
    parts = text.split(":")
    for index, part in enumerate(parts):
        if "." in part and last and index == len(parts) - 1:
            number = _ipv4(part)
            if number is None:
                return None
            groups += [number >> 16, number & 0xFFFF]
            continue
        group = _number(part, _HEX, 16)
        if group is None or group > 0xFFFF:
            return None
        groups.append(group)
    return groups


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
