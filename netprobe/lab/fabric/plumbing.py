"""Links, addresses and routes: batches of netlink messages, one system call for each namespace.

Theory of operation
-------------------

    pod ── eth0 ═ p1 ── node n1 ── eth0 ═ n1 ── fabric ── x7 ═ eth0 ── external host

Everything is routed and nothing is bridged, as with Calico: a pod has a /32 (and a /128) and a default
route by 169.254.1.1 (fe80::1), and its node has one route to each of its pods, over the pod's own link.
A node is linked to the fabric in the same way, and so is an external host, whose declared address is a
route in the fabric. The fabric is the lab's own network namespace. It has no route out: an address that
does not exist in the lab is "network unreachable" there, at once.

No interface has the gateway address. Both ends of each link know the other's hardware address by a
permanent neighbour entry, so there is no ARP and no neighbour discovery. Therefore the first packet is
not slower than the others, and the entries do not count towards the kernel's limit
(net.ipv4.neigh.default.gc_thresh3, 1,024 entries for the whole machine), which a lab of a few hundred
pods would otherwise exhaust.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import Any, TypeAlias

from pyroute2 import IPBatch

from netprobe.errors import LabError
from netprobe.lab.fabric import kernel
from netprobe.model.flow import Address

Command: TypeAlias = Callable[[IPBatch], None]

_GATEWAY = {4: "169.254.1.1", 6: "fe80::1"}
_DEFAULT = {4: "0.0.0.0/0", 6: "::/0"}
_FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}
_OUTER_MAC = "ee:ee:ee:ee:ee:ee"
_INNER_MAC = "02:00:00:00:00:01"
_LOOPBACK, _INNER = 1, 2  # indexes in a namespace of our own: `lo` has the first, we choose the second
_LEAVING = 1  # the group of links that are deleted together; all others are in group 0
_LINK_SCOPE = 253
_PERMANENT = 0x80
_BLACKHOLE = 6
_NO_DUPLICATE_DETECTION = 0x02
_NLMSG_ERROR = 2


class Channel:
    """A netlink socket in one namespace."""

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

    def send(self, messages: bytes, *, gone_is_fine: bool = False) -> None:
        """Send a batch of messages; LabError for the first that the kernel refuses."""
        wanted = _count(messages)
        self._socket.send(messages)
        refused: list[int] = []
        while wanted:
            for code in _acknowledged(self._socket.recv(1 << 16)):
                wanted -= 1
                if code:
                    refused.append(code)
        if refused and not gone_is_fine:
            raise LabError(f"the kernel refused a link or a route of the lab: {os.strerror(refused[0])}")


@cache
def _compiler() -> IPBatch:
    """One for all batches, since making it takes longer than sending most messages."""
    return IPBatch()


def _encoded(*commands: Command) -> bytes:
    """The messages of commands. Only the thread that works on links may call it."""
    compiler = _compiler()
    compiler.reset()
    for command in commands:
        command(compiler)
    return bytes(compiler.batch)


def _link(verb: str, **values: Any) -> Command:
    return lambda batch: batch.link(verb, **values)


def _route(verb: str, **values: Any) -> Command:
    return lambda batch: batch.route(verb, **values)


def _neighbour(address: str, version: int, index: int, mac: str) -> Command:
    """A permanent entry, so that no packet asks for it."""
    known = {"dst": address, "ifindex": index, "lladdr": mac, "state": _PERMANENT}
    return lambda batch: batch.neigh("add", family=_FAMILY[version], **known)


def _address(address: Address) -> Command:
    values: dict[str, Any] = {"address": str(address), "prefixlen": address.max_prefixlen}
    if address.version == 6:
        values["flags"] = _NO_DUPLICATE_DETECTION
    return lambda batch: batch.addr("add", index=_INNER, **values)


def _count(messages: bytes) -> int:
    count = offset = 0
    while offset < len(messages):
        offset += (struct.unpack_from("I", messages, offset)[0] + 3) & ~3
        count += 1
    return count


def _acknowledged(answer: bytes) -> list[int]:
    """The error numbers of the acknowledgements in an answer, 0 for success."""
    codes, offset = [], 0
    while offset < len(answer):
        length, kind = struct.unpack_from("IH", answer, offset)
        if kind == _NLMSG_ERROR:
            codes.append(-struct.unpack_from("i", answer, offset + 16)[0])
        offset += (length + 3) & ~3
    return codes


def add_link(outside: Channel, name: str, index: int, inside: int) -> None:
    """Make a link, still down, from a namespace (its end called `name`) to `eth0` of another."""
    peer = {"ifname": "eth0", "index": _INNER, "net_ns_fd": inside, "address": _INNER_MAC}
    outside.send(_encoded(_link("add", ifname=name, index=index, kind="veth", address=_OUTER_MAC, peer=peer)))


def raise_inner(inside: Channel, addresses: Sequence[Address]) -> None:
    """Bring the inner end of a link up, with its addresses and a default route by the gateway."""
    first = {address.version: address for address in reversed(addresses)}
    alone = len(first) == len(addresses)  # one address of each family: the kernel needs no preferred source
    ways = [_way_out(version, None if alone else str(address)) for version, address in first.items()]
    inside.send(_raised_inner() + _encoded(*map(_address, addresses)) + b"".join(ways))


@cache
def _raised_inner() -> bytes:
    return _encoded(_link("set", index=_LOOPBACK, state="up"), _link("set", index=_INNER, state="up"))


@lru_cache(maxsize=16)
def _way_out(version: int, source: str | None) -> bytes:
    """The default route, by the gateway; the same for every pod."""
    gateway = _GATEWAY[version]
    commands = [_neighbour(gateway, version, _INNER, _OUTER_MAC)]
    if version == 4:
        commands.append(_route("add", dst=f"{gateway}/32", oif=_INNER, scope=_LINK_SCOPE))
    route = {"family": _FAMILY[version], "dst": _DEFAULT[version], "gateway": gateway, "oif": _INNER}
    commands.append(_route("add", **route if source is None else route | {"prefsrc": source}))
    return _encoded(*commands)


def raise_outer(
    outside: Channel, index: int, addresses: Sequence[Address], source: Sequence[Address] = ()
) -> None:
    """Bring the outer end of a link up, with a route to each address behind it.

    `source` are the addresses that this namespace sends from, one of each family.
    """
    preferred = {address.version: str(address) for address in source}
    commands = [_link("set", index=index, state="up")]
    for address in addresses:
        commands.append(_neighbour(str(address), address.version, index, _INNER_MAC))
        dst = f"{address}/{address.max_prefixlen}"
        route: dict[str, Any] = {"family": _FAMILY[address.version], "dst": dst, "oif": index}
        if address.version in preferred:
            route["prefsrc"] = preferred[address.version]
        if address.version == 4:
            route["scope"] = _LINK_SCOPE
        commands.append(_route("add", **route))
    outside.send(_encoded(*commands))


def add_route(channel: Channel, network: str, index: int, via: Address) -> None:
    """Add a route to a whole network over a link."""
    family = _FAMILY[via.version]
    channel.send(_encoded(_route("add", family=family, dst=network, gateway=str(via), oif=index)))


def add_blackhole(channel: Channel, version: int, network: str) -> None:
    """Drop packets to addresses of `network` that no pod has, as Calico does for a node's block."""
    channel.send(_encoded(_route("add", family=_FAMILY[version], dst=network, type=_BLACKHOLE)))


def delete_blackhole(channel: Channel, version: int, network: str) -> None:
    """Undo `add_blackhole`."""
    channel.send(_encoded(_route("del", family=_FAMILY[version], dst=network, type=_BLACKHOLE)))


def delete_links(outside: Channel, indexes: Sequence[int]) -> None:
    """Delete links, with both ends and their routes; a link that is gone is not an error.

    They are deleted as a group in one message: the kernel waits some hundredths of a second for each deletion
    message.
    """
    leaving = [_link("set", index=index, group=_LEAVING) for index in indexes]
    outside.send(_encoded(*leaving, _link("del", group=_LEAVING)), gone_is_fine=True)
