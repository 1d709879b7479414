"""Tiers of any kind on the kernel: actions, orders and defaults."""

from __future__ import annotations

from ipaddress import ip_network

from netprobe.lab.fabric.network import LabNetwork
from netprobe.lab.fabric.state import InstalledPolicy
from netprobe.model.flow import Protocol
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
from tests.lab.fabric.inside import in_a_lab
from tests.lab.fabric.probing import World
from tests.property.any_rule import KIND

PORTS = (80, 81)
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
