"""Random policies of every kind on the kernel: packets and the simulator agree in every cell.

Policy is worked out twice, as packet filter rules and as one walk through the tiers, by code that shares the
model and the matching of labels. For NETPROBE_FUZZ_SECONDS and NETPROBE_FUZZ_SEED see
tests/property/fuzz.py.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address

from netprobe.lab.fabric.network import LabNetwork
from netprobe.model.cluster import Cluster
from netprobe.model.flow import External, Family, Flow, Pod, PodRef, Protocol
from netprobe.model.verdict import Verdict
from netprobe.simulate import CALICO, Simulator
from tests.lab.fabric.inside import in_a_lab
from tests.lab.fabric.packetfilter import state_of
from tests.lab.fabric.probing import OPEN, REFUSED, World
from tests.property.fuzz import Budget
from tests.property.kinds import mixed
from tests.property.strategies import LAB, random_pods, seeded

PORTS = ("80", "81", "80/UDP")
SHAPE = replace(LAB, families=(4, 6), policies=6, pods=4)
OUTSIDE = ("203.0.113.50", "2001:db8::50")
ROUNDS = 5


@in_a_lab(deny_with="reject", nodes=2, ip_families=("ipv4", "ipv6"))
async def test_packets_do_what_the_simulator_says(network: LabNetwork) -> None:
    """Each state is the one before with other policies and sets, so that differences are loaded."""
    seen: Counter[Verdict] = Counter()
    for seed in Budget.given(3).seeds():
        seen += await play(network, seed)
    assert min(seen[Verdict.ALLOW], seen[Verdict.DENY]) > 50, seen


async def play(network: LabNetwork, seed: int) -> Counter[Verdict]:
    """One set of pods under several random sets of policies; how many flows were compared, by verdict."""
    rng = seeded(seed)
    world, drawn = World(network), random_pods(rng, SHAPE)
    for ref, pod in drawn.pods.items():
        declared = {f"{port.name}={port.number}/{port.protocol.value}" for port in pod.ports if port.name}
        taken = {text.partition("=")[2].removesuffix("/TCP") for text in declared}
        name = f"{ref.namespace}/w{seed}-{ref.name}"
        await world.add(name, pod.labels, *sorted(declared), *sorted({*PORTS} - taken))
    pods = {
        ref: Pod(ref, one.labels, one.addresses, one.ports, one.node) for ref, one in world.members.items()
    }
    host = await world.add("out/host", {}, *PORTS, external=OUTSIDE)
    seen: Counter[Verdict] = Counter()
    for _ in range(ROUNDS):
        cluster = mixed(rng, replace(drawn, pods=pods), SHAPE)
        state = state_of(cluster)
        members = {**state.members, host: world.members[host]}
        await network.enforce(replace(state, members=members))
        seen += await _compared(world, cluster, seed)
    for ref in list(world.members):
        await world.remove(str(ref))
    return seen


async def _compared(world: World, cluster: Cluster, seed: int) -> Counter[Verdict]:
    simulator = Simulator(cluster, CALICO)
    flows = list(_flows(cluster))
    outcomes = await asyncio.gather(*(_probe(world, flow) for flow in flows))
    seen: Counter[Verdict] = Counter()
    for flow, outcome in zip(flows, outcomes, strict=True):
        decision = simulator.decide(flow)
        if decision.undefined:
            continue
        expected = OPEN if decision.verdict is Verdict.ALLOW else REFUSED
        if outcome != expected and flow.protocol is Protocol.UDP:
            # A new socket may get the port of an earlier one, whose flow is still established.
            outcome = await _probe(world, flow)  # noqa: PLW2901
        assert outcome == expected, (seed, flow, outcome, decision, cluster.policies, cluster.network_sets)
        seen[decision.verdict] += 1
    return seen


def _flows(cluster: Cluster) -> Iterator[Flow]:
    ends: list[PodRef | External] = [*cluster.pods, *(External(ip_address(text)) for text in OUTSIDE)]
    for source in ends:
        for destination in ends:
            if source == destination or not (isinstance(source, PodRef) or isinstance(destination, PodRef)):
                continue
            for family in _families(cluster, source) & _families(cluster, destination):
                for port in PORTS:
                    number, _, protocol = port.partition("/")
                    yield Flow(source, destination, int(number), Protocol(protocol or "TCP"), family)


def _families(cluster: Cluster, end: PodRef | External) -> set[Family]:
    addresses = cluster.pods[end].addresses if isinstance(end, PodRef) else (end.address,)
    return {address.version for address in addresses}


async def _probe(world: World, flow: Flow) -> str:
    source, destination = (
        str(end) if isinstance(end, PodRef) else "out/host" for end in (flow.source, flow.destination)
    )
    return await world.probe(source, destination, flow.port, flow.protocol.value, flow.family or 4)
