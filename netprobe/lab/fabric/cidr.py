"""A CIDR as the API server reads it, which is more generous than Python's `ipaddress`."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network

from netprobe.model.policy import Network

_MAPPED = IPv6Network("::ffff:0:0/96")


def parse_cidr(text: str) -> Network:
    """The network that a valid `cidr` means: host bits may be set, numbers may have leading zeros, and an
    IPv4 network may be written in its IPv4-mapped form (validation.go, by ParseCIDRSloppy). ValueError.
    """
    address, _, length = text.partition("/")
    head, colon, tail = address.rpartition(":")
    if "." in tail:
        tail = ".".join(str(int(part)) for part in tail.split("."))
    network = ip_network(f"{head}{colon}{tail}/{int(length)}", strict=False)
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        mapped = network.network_address.ipv4_mapped
        return IPv4Network((int(mapped or 0), network.prefixlen - 96))
    return network
