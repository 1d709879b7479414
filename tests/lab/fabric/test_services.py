"""Services on the network alone: what is written, that a change writes what changed, and both families."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import dns.message

from netprobe.lab.fabric import kernel
from netprobe.lab.fabric import table as nft_table
from netprobe.lab.fabric.network import SERVES, LabNetwork
from netprobe.lab.fabric.services import Services, table
from netprobe.lab.fabric.state import LabNode
from netprobe.lab.fabric.table import Ruleset
from netprobe.model.flow import PodRef
from netprobe.model.objects import Object
from tests.conftest import Golden
from tests.lab.fabric.inside import in_a_lab
from tests.lab.fabric.probing import OPEN, REFUSED, SILENT, Clock, World, policy

NODE = LabNode("n1", (ip_address("172.31.255.1"), ip_address("fd00:172:31:255::1")))
TABLE = table((4, 6))


def service(name: str, *addresses: str, **spec: Any) -> Object:
    port = {"name": "web", "port": 80, "protocol": "TCP"}
    spec = {"clusterIPs": list(addresses), "type": "ClusterIP", "ports": [port], **spec}
    return {"metadata": {"namespace": "shop", "name": name}, "spec": spec}


def slice_(owner: str, *ends: tuple[str, str], port: int = 8080, **conditions: bool) -> Object:
    """Endpoints as (address, node)."""
    return {
        "metadata": {"namespace": "shop", "labels": {"kubernetes.io/service-name": owner}},
        "addressType": "IPv6" if ":" in ends[0][0] else "IPv4",
        "ports": [{"name": "web", "port": port, "protocol": "TCP"}],
        "endpoints": [
            {"addresses": [address], "nodeName": node, "conditions": conditions} for address, node in ends
        ],
    }


def rules(services: Sequence[Object], slices: Sequence[Object]) -> Ruleset:
    return Services(services, slices, (4, 6)).node(NODE)


WEB = service("web", "10.96.0.7", "fd00:10:96::7")
BOTH = [slice_("web", ("10.244.1.3", "n1"), ("10.244.2.3", "n2")), slice_("web", ("fd00::3", "n1"))]


def test_everything_of_a_small_cluster(golden: Golden) -> None:
    ports = [{"name": "web", "port": 80, "protocol": "TCP", "nodePort": 30080}]
    local = service("local", "10.96.0.8", ports=ports, type="NodePort", externalTrafficPolicy="Local")
    open_ = service("open", "10.96.0.9", ports=ports, type="NodePort", externalTrafficPolicy="Cluster")
    services = [WEB, local, {**open_, "spec": {**open_["spec"], "ports": [{**ports[0], "nodePort": 30090}]}}]
    slices = [*BOTH, slice_("local", ("10.244.2.4", "n2")), slice_("open", ("10.244.2.4", "n2"))]
    golden("services.nft", nft_table.reload(TABLE, rules(services, slices)))


def test_an_endpoint_more_touches_its_service_alone() -> None:
    other = service("other", "10.96.0.9")
    more = [*BOTH, slice_("other", ("10.244.2.3", "n2"))]
    assert nft_table.update(TABLE, rules([WEB], BOTH), rules([WEB], BOTH[::-1])) == ""
    text = nft_table.update(TABLE, rules([WEB, other], BOTH), rules([WEB, other], more))
    assert [line.split()[1:5] for line in text.splitlines() if "endpoint/" in line.split()[4]] == []
    assert [line.split()[4] for line in text.splitlines() if line.startswith("add chain")] == [
        "service4/shop/other/web"
    ]
    assert [line for line in text.splitlines() if line.startswith(("delete", "flush"))] == [
        "delete element inet netprobe-services void4 { 10.96.0.9 . tcp . 80 }"
    ]


async def resolve(
    world: World, source: str, server: str, name: str, *, kind: str, protocol: str
) -> list[str]:
    """The answer to a question that is asked in a pod, by datagram or stream."""
    query = dns.message.make_query(name, kind).to_wire()
    stream = protocol == "TCP"
    with kernel.inside(world.inside(source)):
        one = socket.socket(
            socket.AF_INET6 if ":" in server else socket.AF_INET,
            socket.SOCK_STREAM if stream else socket.SOCK_DGRAM,
        )
    loop = asyncio.get_running_loop()
    with one:
        one.setblocking(False)
        async with asyncio.timeout(60):
            await loop.sock_connect(one, (server, 53))
            await loop.sock_sendall(one, len(query).to_bytes(2) + query if stream else query)
            answer = await loop.sock_recv(one, 65535)
    message = dns.message.from_wire(answer[2:] if stream else answer)
    return sorted(data.to_text() for rrset in message.answer for data in rrset)


@in_a_lab(ip_families=("ipv4", "ipv6"), nodes=2)
async def test_both_families_of_a_service_and_of_names(network: LabNetwork) -> None:
    world = World(network)
    server = await world.add("shop/server", {"app": "server"}, "8080", node="n2")
    for number in (1, 2):
        await world.add(f"shop/client{number}", {"app": f"client{number}"}, node=f"n{number}")
    await world.add("kube-system/dns", {}, "53/UDP", "53", node="n1", annotations={SERVES: "dns"})
    v4, v6 = (str(address) for address in world.members[server].addresses)
    domain = service("names", "10.96.0.10", "fd00:10:96::a")
    domain["spec"]["ports"] = [
        {"name": protocol.lower(), "port": 53, "protocol": protocol} for protocol in ("UDP", "TCP")
    ]
    ends = [str(address) for address in world.members[PodRef("kube-system", "dns")].addresses]
    slices = [slice_("names", (end, "n1")) for end in ends]
    for one in slices:
        one["ports"] = [
            {"name": p["name"], "port": 53, "protocol": p["protocol"]} for p in domain["spec"]["ports"]
        ]
    slices += [slice_("web", (v4, "n2")), slice_("web", (v6, "n2"))]

    async def state(services: Sequence[Object], slices: Sequence[Object], *policies: Object) -> None:
        world.policies = list(policies)
        made = replace(world.state(), services=services, endpoint_slices=slices)
        await network.enforce(made)

    async def row() -> str:
        vips = ("10.96.0.7", "fd00:10:96::7")
        sources = ("shop/client1", "shop/client2", "shop/server")
        return await world.row((source, vip, 80, "TCP", 4) for vip in vips for source in sources)

    await state([WEB, domain], slices)
    assert await row() == ". . . . . ."
    for where in ("10.96.0.10", "fd00:10:96::a"):
        for protocol in ("UDP", "TCP"):
            name = "web.shop.svc.cluster.local"
            assert await resolve(world, "shop/client2", where, name, kind="A", protocol=protocol) == [
                "10.96.0.7"
            ]
            assert await resolve(world, "shop/client2", where, name, kind="AAAA", protocol=protocol) == [
                "fd00:10:96::7"
            ]
    only = {"podSelector": {"matchLabels": {"app": "client1"}}}
    await state(
        [WEB, domain],
        slices,
        policy("shop/p", {"podSelector": {"matchLabels": {"app": "server"}}, "ingress": [{"from": [only]}]}),
    )
    assert await row() == ". X X . X X"
    await state([WEB], slices[-2:-1])
    assert await row() == ". . . X X X"
    assert await world.probe("shop/client1", "fd00:10:96::7", 80) == REFUSED
    assert await world.probe("shop/client1", "10.96.0.7", 81) == REFUSED
    assert await world.probe("shop/client1", "fd00:10:96::a", 53) == SILENT
    await state([], [])
    assert await world.probe("shop/client1", "10.96.0.7", 80) == SILENT
    loaders = [loader for node in network._tables.values() for loader in node.values()]
    assert [loader.reloads for loader in loaders] == [1] * 4  # every change was a difference


@in_a_lab(enforce=False)
async def test_services_work_where_nothing_is_enforced(network: LabNetwork) -> None:
    world = World(network)
    await world.add("shop/server", {}, "8080")
    await world.add("shop/client", {})
    end = str(world.address("shop/server"))
    deny = policy("shop/deny", {"policyTypes": ["Ingress", "Egress"]})
    world.policies = [deny]
    await network.enforce(
        replace(world.state(), services=[WEB], endpoint_slices=[slice_("web", (end, "n1"))])
    )
    assert await world.probe("shop/client", "10.96.0.7", 80) == OPEN
    assert not await network._enforcer._policies["n1"].listing(), "no rules of policies at all"


@in_a_lab()
async def test_services_do_not_lag_with_the_policies(network: LabNetwork) -> None:
    clock, world = Clock(), World(network)
    await world.add("shop/server", {}, "8080")
    await world.add("shop/client", {})
    end = str(world.address("shop/server"))
    changed = replace(world.state(), services=[WEB], endpoint_slices=[slice_("web", (end, "n1"))])
    network._enforcer.policy_states.lag_s = 60.0
    enforcing = asyncio.ensure_future(network.enforce(changed))
    while await world.probe("shop/client", "10.96.0.7", 80) != OPEN:
        assert not enforcing.done()
    clock.forward(60)
    await enforcing


@in_a_lab()
async def test_an_open_connection_outlives_a_change_of_its_service(network: LabNetwork) -> None:
    world = World(network)
    for name in ("shop/a", "shop/b"):
        await world.add(name, {}, "8080")
    await world.add("shop/client", {})
    a, b = (slice_("web", (str(world.address(name)), "n1")) for name in ("shop/a", "shop/b"))
    await network.enforce(replace(world.state(), services=[WEB], endpoint_slices=[a]))
    loop = asyncio.get_running_loop()
    with kernel.inside(world.inside("shop/client")):
        one = socket.socket()
    with one:
        one.setblocking(False)
        await loop.sock_connect(one, ("10.96.0.7", 80))
        await network.enforce(replace(world.state(), services=[WEB], endpoint_slices=[b]))
        assert await world.probe("shop/client", "10.96.0.7", 80) == OPEN
        await loop.sock_sendall(one, b"still here")
        async with asyncio.timeout(60):
            assert await loop.sock_recv(one, 99) == b"still here"
