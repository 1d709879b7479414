"""Tiers of any kind on the kernel: packets and the simulator agree on policies with actions and orders.

Policy is worked out twice, as packet filter rules and as one walk through the tiers, by code that shares the
model and the matching of labels.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from ipaddress import ip_network

from netprobe.lab.fabric.network import LabNetwork
from netprobe.lab.fabric.state import InstalledPolicy
from netprobe.model.cluster import Cluster, Namespace
from netprobe.model.flow import Flow, Pod, Protocol
from netprobe.model.labels import Selector
from netprobe.model.policy import (
    ADMIN_TIER,
    ANY_PEER,
    BASELINE_TIER,
    Action,
    Networks,
    Policy,
    PolicyRef,
    PortRange,
    Rule,
    Subject,
    Tier,
)
from netprobe.model.verdict import Verdict
from netprobe.simulate import Simulator
from tests.lab.fabric.inside import in_a_lab
from tests.lab.fabric.probing import OPEN, REFUSED, World
from tests.property.strategies import KIND, LAB, TIERS, random_pods, random_policies, seeded

PORTS = (80, 81)
SHAPE = replace(LAB, tiers=TIERS, policies=8, pods=4, protocols=(Protocol.TCP,))
EVERYBODY = Subject(namespaces=Selector())
TCP_80 = (PortRange(Protocol.TCP, 80, 80),)


def installed(*policies: Policy) -> list[InstalledPolicy]:
    return [InstalledPolicy(policy, {}) for policy in policies]


def policy(name: str, tier: Tier, *rules: Rule, order: float = 0) -> Policy:
    """Ingress of every pod."""
    return Policy(PolicyRef("", name, KIND), EVERYBODY, rules, tier=tier.name, order=order)


def to(action: Action, *cidrs: str, ports: tuple[PortRange, ...] = TCP_80) -> Rule:
    return Rule((Networks(tuple(map(ip_network, cidrs))),) if cidrs else ANY_PEER, ports, action)


ISOLATED = Policy(PolicyRef("x", "isolated"), ingress=())
CASES = (
    ("an admin rule denies", [policy("a", ADMIN_TIER, to(Action.DENY))], "X ."),
    ("an admin rule allows although a NetworkPolicy isolates",
     [policy("a", ADMIN_TIER, to(Action.ALLOW)), ISOLATED], ". X"),
    ("what an admin rule passes, the NetworkPolicies decide",
     [policy("a", ADMIN_TIER, to(Action.PASS), to(Action.DENY)), ISOLATED], "X X"),
    ("passing skips later policies of the tier",
     [policy("a", ADMIN_TIER, to(Action.PASS)), policy("b", ADMIN_TIER, to(Action.DENY), order=1)], ". ."),
    ("a rule that passed before leaves no trace in the next tier",
     [policy("a", ADMIN_TIER, to(Action.PASS)),
      policy("b", BASELINE_TIER, to(Action.PASS, "192.0.2.0/24"), order=1),
      policy("c", BASELINE_TIER, to(Action.DENY), order=2)], "X ."),
    ("logging decides nothing", [policy("a", ADMIN_TIER, to(Action.LOG), to(Action.DENY))], "X ."),
    ("an isolating NetworkPolicy hides the baseline tier",
     [Policy(PolicyRef("x", "all"), ingress=(Rule(ports=TCP_80),)),
      policy("b", BASELINE_TIER, to(Action.DENY))], ". X"),
    ("the baseline tier denies", [policy("b", BASELINE_TIER, to(Action.DENY))], "X ."),
    ("networks that overlap are one match",
     [policy("a", ADMIN_TIER, to(Action.DENY, "10.0.0.0/8", "10.244.0.0/16", "192.0.2.1/32"))], "X ."),
)  # fmt: skip


@in_a_lab(deny_with="reject")
async def test_actions(network: LabNetwork) -> None:
    world = World(network)
    await world.add("x/server", {}, "80", "81")
    await world.add("y/client", {})
    for sentence, policies, expected in CASES:
        await world.enforce(*installed(*policies))
        row = await world.row([("y/client", "x/server", port, "TCP", 4) for port in PORTS])
        assert row == expected, sentence


@in_a_lab(deny_with="reject", nodes=2)
async def test_packets_do_what_the_simulator_says(network: LabNetwork) -> None:
    """Compared world by world; each is the one before with other policies, so that differences are loaded."""
    seen: Counter[Verdict] = Counter()
    for seed in range(3):
        rng = seeded(seed)
        world, drawn = World(network), random_pods(rng, SHAPE)
        world.namespaces = {name: dict(each.labels) for name, each in drawn.namespaces.items()}
        names = [f"w{seed}-{ref.name}" for ref in drawn.pods]
        for name, (ref, pod) in zip(names, drawn.pods.items(), strict=True):
            declared = {f"{port.name}={port.number}" for port in pod.ports if port.name}
            taken = {text.partition("=")[2] for text in declared}
            more = {str(port) for port in PORTS if str(port) not in taken}
            await world.add(f"{ref.namespace}/{name}", pod.labels, *sorted(declared | more))
        cluster = Cluster(
            {name: Namespace(name, labels) for name, labels in world.namespaces.items()},
            {
                ref: Pod(ref, one.labels, one.addresses, one.ports, one.node)
                for ref, one in world.members.items()
            },
            tiers=TIERS,
        )
        world.tiers = TIERS
        for _ in range(6):
            policies = random_policies(rng, cluster, SHAPE)
            await world.enforce(*installed(*policies))
            seen += await _compared(world, replace(cluster, policies=policies))
        for ref in list(world.members):
            await world.remove(str(ref))
    assert min(seen[Verdict.ALLOW], seen[Verdict.DENY]) > 50, seen


async def _compared(world: World, cluster: Cluster) -> Counter[Verdict]:
    simulator = Simulator(cluster)
    pairs = [(one, other) for one in cluster.pods for other in cluster.pods if one != other]
    flows = [Flow(*pair, port, Protocol.TCP, 4) for pair in pairs for port in PORTS]
    outcomes = await asyncio.gather(
        *(world.probe(str(flow.source), str(flow.destination), flow.port) for flow in flows)
    )
    seen: Counter[Verdict] = Counter()
    for flow, outcome in zip(flows, outcomes, strict=True):
        decision = simulator.decide(flow)
        expected = OPEN if decision.verdict is Verdict.ALLOW else REFUSED
        assert outcome == expected, (flow, outcome, decision, cluster.policies)
        seen[decision.verdict] += 1
    return seen
