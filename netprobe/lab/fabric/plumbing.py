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
from ipaddress import IPv4Address

from pyroute2 import IPBatch

from netprobe.errors import LabError
from netprobe.lab.fabric import kernel
from netprobe.model.flow import Address

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


def _prefix(address: Address) -> str:
    return f"{address}/{address.max_prefixlen}"


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


def _encoded(fill: Callable[[IPBatch], None]) -> bytes:
    """The messages that `fill` puts into a batch. Only the thread that works on links may call it."""
    compiler = _compiler()
    compiler.reset()
    fill(compiler)
    return bytes(compiler.batch)


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

    def fill(batch: IPBatch) -> None:
        peer = {"ifname": "eth0", "index": _INNER, "net_ns_fd": inside, "address": _INNER_MAC}
        batch.link("add", ifname=name, index=index, kind="veth", address=_OUTER_MAC, peer=peer)

    outside.send(_encoded(fill))


def raise_inner(inside: Channel, addresses: Sequence[Address]) -> None:
    """Bring the inner end of a link up, with its addresses and a default route by the gateway."""

    def fill(batch: IPBatch) -> None:
        for address in addresses:
            flags = {} if address.version == 4 else {"flags": _NO_DUPLICATE_DETECTION}
            batch.addr("add", index=_INNER, address=str(address), prefixlen=address.max_prefixlen, **flags)

    first = {address.version: address for address in reversed(addresses)}
    alone = len(first) == len(addresses)  # one address of each family: the kernel needs no preferred source
    ways = [_way_out(version, None if alone else str(address)) for version, address in first.items()]
    inside.send(_raised_inner() + _encoded(fill) + b"".join(ways))


@cache
def _raised_inner() -> bytes:
    def fill(batch: IPBatch) -> None:
        batch.link("set", index=_LOOPBACK, state="up")
        batch.link("set", index=_INNER, state="up")

    return _encoded(fill)


@lru_cache(maxsize=16)
def _way_out(version: int, source: str | None) -> bytes:
    """The default route, by the gateway; the same for every pod."""
    family, gateway = _FAMILY[version], _GATEWAY[version]

    def fill(batch: IPBatch) -> None:
        batch.neigh("add", family=family, dst=gateway, ifindex=_INNER, lladdr=_OUTER_MAC, state=_PERMANENT)
        if version == 4:
            batch.route("add", dst=f"{gateway}/32", oif=_INNER, scope=_LINK_SCOPE)
        route = {"family": family, "dst": _DEFAULT[version], "gateway": gateway, "oif": _INNER}
        batch.route("add", **route if source is None else route | {"prefsrc": source})

    return _encoded(fill)


def raise_outer(
    outside: Channel, index: int, addresses: Sequence[Address], source: Sequence[Address] = ()
) -> None:
    """Bring the outer end of a link up, with a route to each address behind it.

    `source` are the addresses that this namespace sends from, one of each family.
    """
    preferred = {address.version: str(address) for address in source}

    def fill(batch: IPBatch) -> None:
        batch.link("set", index=index, state="up")
        for address in addresses:
            family = _FAMILY[address.version]
            batch.neigh(
                "add", family=family, dst=str(address), ifindex=index, lladdr=_INNER_MAC, state=_PERMANENT
            )
            route = {"family": family, "dst": _prefix(address), "oif": index}
            if address.version in preferred:
                route["prefsrc"] = preferred[address.version]
            if isinstance(address, IPv4Address):
                route["scope"] = _LINK_SCOPE
            batch.route("add", **route)

    outside.send(_encoded(fill))


def add_route(channel: Channel, network: str, index: int, via: Address) -> None:
    """Add a route to a whole network over a link."""

    def fill(batch: IPBatch) -> None:
        batch.route("add", family=_FAMILY[via.version], dst=network, gateway=str(via), oif=index)

    channel.send(_encoded(fill))


def add_blackhole(channel: Channel, version: int, network: str) -> None:
    """Drop packets to addresses of `network` that no pod has, as Calico does for a node's block."""

    def fill(batch: IPBatch) -> None:
        batch.route("add", family=_FAMILY[version], dst=network, type=_BLACKHOLE)

    channel.send(_encoded(fill))


def delete_blackhole(channel: Channel, version: int, network: str) -> None:
    """Undo `add_blackhole`."""

    def fill(batch: IPBatch) -> None:
        batch.route("del", family=_FAMILY[version], dst=network, type=_BLACKHOLE)

    channel.send(_encoded(fill))


def delete_links(outside: Channel, indexes: Sequence[int]) -> None:
    """Delete links, with both ends and their routes; a link that is gone is no error.

    They are deleted as a group in one message: the kernel waits some hundredths of a second for each deletion
    message.
    """

    def fill(batch: IPBatch) -> None:
        for index in indexes:
            batch.link("set", index=index, group=_LEAVING)
        batch.link("del", group=_LEAVING)

    outside.send(_encoded(fill), gone_is_fine=True)
