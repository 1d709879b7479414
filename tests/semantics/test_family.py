"""Dual stack: a flow is judged by the addresses it uses. And pods whose address nobody knows."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from netprobe.model.flow import Family, PodRef
from netprobe.model.labels import EVERYTHING
from netprobe.model.policy import Direction, IPBlock, Networks, Peer, PodPeer
from netprobe.model.verdict import Verdict
from netprobe.simulate import CILIUM, Simulator, evaluate
from tests.semantics.stage import (
    also,
    app,
    block,
    decide,
    end,
    facing,
    flow,
    mark,
    marks,
    param,
    pod,
    policy,
    rule,
    stage,
    toward,
)

PODS = also(
    pod("x/a", {"app": "a"}, "10.244.1.1", "fd00::1:1"),
    pod("x/b", {"app": "b"}, "10.244.1.2"),
    pod("x/e", {"app": ""}, "fd00::1:3"),
    pod("x/n", {}),
    pod("y/a", {"app": "a"}, "10.244.2.1", "fd00::2:1"),
    pod("y/b", {"app": "b"}),
)

BOTH: list[object] = [  #                                              IPv4 IPv6
    param([PodPeer(app("a"), EVERYTHING)], ".", ".", id="a selector opens both families"),
    param([block("10.244.2.0/24")], ".", "X", id="a v4 ipBlock opens nothing over v6"),
    param([block("fd00::2:0/112")], "X", ".", id="a v6 ipBlock opens nothing over v4"),
    param([block("0.0.0.0/0")], ".", "X", id="0.0.0.0/0 is not everything"),
    param([block("::/0")], "X", ".", id="::/0 is not everything"),
    param([block("::/0", "fd00::/16")], "X", "X", id="an exception over v6"),
    param([block("10.244.2.0/24"), block("fd00::2:0/112")], ".", ".", id="a block of each"),
]


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize(("peers", "four", "six"), BOTH)
def test_each_family_for_itself(direction: Direction, peers: list[Peer], four: str, six: str) -> None:
    cluster = stage(facing(direction, "x/p", None, rule(peers)), pods=PODS)
    [asked] = toward(direction, "x/a", "y/a")
    assert mark(cluster, flow(asked, family=4)) == four
    assert mark(cluster, flow(asked, family=6)) == six


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize(("peers", "four", "six"), BOTH)
def test_one_row_where_the_families_agree_and_two_where_not(
    direction: Direction, peers: list[Peer], four: str, six: str
) -> None:
    cluster = stage(facing(direction, "x/p", None, rule(peers)), pods=PODS)
    asked = flow(toward(direction, "x/a", "y/a")[0])
    rows = Simulator(cluster).split(asked)
    assert [row.family for row in rows] == ([None] if four == six else [4, 6])
    assert mark(cluster, asked) == (four if four == six else "?")
    source, destination = asked.source, asked.destination
    assert isinstance(source, PodRef)
    assert isinstance(destination, PodRef)
    pairs = evaluate(cluster).pairs(80, sources=[source], destinations=[destination])
    assert [(pair.family, pair.verdict.mark) for pair in pairs] == [
        (row.family, mark(cluster, row)) for row in rows
    ]


FAMILIES = [
    param("x/a", "y/a", (4, 6), id="both have both"),
    param("x/a", "x/b", (4,), id="one has IPv4 alone"),
    param("x/a", "x/e", (6,), id="one has IPv6 alone"),
    param("x/b", "x/e", (), id="none in common"),
    param("x/a", "x/n", (4, 6), id="an unknown address goes along with the other's"),
    param("x/n", "x/b", (4,), id="an unknown address at the source"),
    param("x/n", "y/b", (None,), id="both unknown"),
    param("x/a", "out", (4,), id="an address outside has its own"),
    param("x/e", "out", (), id="IPv6 alone to an IPv4 address outside"),
]


@pytest.mark.parametrize(("source", "destination", "families"), FAMILIES)
def test_the_families_of_a_pair(source: str, destination: str, families: tuple[Family, ...]) -> None:
    simulator = Simulator(stage(pods=PODS))
    assert simulator.families(end(source), end(destination)) == families
    rows = simulator.split(flow(f"{source} -> {destination} 80"))
    assert [row.family for row in rows] == ([families[0]] if len(families) == 1 else [None])


NO_FAMILY = [
    param("x/b -> x/e 80", None, "x/b and x/e have no address family in common", id="none in common"),
    param("x/b -> x/a 80", 6, "no IPv6 address: x/b", id="the source has none of that family"),
    param("x/a -> x/b 80", 6, "no IPv6 address: x/b", id="the destination has none of that family"),
    param("x/b -> y/b 80", 6, "no IPv6 address: x/b", id="the other's is unknown"),
    param("x/b -> x/b 80", 6, "no IPv6 address: x/b", id="a pod to itself"),
    param("x/e -> out 80", None, "x/e and out have no address family in common", id="outside"),
]


@pytest.mark.parametrize(("asked", "family", "reason"), NO_FAMILY)
def test_without_a_common_family_nothing_can_be_said(asked: str, family: Family, reason: str) -> None:
    decision = decide(stage(pods=PODS), flow(asked, family=family))
    assert (decision.verdict, decision.reason) == (Verdict.UNKNOWN, reason)


def test_the_reason_where_families_differ() -> None:
    cluster = stage(policy("x/p", ingress=[rule([block("0.0.0.0/0")])]), pods=PODS)
    decision = decide(cluster, "y/a -> x/a 80")
    assert decision.reason == "the address families differ (IPv4: allow, IPv6: deny): specify one"


UNKNOWN_ADDRESS: list[object] = [  #                                        - IPv4 IPv6
    param([PodPeer(EVERYTHING, EVERYTHING)], ". . .", id="a selector needs no address"),
    param([block("0.0.0.0/0")], ". . .", id="all addresses: wherever the pod will be, it is among them"),
    param([block("::/0")], ". . .", id="all IPv6 addresses: it may have one"),
    param([block("0.0.0.0/0", "10.0.0.0/8")], "X X X", id="all but private networks"),
    param([block("::/0", "fc00::/7")], "X X X", id="all but private IPv6 networks"),
    param([block("203.0.113.0/24")], "X X X", id="addresses outside"),
    param([block("203.0.113.0/24"), PodPeer(app("b"), EVERYTHING)], ". . .", id="other peers count"),
]


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize(("peers", "expected"), UNKNOWN_ADDRESS)
def test_a_pod_whose_address_nobody_knows(direction: Direction, peers: list[Peer], expected: str) -> None:
    cluster = stage(facing(direction, "x/p", None, rule(peers)), pods=PODS)
    [asked] = toward(direction, "x/n", "y/b")
    families: tuple[Family | None, ...] = (None, 4, 6)
    assert " ".join(mark(cluster, flow(asked, family=family)) for family in families) == expected


def test_without_an_address_a_pod_is_in_networks_and_in_blocks_if_they_match_pods() -> None:
    everything = ip_network("0.0.0.0/0")
    found = []
    for peer in (IPBlock(everything), Networks((everything,))):
        cluster = stage(policy("y/p", ingress=[rule([peer])]), pods=PODS)
        found.append(marks(cluster, [flow(f"x/{name} -> y/b 80", family=4) for name in "na"], CILIUM))
    assert found == ["X X", ". ."]


def test_the_first_address_of_a_family_counts() -> None:
    pods = also(pod("x/b", {}, "10.244.1.2", "10.9.9.9"))
    cluster = stage(policy("x/p", app("a"), ingress=[rule([block("10.9.9.9/32")])]), pods=pods)
    assert mark(cluster, "x/b -> x/a 80") == "X"
