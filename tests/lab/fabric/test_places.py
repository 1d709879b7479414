"""Where pods are, and what that means: nodes, the host's network, outside hosts, both families."""

from __future__ import annotations

import socket

import pytest

from netprobe.errors import LabError
from netprobe.lab.fabric.network import LabNetwork
from tests.lab.fabric.inside import in_a_lab
from tests.lab.fabric.probing import OPEN, REFUSED, SILENT, World, policy

DENY_ALL = {"policyTypes": ["Ingress", "Egress"]}


@in_a_lab(nodes=2, deny_with="reject")
async def test_a_node_reaches_its_own_pods_and_no_isolated_ones_elsewhere(network: LabNetwork) -> None:
    world = World(network)
    await world.add("h/host1", {}, "9100", node="n1", host_network=True)
    await world.add("h/host2", {}, "9100", node="n2", host_network=True)
    await world.add("x/p", {}, "80", node="n1")
    assert world.address("h/host1") == network.nodes[0].addresses[0]
    flows = [("h/host1", "x/p"), ("h/host2", "x/p")]
    assert await world.row((*flow, 80, "TCP", 4) for flow in flows) == ". ."
    back = [("x/p", "h/host1", 9100, "TCP", 4), ("x/p", "h/host2", 9100, "TCP", 4)]
    assert await world.row(back) == ". ."
    await world.enforce(policy("x/deny", DENY_ALL))
    assert await world.row((*flow, 80, "TCP", 4) for flow in flows) == ". X"
    assert await world.row(back) == "X X"


@in_a_lab(deny_with="reject")
async def test_pods_of_the_host_network_are_in_no_selector_but_have_an_address(network: LabNetwork) -> None:
    world = World(network)
    await world.add("x/host", {"app": "a"}, "9100", host_network=True)
    await world.add("x/p", {"app": "a"}, "80")
    await world.enforce(policy("x/p", {**DENY_ALL, "egress": [{"to": [{"podSelector": {}}]}]}))
    assert await world.probe("x/p", "x/host", 9100) == REFUSED
    block = {"ipBlock": {"cidr": f"{network.nodes[0].addresses[0]}/32"}}
    await world.enforce(policy("x/p", {**DENY_ALL, "egress": [{"to": [block]}]}))
    assert await world.probe("x/p", "x/host", 9100) == OPEN


@in_a_lab()
async def test_two_pods_of_one_node_cannot_share_a_port_of_its_network(network: LabNetwork) -> None:
    world = World(network)
    await world.add("x/one", {}, "9100", host_network=True)
    with pytest.raises(LabError, match="port 9100/TCP is taken"):
        await world.add("x/two", {}, "9100", host_network=True)


@in_a_lab(nodes=2)
async def test_an_outside_host_reaches_and_is_reached_and_nothing_else_is(
    network: LabNetwork,
) -> None:
    world = World(network)
    await world.add("out/host", {}, "443", external=["203.0.113.50"])
    await world.add("out/other", {}, "443", external=["198.51.100.7"])
    await world.add("x/p", {}, "80", node="n2")
    flows = [("x/p", "out/host", 443), ("out/host", "x/p", 80), ("out/host", "out/other", 443)]
    assert await world.row((*flow, "TCP", 4) for flow in flows) == ". . ."
    assert await world.probe("x/p", "203.0.113.51", 443) == "Network is unreachable"
    assert await world.probe("out/host", "8.8.8.8", 53) == "Network is unreachable"
    assert await world.probe("x/p", "10.244.1.77", 80) == SILENT  # as Calico drops what no pod has


@in_a_lab()
async def test_addresses_that_cannot_be_outside_are_refused(network: LabNetwork) -> None:
    world = World(network)
    await world.add("out/host", {}, external=["203.0.113.50"])
    for address, reason in {
        "203.0.113.50": "another outside host",
        "10.244.3.4": "a network of the lab's own",
        "127.0.0.1": "not an address",
        "2001:db8::1": "the lab has no IPv6",
    }.items():
        with pytest.raises(LabError, match=reason):
            await world.add("out/bad", {}, external=[address])


