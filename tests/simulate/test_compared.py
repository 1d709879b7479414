"""Which ports, and which addresses outside, are compared for all others. Every row can be checked by hand."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from ipaddress import ip_address, ip_network
from itertools import groupby

import pytest

from netprobe.model.cluster import Service
from netprobe.model.flow import External, Family, PodRef, Protocol, ServiceRef
from netprobe.model.policy import (
    AllPeers,
    IPBlock,
    NamedPort,
    Networks,
    NetworkSet,
    NotPeer,
    PodPeer,
    PortRange,
    Rule,
)
from netprobe.simulate.compared import PortNumber, Ports, outside, representatives
from tests.semantics.stage import also, block, param, pod, policy, rule, stage

TCP, UDP = Protocol.TCP, Protocol.UDP

KINDS = [  # blocks; addresses of x/a; families; what is compared, where * is any other address
    param([], "", [4], "198.51.100.1 *", id="without blocks one address"),
    param([], "198.51.100.1", [4], "1.0.0.0 *", id="none of a pod, none of a machine itself"),
    param([], "", [4, 6], "198.51.100.1 * (IPv4), 2001:db8::1 * (IPv6)", id="one of each family"),
    param([block("2001:db8::/32")], "", [6], "::2 *, 2001:db8::1 2001:db8::/32", id="one of each block"),
    param([block("192.0.2.0/30")], "", [4], "198.51.100.1 *, 192.0.2.1 192.0.2.0/30", id="not the first"),
    param([block("192.0.2.0/31")], "", [4], "198.51.100.1 *, 192.0.2.0 192.0.2.0/31", id="the first of two"),
    param([block("192.0.2.0/31")], "192.0.2.0 192.0.2.1", [4], "198.51.100.1 *", id="none is left"),
    param([block("127.1.0.0/16"), block("::/64")], "", [4], "198.51.100.1 *", id="no loopback, no IPv6"),
    param(
        [block("192.0.2.0/29", "192.0.2.7/32")],
        "",
        [4],
        "198.51.100.1 *, 192.0.2.1 rest of 192.0.2.0/29, 192.0.2.7 192.0.2.7",
        id="the rest around a block",
    ),
]


def kinds(found: Iterable[External]) -> str:
    return ", ".join(f"{each.address} {each.name}" for each in found).replace("any other address", "*")


@pytest.mark.parametrize(("blocks", "addresses", "families", "expected"), KINDS)
def test_one_address_of_each_kind(
    blocks: list[IPBlock], addresses: str, families: list[Family], expected: str
) -> None:
    cluster = stage(policy("x/p", egress=[rule(blocks)]), pods=also(pod("x/a", {}, *addresses.split())))
    assert kinds(outside([cluster], families)) == expected


def test_an_address_that_something_has_represents_nothing() -> None:
    """A pod, its node, a Service and an end that is compared anyway have one each of a set of addresses."""
    first, second, third, fourth = (ip_address(f"203.0.113.{number}") for number in range(1, 5))
    web = Service(ServiceRef("x", "web"), addresses=(third,))
    pods = also(replace(pod("x/a", {}, str(first)), node_addresses=(second,)))
    named = NetworkSet("", "partners", {}, (ip_network("203.0.113.0/29"),))
    of = replace(stage(pods=pods, services=[web]), network_sets=(named,))
    assert kinds(outside([stage(), of], [4], [fourth])) == "198.51.100.1 *, 203.0.113.5 203.0.113.0/29"


def tcp(first: int, last: int | None = None) -> PortRange:
    return PortRange(TCP, first, last or first)


OUTSIDE = AllPeers((NotPeer(Networks((ip_network("10.0.0.0/8"),))), PodPeer()))
ALL_BUT_ONE = Rule(not_ports=(tcp(65535),))
NAMING = rule(ports=[tcp(8080), PortRange(), PortRange(UDP), NamedPort("web")])
TO_ALL, TO_SOME, TO_PODS = (
    rule(ports=[tcp(9)]),
    rule([OUTSIDE, PodPeer()], [tcp(8)]),
    rule([PodPeer()], [tcp(7)]),
)
MOST, EVERY = [tcp(1), tcp(81, 50000), tcp(50001, 65535)], [tcp(1, 40000), tcp(20000, 65535)]
PORTS = [  # ingress; egress; the ports of x/a (which declares 80 and 53/UDP), of x/n (none), and outside
    param([], [], "53/UDP 80 65535", "65535", "65535", id="declared ports and one other"),
    param([rule(ports=MOST)], [], "53/UDP 79 80", "1 79", "79", id="the highest that is free"),
    param([rule(ports=EVERY)], [], "53/UDP 80", "", "", id="no other is left"),
    param([NAMING, ALL_BUT_ONE], [], "53/UDP 80 65534", "8080 65534 65535", "65534", id="of ingress rules"),
    param([], [TO_ALL, TO_SOME, TO_PODS], "53/UDP 80 65535", "65535", "8 9 65535", id="to addresses"),
]


def numbers(ports: Iterable[PortNumber]) -> str:
    found = sorted((number, protocol.value) for number, protocol in ports)
    return " ".join(f"{number}/{protocol}" for number, protocol in found).replace("/TCP", "")


@pytest.mark.parametrize(("ingress", "egress", "of_a", "of_n", "of_outside"), PORTS)
def test_ports(ingress: list[Rule], egress: list[Rule], of_a: str, of_n: str, of_outside: str) -> None:
    pods = also(pod("x/b", {}), pod("x/n", {}, ports=()))
    of = stage(policy("x/p", ingress=ingress, egress=egress), policy("y/p"), pods=pods)
    ports = Ports(of, stage(pods=pods))
    assert numbers(ports.of(PodRef("x", "a"))) == of_a
    assert numbers(ports.of(PodRef("x", "n"))) == of_n
    assert numbers(ports.outside) == of_outside
    given = Ports(of, of, [(443, TCP)])
    assert given.of(PodRef("x", "a")) == given.outside == {(443, TCP)}
    assert given.other is None


def test_ports_that_no_rule_tells_apart() -> None:
    """Port web is 80, and 81 of x/b."""
    udp = PortRange(UDP, 65535, 65535)
    web = policy("x/p", ingress=[Rule(ports=(tcp(8000, 8009), NamedPort("web")), not_ports=(udp,))])
    ports = Ports(stage(web), stage())
    kept = (79, 80, 81, 82, 7999, 8000, 8009, 8010)
    alike = [list(found) for _, found in groupby(kept, lambda number: ports.class_of((number, TCP)))]
    assert alike == [[79], [80], [81], [82, 7999], [8000, 8009], [8010]]
    assert ports.class_of((79, TCP)) != ports.class_of((79, UDP))
    assert numbers(representatives(stage(web), [web])) == "1/SCTP 1 1/UDP 80 81 8000 8010 65535/UDP"
