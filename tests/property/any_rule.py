"""Random rules with everything that the model can say, in policies of tiers; see strategies.py."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from netprobe.model.cluster import Cluster
from netprobe.model.labels import Labels
from netprobe.model.policy import (
    ADMIN_TIER,
    ANY_PEER,
    ANY_PORT,
    STANDARD_TIERS,
    Action,
    AllPeers,
    AnyPeer,
    NamedPort,
    Networks,
    NetworkSet,
    NotPeer,
    OtherProtocol,
    Peer,
    PodPeer,
    Policy,
    PolicyRef,
    Port,
    PortRange,
    Rule,
    Subject,
    Tier,
    UnknownPeer,
)
from tests.property.strategies import (
    NAMESPACE_LABELS,
    POD_LABELS,
    PORT_NAMES,
    PORTS,
    Shape,
    random_block,
    random_labels,
    random_port,
    random_selector,
)

TIERS = (
    Tier("early", 5, Action.DENY),
    *STANDARD_TIERS,
    Tier("Also", ADMIN_TIER.order, Action.DENY),
    Tier("zone", ADMIN_TIER.order, Action.PASS),
)
"""Two of them tie with the Admin tier, so that their names decide."""

KIND = "TierPolicy"
"""Stands for any kind whose rules have actions and whose policies have an order."""

ACCOUNT_LABELS: Mapping[str, tuple[str, ...]] = {"side": ("in", "out")}
ACCOUNTS = ("default", "robot", "nobody")
"""There is no ServiceAccount of the last name."""


def random_accounts(rng: Random, cluster: Cluster) -> dict[tuple[str, str], Labels]:
    names = [(namespace, name) for namespace in sorted(cluster.namespaces) for name in ACCOUNTS[:2]]
    return {name: random_labels(rng, ACCOUNT_LABELS) for name in names}


def random_sets(rng: Random, cluster: Cluster) -> tuple[NetworkSet, ...]:
    """Sets with the labels of pods; their networks overlap with each other and with pods."""
    return tuple(
        NetworkSet(
            rng.choice(("", *sorted(cluster.namespaces))),
            f"set-{number}",
            random_labels(rng, POD_LABELS),
            tuple(random_block(rng, cluster).cidr for _ in range(rng.randint(1, 3))),
        )
        for number in range(rng.randint(0, 3))
    )


def random_tier_policies(rng: Random, cluster: Cluster, shape: Shape) -> tuple[Policy, ...]:
    return tuple(_policy(rng, number, cluster, shape) for number in range(rng.randint(0, shape.policies)))


def _policy(rng: Random, number: int, cluster: Cluster, shape: Shape) -> Policy:
    scoped = rng.random() < 0.5
    rules = {
        direction: tuple(_rule(rng, cluster, shape, scoped=scoped) for _ in range(rng.randint(0, 3)))
        for direction in rng.choice((("ingress",), ("egress",), ("ingress", "egress")))
    }
    return Policy(
        PolicyRef("" if scoped else rng.choice(sorted(cluster.namespaces)), f"tiered-{number}", KIND),
        Subject(
            random_selector(rng, POD_LABELS),
            random_selector(rng, NAMESPACE_LABELS) if scoped else None,
            random_selector(rng, ACCOUNT_LABELS) if rng.random() < 0.2 else None,
        ),
        rules.get("ingress"),
        rules.get("egress"),
        tier=rng.choice((*(tier.name for tier in TIERS), "missing")),
        order=rng.choice((-1, 5, 1000, 1000, 1000.5)),
    )


def _rule(rng: Random, cluster: Cluster, shape: Shape, *, scoped: bool) -> Rule:
    ports = tuple(random_port(rng, shape) for _ in range(rng.choice((0, 1, 1, 2)))) or ANY_PORT
    if rng.random() < 0.05:
        ports = (*ports, OtherProtocol("ICMP"))
    first, last = sorted((rng.choice(PORTS), rng.choice(PORTS)))
    not_ports: tuple[Port, ...] = ()
    if rng.random() < 0.3:
        protocol = rng.choice(shape.protocols)
        not_ports = (
            rng.choice((PortRange(protocol, first, last), NamedPort(rng.choice(PORT_NAMES), protocol))),
        )
    peers = [_peer(rng, cluster, scoped=scoped) for _ in range(rng.choice((0, 1, 1, 2)))]
    if rng.random() < 0.02:
        peers.append(UnknownPeer("future"))
    return Rule(
        tuple(peers) or ANY_PEER,
        ports,
        rng.choice((*Action, Action.ALLOW)),
        _peer(rng, cluster, scoped=scoped) if rng.random() < 0.3 else AnyPeer(),
        not_ports,
    )


def _peer(rng: Random, cluster: Cluster, *, scoped: bool, depth: int = 2) -> Peer:
    kinds = ["pods", "pods", "networks", "block"] + ["all", "not"] * (depth > 0)
    match rng.choice(kinds):
        case "pods":
            namespaces = random_selector(rng, NAMESPACE_LABELS) if scoped or rng.random() < 0.4 else None
            accounts = random_selector(rng, ACCOUNT_LABELS) if rng.random() < 0.15 else None
            return PodPeer(random_selector(rng, POD_LABELS), namespaces, accounts, rng.random() < 0.5)
        case "networks":
            blocks = [random_block(rng, cluster) for _ in range(rng.randint(1, 2))]
            excluded = tuple(network for block in blocks for network in block.excluded)
            return Networks(tuple(block.cidr for block in blocks), excluded)
        case "block":
            return random_block(rng, cluster)
        case "all":
            parts = [_peer(rng, cluster, scoped=scoped, depth=depth - 1) for _ in range(rng.randint(1, 2))]
            return AllPeers(tuple(parts))
        case _:
            return NotPeer(_peer(rng, cluster, scoped=scoped, depth=depth - 1))
