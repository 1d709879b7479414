"""Faults of the network do what their annotation says, to whom it says, and nothing to anybody else."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from netprobe.lab.fabric import faults
from netprobe.lab.fabric.network import LabNetwork
from tests.lab.fabric.inside import in_a_lab
from tests.lab.fabric.probing import OPEN, REFUSED, SILENT, World, policy

DENY = {"policyTypes": ["Ingress"]}


def missed(what: str, spec: dict[str, Any], name: str = "x/p") -> dict[str, Any]:
    made = policy(name, spec)
    made["metadata"]["annotations"] = {faults.MISSED: what}
    return made


@pytest.mark.parametrize(
    ("text", "after_s"),
    [("", 0.0), ("dead", None), ("late=2.5", 2.5), ("late=-1", 0.0), ("late=soon", 0.0), ("asleep", 0.0)],
)
def test_an_annotation_of_listeners(text: str, after_s: float | None) -> None:
    assert faults.listening({faults.LISTENER: text}).after_s == after_s
    assert faults.listening({}) == faults.Listening()


@in_a_lab()
async def test_a_listener_that_is_dead_and_one_that_is_late(network: LabNetwork) -> None:
    world = World(network)
    await world.add("x/dead", {}, "80", "53/UDP", annotations={faults.LISTENER: "dead"})
    began = asyncio.get_running_loop().time()
    await world.add("x/late", {}, "80", "53/UDP", annotations={faults.LISTENER: "late=1"})
    await world.add("x/well", {}, "80", "53/UDP")
    assert await world.probe("x/well", "x/dead", 80) == REFUSED
    assert await world.probe("x/dead", "x/dead", 80) == REFUSED
    assert await world.probe("x/dead", "x/well", 80) == OPEN
    while await world.probe("x/well", "x/late", 80) == REFUSED:
        assert asyncio.get_running_loop().time() < began + 60
    assert asyncio.get_running_loop().time() >= began + 1
    assert await world.probe("x/well", "x/late", 53, "UDP") == OPEN
    await world.add("x/never", {}, "80", annotations={faults.LISTENER: "late=600"})
    assert await world.probe("x/well", "x/never", 80) == REFUSED
    await world.remove("x/never")  # while it still waits


@in_a_lab(ip_families=("ipv4", "ipv6"))
async def test_listeners_on_loopback_and_on_one_family(network: LabNetwork) -> None:
    world = World(network)
    await world.add("x/client", {})
    for how, expected in (
        ("loopback", [REFUSED, REFUSED]),
        ("ipv4", [OPEN, REFUSED]),
        ("ipv6", [REFUSED, OPEN]),
    ):
        await world.add(f"x/{how}", {}, "80", annotations={faults.LISTENER: how})
        seen = [await world.probe("x/client", f"x/{how}", 80, version=version) for version in (4, 6)]
        assert seen == expected, how


@in_a_lab(nodes=2)
async def test_a_node_whose_rules_are_stale_or_late(network: LabNetwork) -> None:
    world = World(network)
    await world.add("x/one", {}, "80", node="n1")
    await world.add("x/two", {}, "80", node="n2")

    async def seen() -> list[str]:
        return [await world.probe(*pair, 80) for pair in (("x/one", "x/two"), ("x/two", "x/one"))]

    world.nodes = {"n2": {faults.AGENT: "stopped"}}
    await world.enforce(policy("x/p", DENY))
    assert await seen() == [OPEN, SILENT]
    world.nodes = {"n2": {faults.AGENT: "late=1"}}
    await world.enforce(policy("x/p", DENY))
    began = asyncio.get_running_loop().time()
    while await world.probe("x/one", "x/two", 80) == OPEN:
        assert asyncio.get_running_loop().time() < began + 60
    world.nodes = {}
    await world.enforce()
    assert await seen() == [OPEN, OPEN]


@in_a_lab(nodes=2)
async def test_a_path_that_is_lost(network: LabNetwork) -> None:
    world = World(network)
    await world.add("x/one", {}, "80", node="n1")
    await world.add("x/two", {}, "80", node="n2")
    await world.add("x/near", {}, "80", node="n1")
    world.nodes = {"n1": {faults.PATH: "n2"}, "n2": {faults.PATH: "nowhere"}}
    await world.enforce()
    assert await world.probe("x/one", "x/two", 80) == SILENT
    assert await world.probe("x/one", "x/near", 80) == OPEN
    world.nodes = {}
    await world.enforce()
    assert await world.probe("x/one", "x/two", 80) == OPEN


@in_a_lab(nodes=2, deny_with="reject")
async def test_a_policy_that_is_missed(network: LabNetwork) -> None:
    world = World(network)
    await world.add("x/one", {}, "80", node="n1")
    await world.add("x/two", {}, "80", node="n2")
    await world.add("y/client", {}, node="n1")

    async def both() -> list[str]:
        return [await world.probe("y/client", f"x/{name}", 80) for name in ("one", "two")]

    await world.enforce(policy("x/p", DENY))
    assert await both() == [REFUSED, REFUSED]
    await world.enforce(missed("policy", DENY))
    assert await both() == [OPEN, OPEN]
    await world.enforce(missed("node=n2", DENY))
    assert await both() == [REFUSED, OPEN]
    await world.enforce(missed("nonsense", DENY))
    assert await both() == [REFUSED, REFUSED]
    await world.enforce(missed("policy", DENY), policy("x/other", DENY))
    assert await both() == [REFUSED, REFUSED]


@in_a_lab(deny_with="reject")
async def test_a_rule_that_is_missed(network: LabNetwork) -> None:
    world = World(network)
    await world.add("x/server", {}, "80", "81")
    await world.add("y/client", {})
    rules = [{"ports": [{"port": 80}]}, {"ports": [{"port": 81}]}]

    async def both() -> list[str]:
        return [await world.probe("y/client", "x/server", port) for port in (80, 81)]

    await world.enforce(missed("ingress=1", {"ingress": rules}))
    assert await both() == [OPEN, REFUSED]
    await world.enforce(missed("egress=1", {"ingress": rules}))
    assert await both() == [OPEN, OPEN]
