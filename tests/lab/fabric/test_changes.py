"""What happens around a change: no gap for a new pod, none for anybody else, nothing cut that is open."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any

import pytest

from netprobe.errors import LabError
from netprobe.lab.fabric import kernel
from netprobe.lab.fabric.network import LabNetwork
from netprobe.lab.fabric.state import InstalledPolicy
from netprobe.model.policy import Policy, PolicyRef
from tests.lab.fabric.inside import in_a_lab
from tests.lab.fabric.probing import OPEN, REFUSED, SILENT, Clock, World, policy
from tests.lab.fabric.test_semantics import CASES, build

DENY = policy("x/deny", {"policyTypes": ["Ingress", "Egress"]})
DENY_INGRESS = policy("x/deny", {"policyTypes": ["Ingress"]})


@in_a_lab()
async def test_a_new_pod_is_isolated_before_its_first_packet(network: LabNetwork) -> None:
    world = World(network)
    await world.add("y/peer", {}, "80")
    world.policies = [DENY]
    seen = []

    async def knock() -> None:
        while True:
            seen.append(await world.probe("y/peer", address, 80))

    pod = await world.place("x/new", {}, "80")
    address = str(world.address("x/new"))
    async with asyncio.TaskGroup() as group:
        knocking = group.create_task(knock())
        await network.enforce(world.state())
        await network.start(pod)
        assert await world.probe("x/new", "y/peer", 80) == SILENT
        assert await world.probe("x/new", "x/new", 80) == OPEN  # it lives, and reaches itself
        knocking.cancel()
    assert seen
    assert set(seen) == {SILENT}


@in_a_lab(nodes=2)
async def test_an_open_connection_survives_and_a_new_one_obeys(network: LabNetwork) -> None:
    world = World(network)
    await world.add("x/server", {}, "80", "53/UDP", node="n1")
    await world.add("y/client", {}, node="n2")
    loop = asyncio.get_running_loop()
    with kernel.inside(world.inside("y/client")):
        stream, datagrams = socket.socket(), socket.socket(type=socket.SOCK_DGRAM)
    with stream, datagrams:
        for one, port in ((stream, 80), (datagrams, 53)):
            one.setblocking(False)
            await loop.sock_connect(one, (str(world.address("x/server")), port))

        async def echo(text: bytes) -> None:
            for one in (stream, datagrams):
                async with asyncio.timeout(60):
                    await loop.sock_sendall(one, text)
                    assert await loop.sock_recv(one, 99) == text

        await echo(b"before")
        await world.enforce(DENY)
        assert await world.probe("y/client", "x/server", 80) == SILENT
        await echo(b"after")
        await world.enforce()
        assert await world.probe("y/client", "x/server", 80) == OPEN
        await echo(b"and again")


@in_a_lab(deny_with="reject")
async def test_labels_and_pods_are_followed_without_a_gap_for_others(network: LabNetwork) -> None:
    world = World(network)
    only = {"ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "friend"}}}]}]}
    await world.add("x/server", {"app": "server"}, "80")
    await world.add("x/friend", {"app": "friend"})
    await world.add("x/other", {"app": "other"})
    await world.enforce(policy("x/only", {"podSelector": {"matchLabels": {"app": "server"}}, **only}))
    seen, addresses = set(), set()

    async def knock() -> None:
        while True:
            seen.add(
                (await world.probe("x/friend", "x/server", 80), await world.probe("x/other", "x/server", 80))
            )

    async with asyncio.TaskGroup() as group:
        knocking = group.create_task(knock())
        for number in range(4):
            await world.add(f"x/guest{number}", {"app": "friend"})
            addresses.add(world.address(f"x/guest{number}"))
            assert await world.probe(f"x/guest{number}", "x/server", 80) == OPEN
            await world.label(f"x/guest{number}", {"app": "stranger"})
            assert await world.probe(f"x/guest{number}", "x/server", 80) == REFUSED
            await world.remove(f"x/guest{number}")
        knocking.cancel()
    assert seen == {(OPEN, REFUSED)}
    assert len(addresses) == 4, "an address is given again only after all others"


@in_a_lab(nodes=2, deny_with="reject")
async def test_changes_end_where_a_fresh_load_would(network: LabNetwork) -> None:
    """Hundreds of differences, one upon the other, leave the same rules as one load of everything."""
    world = await build(network)
    for _, policies, _, _ in CASES[::9]:
        await world.enforce(*policies)
    assert {one.reloads for one in network._enforcer._policies.values()} == {1}
    for _, policies, _, _ in CASES[::-40]:
        await world.enforce(*policies, DENY)
        differences = [await rules(network, node.name) for node in network.nodes]
        for one in network._enforcer._policies.values():
            one._loaded = None
        await network.enforce(world.state())
        assert [await rules(network, node.name) for node in network.nodes] == differences


async def rules(network: LabNetwork, node: str) -> list[str]:
    """What is loaded, without handles and counts, in an order of its own."""

    def strip(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: strip(v) for k, v in value.items() if k not in {"handle", "counter"}}
        if isinstance(value, list):
            stripped = [strip(item) for item in value]
            return stripped if all(isinstance(item, dict) for item in value) else sorted(stripped, key=str)
        return value

    listed = json.loads(await network._enforcer._policies[node].listing())["nftables"]
    assert len(listed) > 5
    return sorted(json.dumps(strip(item), sort_keys=True) for item in listed)


@in_a_lab()
async def test_rules_that_nft_refuses_leave_what_was(network: LabNetwork) -> None:
    world = World(network)
    await world.add("x/server", {}, "80")
    await world.add("y/client", {})
    await world.enforce(DENY_INGRESS)
    with pytest.raises(LabError, match="nft refused"):
        await world.enforce(InstalledPolicy(Policy(PolicyRef("x", 'a"quote'), ingress=()), {}))
    assert await world.probe("y/client", "x/server", 80) == SILENT
    await world.enforce()
    assert await world.probe("y/client", "x/server", 80) == OPEN


@in_a_lab()
async def test_lag_delays_each_change_and_keeps_their_order(network: LabNetwork) -> None:
    clock, world = Clock(), World(network)
    await world.add("x/server", {}, "80")
    await world.add("y/client", {})
    waiting = network._enforcer.policy_states
    waiting.lag_s, before = 60.0, waiting.taken
    first = asyncio.ensure_future(world.enforce(DENY))
    while waiting.taken <= before:  # noqa: ASYNC110 (until the call is made; the change is not)
        await asyncio.sleep(0)
    assert await world.probe("y/client", "x/server", 80) == OPEN
    clock.forward(30)
    second = asyncio.ensure_future(world.enforce())
    while waiting.taken <= before + 1:  # noqa: ASYNC110 (as above)
        await asyncio.sleep(0)
    assert not first.done()
    clock.forward(30)
    await first
    assert await world.probe("y/client", "x/server", 80) == SILENT
    assert not second.done()
    clock.forward(30)
    await second
    assert await world.probe("y/client", "x/server", 80) == OPEN
