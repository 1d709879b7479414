"""Which ports, and which addresses outside, are compared for all others. Every row can be checked by hand."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from ipaddress import ip_address, ip_network

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
from tests.semantics.stage import also, app, block, param, pod, policy, rule, stage

TCP, UDP = Protocol.TCP, Protocol.UDP
REST = "any other address"
NESTED = [block("203.0.113.0/24", "203.0.113.255/32")]

KINDS = [  # blocks; addresses of x/a; families; what is compared
    param([], "", [4], f"198.51.100.1 {REST}", id="without blocks one address"),
    param([], "198.51.100.1", [4], f"1.0.0.0 {REST}", id="none of a pod, none of a machine itself"),
    param([], "", [4, 6], f"198.51.100.1 {REST} (IPv4), 2001:db8::1 {REST} (IPv6)", id="one a family"),
    param([block("2001:db8::/32")], "", [6], f"::2 {REST}, 2001:db8::1 2001:db8::/32", id="IPv6"),
    param([block("203.0.113.0/30")], "", [4], f"198.51.100.1 {REST}, 203.0.113.1 203.0.113.0/30", id="/30"),
    param([block("203.0.113.0/31")], "", [4], f"198.51.100.1 {REST}, 203.0.113.0 203.0.113.0/31", id="/31"),
    param([block("203.0.113.0/31")], "203.0.113.0 203.0.113.1", [4], f"198.51.100.1 {REST}", id="none left"),
    param(
        NESTED,
        "",
        [4],
        f"198.51.100.1 {REST}, 203.0.113.1 rest of 203.0.113.0/24, 203.0.113.255 203.0.113.255",
        id="the rest of a block around others",
    ),
    param(
        [block("127.1.0.0/16"), block("::/64")], "", [4], f"198.51.100.1 {REST}", id="not what is no other"
    ),
]


def kinds(found: Iterable[External]) -> str:
    return ", ".join(f"{each.address} {each.name}" for each in found)


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
    assert kinds(outside([stage(), of], [4], [fourth])) == f"198.51.100.1 {REST}, 203.0.113.5 203.0.113.0/29"


def tcp(first: int, last: int | None = None) -> PortRange:
    return PortRange(TCP, first, last or first)


OUTSIDE = AllPeers((NotPeer(Networks((ip_network("10.0.0.0/8"),))), PodPeer()))
PORTS = [  # ingress; egress; the ports of x/a (which declares 80 and 53/UDP), of x/n (none), and outside
    param([], [], "53/UDP 80 65535", "65535", "65535", id="declared ports and one other"),
    param(
        [
            rule(ports=[tcp(8080), PortRange(), PortRange(UDP), NamedPort("web")]),
            Rule(not_ports=(tcp(65535),)),
        ],
        [],
        "53/UDP 80 65534",
        "8080 65534 65535",
        "65534",
        id="a pod that declares none: what ingress rules name",
    ),
    param(
        [rule(ports=[tcp(1), tcp(81, 50000), tcp(50001, 65535)])],
        [rule(ports=[tcp(9)]), rule([OUTSIDE, PodPeer()], [tcp(8)]), rule([PodPeer(app("a"))], [tcp(7)])],
        "53/UDP 79 80",
        "1 79",
        "8 9 79",
        id="an address outside: what egress rules to addresses name",
    ),
    param([rule(ports=[tcp(1, 40000), tcp(20000, 65535)])], [], "53/UDP 80", "", "", id="no other is left"),
]


def numbers(ports: Iterable[PortNumber]) -> str:
    found = sorted((number, protocol.value) for number, protocol in ports)
    return " ".join(
        f"{number}" if protocol == "TCP" else f"{number}/{protocol}" for number, protocol in found
    )


@pytest.mark.parametrize(("ingress", "egress", "of_a", "of_n", "of_outside"), PORTS)
def test_ports(ingress: list[Rule], egress: list[Rule], of_a: str, of_n: str, of_outside: str) -> None:
    pods = also(pod("x/b", {}), pod("x/n", {}, ports=()))
    of = stage(policy("x/p", ingress=ingress, egress=egress), policy("y/p"), pods=pods)
    ports = Ports(of, stage(pods=pods))
    assert [numbers(found) for found in (ports.of(PodRef("x", "a")), ports.of(PodRef("x", "n")))] == [
        of_a,
        of_n,
    ]
    assert numbers(ports.outside) == of_outside
    given = Ports(of, of, [(443, TCP)])
    assert given.of(PodRef("x", "a")) == given.outside == {(443, TCP)}
    assert given.other is None


def test_ports_that_no_rule_tells_apart() -> None:
    """Port web is 80, and 81 of x/b."""
    udp = PortRange(UDP, 65535, 65535)
    web = policy("x/p", ingress=[Rule(ports=(tcp(8000, 8009), NamedPort("web")), not_ports=(udp,))])
    ports = Ports(stage(web), stage())
    kept = [79, 80, 81, 7999, 8000, 8009, 8010]
    alike = [
        (one, other)
        for one in kept
        for other in kept
        if one < other and ports.class_of((one, TCP)) == ports.class_of((other, TCP))
    ]
    assert alike == [(79, 7999), (8000, 8009)]
    assert ports.class_of((79, TCP)) != ports.class_of((79, UDP))
    assert numbers(representatives(stage(web), [web])) == "1/SCTP 1 1/UDP 80 81 8000 8010 65535/UDP"
