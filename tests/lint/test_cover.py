"""Labels, peers, blocks and ports as sets: which one holds which."""

from __future__ import annotations

import random
from ipaddress import ip_network
from itertools import product

import pytest

from netprobe.lint.cover import block_within, peer_within, ports_within, rule_within
from netprobe.lint.selector_sets import disjoint, implies, impossible, only
from netprobe.model.flow import Protocol
from netprobe.model.labels import EVERYTHING, NAME_LABEL, Operator, Requirement, Selector
from netprobe.model.policy import (
    ANY_PORT,
    AnyPeer,
    AnyPort,
    IPBlock,
    NamedPort,
    Peer,
    PodPeer,
    Port,
    PortRange,
    Rule,
)

WEB = Selector.of({"app": "web"})
TEAM = Selector.of({"team": "a"})
SHOP = Selector.of({NAME_LABEL: "shop"})


def block(cidr: str, *excluded: str) -> IPBlock:
    return IPBlock(ip_network(cidr), tuple(map(ip_network, excluded)))


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        pytest.param(block("10.0.0.0/8"), AnyPeer(), True, id="everyone"),
        pytest.param(AnyPeer(), PodPeer(EVERYTHING, EVERYTHING), False, id="addresses outside are no pods"),
        pytest.param(PodPeer(WEB), PodPeer(), True, id="fewer pods at home"),
        pytest.param(PodPeer(WEB), PodPeer(EVERYTHING, EVERYTHING), True, id="home is a namespace"),
        pytest.param(PodPeer(WEB), PodPeer(WEB, TEAM), False, id="whether home has the label is not known"),
        pytest.param(PodPeer(WEB), PodPeer(EVERYTHING, SHOP), True, id="home by its name"),
        pytest.param(PodPeer(WEB, SHOP), PodPeer(WEB), True, id="by its name, home"),
        pytest.param(PodPeer(WEB, TEAM), PodPeer(WEB), False, id="other namespaces"),
        pytest.param(PodPeer(WEB, TEAM), PodPeer(EVERYTHING, TEAM), True, id="fewer pods there"),
        pytest.param(PodPeer(WEB), block("0.0.0.0/0"), False, id="plugins differ about pods in blocks"),
    ],
)
def test_peers_in_policies_of_the_namespace_shop(one: Peer, other: Peer, expected: bool) -> None:
    assert peer_within(one, other, "shop") is expected


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (block("10.1.0.0/16"), block("10.0.0.0/8"), True),
        (block("10.0.0.0/8"), block("10.1.0.0/16"), False),
        (block("10.0.0.0/8"), block("10.0.0.0/8", "10.1.0.0/16"), False),
        (block("10.0.0.0/8", "10.1.0.0/16"), block("10.0.0.0/8", "10.1.2.0/24"), True),
        (block("10.0.0.0/8", "10.1.0.0/17", "10.1.128.0/17"), block("10.0.0.0/8", "10.1.0.0/16"), True),
        (block("10.2.0.0/16"), block("10.0.0.0/8", "10.1.0.0/16"), True),
        (block("10.1.2.0/24"), block("10.0.0.0/8", "10.1.0.0/16"), False),
        (block("2001:db8::/64"), block("0.0.0.0/0"), False),
    ],
    ids=lambda value: f"{value.cidr}-{len(value.excluded)}" if isinstance(value, IPBlock) else str(value),
)
def test_blocks(one: IPBlock, other: IPBlock, expected: bool) -> None:
    assert block_within(one, other) is expected


TCP_80 = PortRange(Protocol.TCP, 80, 80)


@pytest.mark.parametrize(
    ("ports", "others", "expected"),
    [
        pytest.param([TCP_80], [AnyPort()], True, id="every port"),
        pytest.param([AnyPort()], [PortRange()], False, id="all of TCP is not every port"),
        pytest.param([AnyPort()], [PortRange(p) for p in Protocol], True, id="all three protocols are"),
        pytest.param(
            [PortRange(Protocol.TCP, 80, 99)],
            [PortRange(Protocol.TCP, 90, 99), PortRange(Protocol.TCP, 70, 89)],
            True,
            id="two ranges that meet",
        ),
        pytest.param(
            [PortRange(Protocol.TCP, 80, 99)],
            [PortRange(Protocol.TCP, 91, 99), PortRange(Protocol.TCP, 70, 89)],
            False,
            id="a gap of one port",
        ),
        pytest.param([TCP_80], [PortRange(Protocol.UDP)], False, id="another protocol"),
        pytest.param([NamedPort("http")], [TCP_80], False, id="a name may be any number"),
        pytest.param([NamedPort("http")], [PortRange()], True, id="but a number"),
        pytest.param([TCP_80], [], False, id="nothing"),
    ],
)
def test_ports(ports: list[Port], others: list[Port], expected: bool) -> None:
    assert ports_within(ports, others) is expected


def test_a_rule_is_covered_peer_by_peer_by_several_rules_ports() -> None:
    rule = Rule((PodPeer(WEB),), (PortRange(Protocol.TCP, 80, 81),))
    one = Rule((PodPeer(WEB),), (TCP_80,))
    other = Rule((PodPeer(),), (PortRange(Protocol.TCP, 81, 81),))
    assert rule_within(rule, [one, other], "shop")
    assert not rule_within(rule, [one], "shop")
    assert not rule_within(Rule((PodPeer(),), ANY_PORT), [one, other], "shop")


def test_the_only_value_of_a_key() -> None:
    either = Selector.of({}, Requirement("app", Operator.IN, ("a", "b")))
    found = [only(selector, "app") for selector in (Selector.of({"app": "a"}), either, EVERYTHING)]
    assert found == ["a", None, None]


def test_they_say_what_matching_every_set_of_labels_says() -> None:
    """Values outside those that are mentioned behave alike: one more for each key stands for them all."""
    random_ = random.Random(8)  # noqa: S311 (cases, not secrets)
    every_labels = [
        {key: value for key, value in zip(("k", "l"), values, strict=True) if value is not None}
        for values in product((None, "a", "b", "other"), repeat=2)
    ]

    def draw() -> Selector:
        labels = {key: random_.choice("ab") for key in "kl" if random_.random() < 0.3}
        requirements = [
            Requirement(
                random_.choice("kl"),
                operator,
                tuple(random_.sample("ab", random_.randint(1, 2)))
                if operator in {Operator.IN, Operator.NOT_IN}
                else (),
            )
            for operator in random_.choices(list(Operator), k=random_.randint(0, 2))
        ]
        return Selector.of(labels, *requirements)

    verdicts = set()
    for _ in range(3000):
        one, other = draw(), draw()
        first = {number for number, labels in enumerate(every_labels) if one.matches(labels)}
        second = {number for number, labels in enumerate(every_labels) if other.matches(labels)}
        assert implies(one, other) is (first <= second), (one, other)
        assert impossible(one) is (not first), one
        assert disjoint(one, other) is first.isdisjoint(second), (one, other)
        verdicts.add((implies(one, other), disjoint(one, other)))
    assert len(verdicts) == 4, "the premise never held"
