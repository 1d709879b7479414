"""Links, addresses and routes, as batches of netlink messages: one system call for each namespace.

Theory of operation
-------------------

    pod ── eth0 ═ p1 ── node n1 ── eth0 ═ n1 ── fabric ── x7 ═ eth0 ── external host

Everything is routed and nothing is bridged, Calico's way: a pod has a /32 (and a /128) and a default
route by 169.254.1.1 (fe80::1); its node has one route to each of its pods, by the pod's own link.
A node hangs on the fabric in the same manner, and so does an external host, whose declared address
is a route in the fabric. The fabric is the lab's own network namespace, without a route out: an
address that nobody in the lab has is "network unreachable" there, at once.

The gateway address exists nowhere. Both ends of each link know the other's hardware address by a
permanent neighbour entry, so no ARP and no neighbour discovery is ever sent: the first packet is
not slower than the others, and the entries do not count towards the kernel's limit
(net.ipv4.neigh.default.gc_thresh3, 1,024 entries for the whole machine, other people's included),
which a lab of a few hundred pods would otherwise exhaust.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address, ip_network

from netprobe.lab.fabric import netlink
from netprobe.lab.fabric.netlink import Channel
from netprobe.model.flow import Address

_GATEWAY = {4: ip_address("169.254.1.1"), 6: ip_address("fe80::1")}
_ANYWHERE = {4: ip_address("0.0.0.0"), 6: ip_address("::")}  # noqa: S104 (a default route, no socket)
_OUTER_MAC = "ee:ee:ee:ee:ee:ee"
_INNER_MAC = "02:00:00:00:00:01"
_LOOPBACK, _INNER = 1, 2  # indexes in a namespace of our own: `lo` comes first, we choose the second


def add_link(outside: Channel, name: str, index: int, inside: int) -> None:
    """Make a link, still down, from a namespace (its end called `name`) to `eth0` of another."""
    outside.send(
        [
            netlink.add_link(
                name, index, _OUTER_MAC, peer_index=_INNER, peer_mac=_INNER_MAC, peer_network=inside
            )
        ]
    )


def raise_inner(inside: Channel, addresses: Sequence[Address]) -> None:
    """The inner end of a link: up, with its addresses, and everything else by the gateway."""
    messages = [netlink.raise_link(_LOOPBACK), netlink.raise_link(_INNER)]
    messages += [netlink.add_address(_INNER, address) for address in addresses]
    for version, address in {address.version: address for address in reversed(addresses)}.items():
        gateway = _GATEWAY[version]
        messages.append(netlink.add_neighbour(_INNER, gateway, _OUTER_MAC))
        if version == 4:
            messages.append(netlink.add_route(gateway, 32, index=_INNER, on_link=True))
        messages.append(netlink.add_route(_ANYWHERE[version], 0, index=_INNER, via=gateway, source=address))
    inside.send(messages)


def raise_outer(
    outside: Channel, index: int, addresses: Sequence[Address], source: Sequence[Address] = ()
) -> None:
    """The outer end of a link: up, with a route to each address behind it.

    `source`: the addresses that this namespace itself speaks from, one of each family.
    """
    preferred = {address.version: address for address in source}
    messages = [netlink.raise_link(index)]
    for address in addresses:
        messages.append(netlink.add_neighbour(index, address, _INNER_MAC))
        messages.append(
            netlink.add_route(
                address,
                address.max_prefixlen,
                index=index,
                source=preferred.get(address.version),
                on_link=address.version == 4,
            )
        )
    outside.send(messages)


def add_route(channel: Channel, block: str, index: int, via: Address) -> None:
    """A route to a whole network by the far end of a link of ours."""
    network = ip_network(block)
    channel.send([netlink.add_route(network.network_address, network.prefixlen, index=index, via=via)])


def add_blackhole(channel: Channel, block: str) -> None:
    """Drop what goes to an address of `block` that no pod has, as Calico does for a node's block."""
    network = ip_network(block)
    channel.send([netlink.add_route(network.network_address, network.prefixlen, index=None)])


def delete_link(outside: Channel, index: int) -> None:
    """Take a link away, both ends and the routes with it; one that is gone is no error."""
    outside.send([netlink.delete_link(index)], gone_is_fine=True)
