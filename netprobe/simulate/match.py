"""Whether a network matches an address, and an entry of `ports` a port."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import assert_never

from netprobe.model.flow import Address, ContainerPort, Protocol
from netprobe.model.policy import AnyPort, IPBlock, NamedPort, Networks, OtherProtocol, Port, PortRange

CLIENT_PORTS = range(32768, 61000)
"""The ports that a client's kernel chooses from (Linux, net.ipv4.ip_local_port_range)."""


def within(block: IPBlock | Networks, address: Address | None) -> bool:
    """In a cidr and in none of the exceptions; an address of the other family is in no network."""
    if address is None:
        return False
    cidrs = (block.cidr,) if isinstance(block, IPBlock) else block.cidrs
    return any(address in cidr for cidr in cidrs) and not any(address in other for other in block.excluded)


def opens(port: Port, number: int, protocol: Protocol, destination: Iterable[ContainerPort]) -> bool:
    """Whether an entry of `ports` covers a port; names are looked up on the destination's containers.

    `destination` is empty for an address without a pod, which no named port matches.
    """
    match port:
        case AnyPort():
            return True
        case PortRange(own, first, last):
            return own is protocol and first <= number <= last
        case NamedPort(name, own):
            return own in {None, protocol} and any(
                declared.name == name and declared.protocol is protocol and declared.number == number
                for declared in destination
            )
        case OtherProtocol():
            return False
        case _:
            assert_never(port)


@lru_cache(maxsize=1024)
def from_client(ports: tuple[Port, ...], protocol: Protocol) -> tuple[bool, bool]:
    """Whether entries match a client's own port: any that it may have, and all of them.

    A name stands for a port that a server listens on.
    """
    covered: set[int] = set()
    for port in ports:
        match port:
            case AnyPort():
                return True, True
            case PortRange(own, first, last) if own is protocol:
                covered.update(range(max(first, CLIENT_PORTS.start), min(last + 1, CLIENT_PORTS.stop)))
            case _:
                pass
    return bool(covered), len(covered) == len(CLIENT_PORTS)
