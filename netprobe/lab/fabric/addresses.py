"""The lab's address plan, and which addresses are taken.

    nodes     172.31.255.i          fd00:172:31:255::i
    pods      10.244.i.0/24         fd00:10:244:i::/64     node i's own block; 254 pods
    services  10.96.0.0/16          fd00:10:96::/112       DNS at 10.96.0.10 and fd00:10:96::a

A node whose block is full gets another one, as with Calico's address management; the highest free one. Both
addresses of a dual-stack pod have the same block and number. Addresses are handed out in turn, so that a free
address is reused as late as possible.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_network

from netprobe.errors import LabError
from netprobe.lab.fabric.state import LabNode
from netprobe.lab.options import IPFamily
from netprobe.model.flow import Address

POD_NETWORKS = {4: "10.244.0.0/16", 6: "fd00:10:244::/48"}
SERVICE_NETWORKS = {4: "10.96.0.0/16", 6: "fd00:10:96::/112"}
_NODE_NETWORKS = {4: "172.31.255.0/24", 6: "fd00:172:31:255::/64"}
_IN_A_BLOCK = 254
_LAST_BLOCK = 255
_OWN = tuple(
    ip_network(block)
    for networks in (POD_NETWORKS, SERVICE_NETWORKS, _NODE_NETWORKS)
    for block in networks.values()
)


def versions(families: Sequence[IPFamily]) -> tuple[int, ...]:
    """4 and 6, in the order of the options; the first is the version of a pod's main address."""
    return tuple(4 if family == "ipv4" else 6 for family in families)


def node(number: int, families: Sequence[IPFamily]) -> LabNode:
    """Node `number`, from 1."""
    addresses: dict[int, Address] = {
        4: IPv4Address(f"172.31.255.{number}"),
        6: IPv6Address(f"fd00:172:31:255::{number:x}"),
    }
    return LabNode(f"n{number}", tuple(addresses[version] for version in versions(families)))


def block(number: int, version: int) -> str:
    """The network of block `number` of the pods."""
    return f"10.244.{number}.0/24" if version == 4 else f"fd00:10:244:{number:x}::/64"


def dns(version: int) -> str:
    return "10.96.0.10" if version == 4 else "fd00:10:96::a"


class Addresses:
    """Hands out the addresses of pods, and checks those of external hosts."""

    def __init__(self, nodes: Sequence[LabNode], families: Sequence[IPFamily]) -> None:
        self._versions = versions(families)
        self._free = {node.name: deque(_places(number)) for number, node in enumerate(nodes, 1)}
        self._spare = list(range(len(nodes) + 1, _LAST_BLOCK + 1))
        self._taken: dict[Address, tuple[str, tuple[int, int]] | None] = {}  # node, and place in a block

    def take(self, node: str) -> tuple[tuple[Address, ...], int | None]:
        """Addresses for a pod on a node, and the block that the node got for it, if it needed a new one."""
        new = None
        if not self._free[node]:
            if not self._spare:
                raise LabError("the lab's pod network is full")
            new = self._spare.pop()
            self._free[node].extend(_places(new))
        number, host = place = self._free[node].popleft()
        both: dict[int, Address] = {
            4: IPv4Address(f"10.244.{number}.{host}"),
            6: IPv6Address(f"fd00:10:244:{number:x}::{host:x}"),
        }
        addresses = tuple(both[version] for version in self._versions)
        self._taken.update(dict.fromkeys(addresses, (node, place)))
        return addresses, new

    def claim(self, addresses: Sequence[Address]) -> None:
        """Reserve the declared addresses of an external host. LabError if the lab cannot use one of them."""
        for address in addresses:
            if address.version not in self._versions:
                raise LabError(f"the lab has no IPv{address.version}, which {address} needs")
            if address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified:
                raise LabError(f"{address} is not an address that a host can have")
            if any(address in own for own in _OWN if own.version == address.version):
                raise LabError(f"{address} is in a network of the lab's own and cannot be an outside host")
            if address in self._taken:
                raise LabError(f"{address} is the address of another outside host")
        self._taken.update(dict.fromkeys(addresses))

    def give_back(self, addresses: Sequence[Address]) -> None:
        taken = {self._taken.pop(address, None) for address in addresses}
        for node, place in filter(None, taken):
            self._free[node].append(place)


def _places(block: int) -> Iterator[tuple[int, int]]:
    return ((block, host) for host in range(1, _IN_A_BLOCK + 1))
