"""Addresses, networks and ports in the spellings that the API server accepts.

The server uses the parser of Go before 1.17 (k8s.io/utils/net, ParseIPSloppy and ParseCIDRSloppy): leading
zeros are skipped, host bits are cleared, IPv4 may be written as IPv4-mapped IPv6. Python's `ipaddress`
refuses leading zeros, so they are removed first.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address, ip_network
from typing import Any

from netprobe.model.flow import Address, Protocol
from netprobe.model.policy import Network
from netprobe.policies import fields, names
from netprobe.policies.fields import Decoder, as_integer

_LEADING_ZEROS = re.compile(r"(?<![0-9A-Fa-f])0+(?=[0-9A-Fa-f])")
_LENGTH = re.compile(r"0*([0-9]{1,3})")
_PROTOCOLS = tuple(protocol.value for protocol in Protocol)


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
        address = _parsed(text)
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address


@lru_cache(maxsize=4096)
def parse_block(text: str) -> CidrBlock | None:
    """A CIDR with host bits cleared, None if the text is not one."""
    head, _, tail = text.partition("/")
    address, bits = _parsed(head), _LENGTH.fullmatch(tail)
    length = int(bits[1]) if bits is not None else -1
    if address is None or not 0 <= length <= address.max_prefixlen:
        return None
    network = ip_network((address, length), strict=False)
    first = network.network_address
    if isinstance(first, IPv6Address) and first.ipv4_mapped is not None and length >= 96:
        network = IPv4Network((first.ipv4_mapped, length - 96))
    return CidrBlock(network, length)


def read_address(decoder: Decoder, text: str, path: str) -> Address | None:
    """An address of an API object; None and an error in `decoder` if the text is not one."""
    address = parse_address(text)
    if address is None:
        detail = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
        decoder.errors.append(fields.invalid(path, text, detail))
    return address


def _parsed(text: str) -> Address | None:
    """An address as it is written; None if the text is not one, or has a zone, which Go refuses here."""
    try:
        return None if "%" in text else ip_address(_LEADING_ZEROS.sub("", text))
    except ValueError:
        return None


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
