"""Whether a block matches an address, and an entry of `ports` a port."""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from netprobe.model.flow import Address, ContainerPort, Protocol
from netprobe.model.policy import AnyPort, IPBlock, NamedPort, OtherProtocol, Port, PortRange


def within(block: IPBlock, address: Address) -> bool:
    """In the cidr and in none of the exceptions; an address of the other family is in no block."""
    return address in block.cidr and not any(address in excluded for excluded in block.excluded)


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