@in_a_lab(ip_families=("ipv4", "ipv6"), nodes=2, deny_with="reject")
async def test_both_families_are_decided_each_for_itself(network: LabNetwork) -> None:
    world = World(network)
    await world.add("x/b", {"app": "b"}, "web=80", "53/UDP", node="n1")
    await world.add("x/a", {"app": "a"}, node="n2")
    await world.add("y/c", {"app": "c"}, node="n1")
    await world.add("out/host", {}, "80", external=["2001:db8::50", "203.0.113.50"])
    sources = ("x/a", "y/c", "out/host")

    async def both(port: int = 80, protocol: str = "TCP") -> str:
        return await world.row((source, "x/b", port, protocol, v) for v in (4, 6) for source in sources)

    def ingress(*peers: object, **more: object) -> dict[str, object]:
        subject = {"podSelector": {"matchLabels": {"app": "b"}}}
        return policy("x/p", {**subject, "ingress": [{"from": list(peers), **more}]})

    assert await both() == ". . . . . ."
    assert await both(53, "UDP") == ". . . . . ."
    await world.enforce(ingress({"podSelector": {"matchLabels": {"app": "a"}}}))
    assert await both() == ". X X . X X"
    await world.enforce(ingress({"ipBlock": {"cidr": "0.0.0.0/0"}}))
    assert await both() == ". . . X X X"
    await world.enforce(ingress({"ipBlock": {"cidr": "::/0", "except": ["2001:db8::/32"]}}))
    assert await both() == "X X X . . X"
    await world.enforce(ingress({"namespaceSelector": {}}, ports=[{"port": "web"}]))
    assert await both() == ". . X . . X"
    await world.enforce(policy("x/p", DENY_ALL))
    assert await world.row(("x/b", "out/host", 80, "TCP", v) for v in (4, 6)) == "X X"
    assert await world.row(("x/b", "x/b", 80, "TCP", v) for v in (4, 6)) == ". ."


@in_a_lab(ip_families=("ipv6",))
async def test_a_lab_of_ipv6_alone(network: LabNetwork) -> None:
    world = World(network)
    await world.add("x/a", {}, "80")
    await world.add("x/b", {}, "80")
    assert await world.probe("x/a", "x/b", 80, version=6) == OPEN
    await world.enforce(policy("x/deny", DENY_ALL))
    assert await world.probe("x/a", "x/b", 80, version=6) == SILENT


def _has_sctp() -> bool:
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP).close()
    except OSError:
        return False
    return True


@in_a_lab()
async def test_ports_and_rules_of_sctp_do_no_harm_where_the_kernel_has_none(network: LabNetwork) -> None:
    world = World(network)
    await world.add("x/server", {}, "80", "3868/SCTP")
    await world.add("y/client", {})
    assert await world.probe("y/client", "x/server", 80) == OPEN
    await world.enforce(policy("x/p", {"ingress": [{"ports": [{"port": 3868, "protocol": "SCTP"}]}]}))
    assert await world.probe("y/client", "x/server", 80) == SILENT


@pytest.mark.skipif(not _has_sctp(), reason="this kernel has no SCTP")
@in_a_lab(deny_with="reject")
async def test_sctp_is_judged_as_any_other(network: LabNetwork) -> None:
    world = World(network)
    await world.add("x/server", {}, "3868/SCTP", "3869/SCTP")
    await world.add("y/client", {})
    await world.enforce(policy("x/p", {"ingress": [{"ports": [{"port": 3868, "protocol": "SCTP"}]}]}))
    assert await world.probe("y/client", "x/server", 3868, "SCTP") == OPEN
    assert await world.probe("y/client", "x/server", 3869, "SCTP") != OPEN
