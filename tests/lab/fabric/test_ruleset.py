"""The compiler without a kernel: what it writes, and that a change writes what changed and no more."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest

from netprobe.lab.fabric import table as nft_table
from netprobe.lab.fabric.policyrules import rules_of, shortened
from netprobe.lab.fabric.ruleset import POLICIES, Compiler
from netprobe.lab.fabric.state import InstalledPolicy, NetworkState, PolicyPod
from netprobe.lab.fabric.table import Ruleset
from netprobe.model.cluster import Node
from netprobe.model.flow import PodRef, Protocol
from netprobe.model.policy import (
    ANY_PORT,
    Action,
    Direction,
    NamedPort,
    NodePeer,
    OtherProtocol,
    Policy,
    PolicyRef,
    PortRange,
    Rule,
    Subject,
)
from tests.conftest import Golden
from tests.lab.fabric.inside import in_a_lab
from tests.lab.fabric.probing import OPEN, SILENT, World, installed, policy, ports

WEB, API, LONE = PodRef("shop", "web"), PodRef("shop", "api"), PodRef("other", "lone")
LINKS = {WEB: "p1", API: "p2", LONE: "p3"}
ALLOW_WEB = policy(
    "shop/allow-web",
    {
        "podSelector": {"matchLabels": {"app": "api"}},
        "policyTypes": ["Ingress"],
        "ingress": [
            {
                "from": [
                    {"podSelector": {"matchLabels": {"app": "web"}}},
                    {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16", "10.2.0.0/16"]}},
                ],
                "ports": [{"port": 80, "endPort": 90, "protocol": "TCP"}, {"port": "dns", "protocol": "UDP"}],
            }
        ],
    },
)
DENY = policy("shop/deny", {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]})


def state(*policies: dict[str, Any], **labels: str) -> NetworkState:
    """Three pods; `labels` changes the app of one by its name."""
    members = {
        ref: PolicyPod(
            ref,
            {"app": labels.get(ref.name, ref.name)},
            (ip_address(f"10.244.1.{number}"), ip_address(f"fd00:10:244:1::{number}")),
            ports("http=80", "dns=53/UDP"),
            "n1",
        )
        for number, ref in enumerate(LINKS, 1)
    }
    return NetworkState({"shop": {}, "other": {}}, members, installed(policies))


def rules(*policies: dict[str, Any], **labels: str) -> Ruleset:
    return Compiler(state(*policies, **labels)).node(LINKS)


def test_everything_of_a_small_cluster(golden: Golden) -> None:
    compiled = Compiler(state(ALLOW_WEB, DENY), (4, 6)).node(LINKS)
    golden("ruleset.nft", nft_table.reload(POLICIES, compiled))


def test_a_policy_that_changes_rewrites_its_own_chain_alone() -> None:
    narrower = policy("shop/allow-web", {**ALLOW_WEB["spec"], "ingress": [{"ports": [{"port": 80}]}]})
    text = nft_table.update(POLICIES, rules(ALLOW_WEB, DENY), rules(narrower, DENY))
    assert text.splitlines()[0] == "flush chain inet netprobe ingress/shop/allow-web"
    assert {line.split()[4] for line in text.splitlines() if "rule" in line.split()[:2]} == {
        "ingress/shop/allow-web"
    }
    assert text.count("delete set") == 2  # what nobody else refers to: pods app=web, ports called dns
    assert len(text.splitlines()) == 4
    assert nft_table.update(POLICIES, rules(ALLOW_WEB, DENY), rules(DENY, ALLOW_WEB)) == ""
    equal = policy("shop/equal", ALLOW_WEB["spec"])
    assert rules(ALLOW_WEB, equal).sets == rules(ALLOW_WEB).sets


def test_a_label_that_changes_is_an_element_of_a_set() -> None:
    text = nft_table.update(POLICIES, rules(ALLOW_WEB), rules(ALLOW_WEB, web="worker"))
    verb, _, *_, brace, address, _ = text.split()
    assert (verb, brace, address) == ("delete", "{", "10.244.1.1")
    assert len(text.splitlines()) == 1


def test_the_addresses_of_nodes_by_family() -> None:
    nodes = tuple(Node(n, {}, tuple(map(ip_address, a))) for n, a in (("n1", ["192.0.2.1", "fd00::1"]),))
    peer = Rule((NodePeer(),))
    one = InstalledPolicy(Policy(PolicyRef("shop", "p"), Subject(), None, (peer,)), {})
    compiled = Compiler(replace(state(), policies=[one], selectable_nodes=nodes), (4, 6)).node(LINKS)
    assert {name[:6]: sorted(s.elements) for name, s in compiled.sets.items()} == {
        "nodes4": ["192.0.2.1"],
        "nodes6": ["fd00::1"],
    }


TCP, WEB_80 = PortRange(), PortRange(Protocol.TCP, 80, 80)
RULES = [  # a rule, and what it matches over both families
    pytest.param(Rule(ports=(WEB_80,), not_ports=(TCP,)), [], id="without all of its protocol"),
    pytest.param(
        Rule(ports=(TCP,), not_ports=(WEB_80,)), ["meta l4proto tcp tcp dport != 80"], id="without one port"
    ),
    pytest.param(
        Rule(ports=(OtherProtocol("ICMP"),), not_ports=(NamedPort("web", None),)),
        ["meta l4proto icmp"],
        id="a protocol without ports has none of a name",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "expected"), RULES)
def test_what_a_rule_matches(rule: Rule, expected: list[str]) -> None:
    one = InstalledPolicy(Policy(PolicyRef("shop", "p"), Subject(), (rule,)), {})
    compiled = rules_of(one, Direction.INGRESS, (4, 6))
    assert [text.partition(" counter accept ")[0] for text in compiled.rules] == expected


def test_a_rejection_of_a_known_protocol_is_one_rule() -> None:
    denials = tuple(
        Rule(ports=ports, action=Action.DENY) for ports in ((TCP,), (PortRange(Protocol.UDP),), ANY_PORT)
    )
    one = InstalledPolicy(Policy(PolicyRef("shop", "p"), Subject(), denials), {})
    compiled = rules_of(one, Direction.INGRESS, (4, 6), "reject")
    assert [text.partition(" comment ")[0] for text in compiled.rules] == [
        "meta l4proto tcp counter reject with tcp reset",
        "meta l4proto udp counter reject with icmpx port-unreachable",
        "meta l4proto tcp counter reject with tcp reset",
        "counter reject with icmpx port-unreachable",
    ]


def test_names_as_long_as_the_kernel_takes_stay_whole() -> None:
    assert shortened("x" * 120) == "x" * 120
    assert shortened("a" * 60 + "b" * 61) == "a" * 59 + ".." + "b" * 59
    longest = "n" * (120 - len("ingress/shop/"))
    chains = [
        rules_of(
            InstalledPolicy(Policy(PolicyRef("shop", name), Subject(), ()), {}), Direction.INGRESS, (4,)
        ).chain
        for name in (longest, longest + "n")
    ]
    assert chains[0] == f"ingress/shop/{longest}"
    assert len(chains[1]) < 120


@in_a_lab()
async def test_names_that_nft_could_stumble_over(network: Any) -> None:
    """Names of policies, namespaces, pods and ports go into names of chains and sets, and into comments."""
    world = World(network)
    await world.add("0-x/server", {}, "fwd-8=80", "81")
    await world.add("y/client", {})
    for name in ("fwd", "9", "drop", "jump.to", "a--b.c-d", "0x10", "x" * 253, "accept", "1.2.3.4"):
        allow = policy(f"0-x/{name}", {"ingress": [{"ports": [{"port": "fwd-8"}]}]})
        await world.enforce(allow)
        assert await world.probe("y/client", "0-x/server", 80) == OPEN, name
    assert await world.probe("y/client", "0-x/server", 81) == SILENT
    long = [policy(f"0-x/{'y' * 250}{n}", {"ingress": []}) for n in range(3)]
    await world.enforce(*long)
    assert await world.probe("y/client", "0-x/server", 80) == SILENT


@in_a_lab(nodes=2)
async def test_a_hundred_blocks_and_a_hundred_policies_on_one_pod(network: Any) -> None:
    world = World(network)
    await world.add("x/server", {}, "80")
    await world.add("y/client", {})
    blocks = [{"ipBlock": {"cidr": f"192.0.2.{n}/32"}} for n in range(100)]
    others = [policy(f"x/p{n}", {"ingress": [{"from": blocks[n : n + 1]}]}) for n in range(100)]
    await world.enforce(policy("x/p", {"ingress": [{"from": blocks}]}), *others)
    assert await world.probe("y/client", "x/server", 80) == SILENT
    last = {"ipBlock": {"cidr": "10.244.0.0/16"}}
    await world.enforce(policy("x/p", {"ingress": [{"from": [*blocks, last]}]}), *others)
    assert await world.probe("y/client", "x/server", 80) == OPEN
