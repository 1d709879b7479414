"""Netlink: the few messages that the lab's links and routes are made of, and the socket that takes them.

Written out here and not taken from a library: the lab needs seven messages, and each pod comes up by them.
A general library took 6 ms of CPU time to encode those of one pod, and a sixth of the lab's start to import.
The numbers are those of linux/rtnetlink.h, if_link.h, if_addr.h and neighbour.h.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Sequence

from netprobe.errors import LabError
from netprobe.lab.fabric import kernel
from netprobe.model.flow import Address

_REQUEST, _ACK, _EXCLUSIVE, _CREATE = 0x1, 0x4, 0x200, 0x400
_NEW = _CREATE | _EXCLUSIVE
_NEWLINK, _DELLINK, _SETLINK, _NEWADDR, _NEWROUTE, _NEWNEIGH = 16, 17, 19, 20, 24, 28
_NESTED = 0x8000
_UP = 1
_PERMANENT = 0x80
_NO_DUPLICATE_DETECTION = 0x02
_MAIN_TABLE, _STATIC = 254, 4
_UNIVERSE, _ON_LINK = 0, 253
_UNICAST, _BLACKHOLE = 1, 6
_ERROR = 2
_FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}


def _attribute(number: int, value: bytes) -> bytes:
    return struct.pack("=HH", len(value) + 4, number) + value + bytes(-len(value) % 4)


def _index(value: int) -> bytes:
    return struct.pack("=i", value)


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def _message(kind: int, flags: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack("=IHHII", 16 + len(body), kind, _REQUEST | _ACK | flags, 0, 0) + body


def _link(index: int, *, up: bool = False) -> bytes:
    return struct.pack("=BxHiII", socket.AF_UNSPEC, 0, index, up * _UP, up * _UP)


def add_link(name: str, index: int, mac: str, *, peer_index: int, peer_mac: str, peer_network: int) -> bytes:
    """A pair of ends, both down: one here, the other called `eth0` in another namespace (a descriptor)."""
    peer = (
        _link(peer_index)
        + _attribute(3, b"eth0\0")
        + _attribute(1, _mac(peer_mac))
        + _attribute(28, _index(peer_network))
    )
    pair = _attribute(1, b"veth") + _attribute(2 | _NESTED, _attribute(1 | _NESTED, peer))
    return _message(
        _NEWLINK,
        _NEW,
        _link(index),
        _attribute(3, name.encode() + b"\0"),
        _attribute(1, _mac(mac)),
        _attribute(18 | _NESTED, pair),
    )


def delete_link(index: int) -> bytes:
    return _message(_DELLINK, 0, _link(index))


def raise_link(index: int) -> bytes:
    return _message(_SETLINK, 0, _link(index, up=True))


def add_address(index: int, address: Address) -> bytes:
    """An address of its own, without a network; for IPv6 without asking whether others have it."""
    flags = _NO_DUPLICATE_DETECTION if address.version == 6 else 0
    return _message(
        _NEWADDR,
        _NEW,
        struct.pack("=BBBBI", _FAMILY[address.version], address.max_prefixlen, flags, 0, index),
        _attribute(2, address.packed),
        _attribute(1, address.packed),
    )


def add_neighbour(index: int, address: Address, mac: str) -> bytes:
    """A hardware address that need not be asked for, for ever."""
    return _message(
        _NEWNEIGH,
        _NEW,
        struct.pack("=BxxxiHBB", _FAMILY[address.version], index, _PERMANENT, 0, 0),
        _attribute(1, address.packed),
        _attribute(2, _mac(mac)),
    )


def add_route(
    network: Address,
    length: int,
    *,
    index: int | None,
    via: Address | None = None,
    source: Address | None = None,
    on_link: bool = False,
) -> bytes:
    """A route to `network`/`length` by a link; `index` None: it leads nowhere and drops what takes it."""
    attributes = [_attribute(1, network.packed)] if length else []
    if index is not None:
        attributes.append(_attribute(4, _index(index)))
    if via is not None:
        attributes.append(_attribute(5, via.packed))
    if source is not None:
        attributes.append(_attribute(7, source.packed))
    scope = _ON_LINK if on_link else _UNIVERSE
    kind = _BLACKHOLE if index is None else _UNICAST
    family = _FAMILY[network.version]
    head = struct.pack("=BBBBBBBBI", family, length, 0, 0, _MAIN_TABLE, _STATIC, scope, kind, 0)
    return _message(_NEWROUTE, _NEW, head, *attributes)


class Channel:
    """A netlink socket in one namespace; close it, or keep it for a namespace that stays."""

    def __init__(self, network: int) -> None:
        with kernel.inside(network):
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
        self._socket.bind((0, 0))

    def __enter__(self) -> Channel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def send(self, messages: Sequence[bytes], *, gone_is_fine: bool = False) -> None:
        """Send a batch, in one system call; LabError for the first message that the kernel refuses."""
        self._socket.send(b"".join(messages))
        left, refused = len(messages), 0
        while left:
            for code in _acknowledged(self._socket.recv(1 << 16)):
                left -= 1
                refused = refused or code
        if refused and not gone_is_fine:
            raise LabError(f"the kernel refused a link or a route of the lab: {os.strerror(refused)}")


def _acknowledged(answer: bytes) -> list[int]:
    """The error numbers of the acknowledgements in an answer, 0 for success."""
    codes, offset = [], 0
    while offset < len(answer):
        length, kind = struct.unpack_from("=IH", answer, offset)
        if kind == _ERROR:
            codes.append(-struct.unpack_from("=i", answer, offset + 16)[0])
        offset += (length + 3) & ~3
    return codes
