"""Synthetic clusters for benchmarks: sizes are given, everything else follows from a seed.

Shaped like clusters that run many services: each namespace has a team, an environment and a dozen apps with
some replicas each; most policies open one app to one or two others on a port or two, in the same namespace
or another, some by address, and most namespaces begin with a default deny.
"""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network
from random import Random

from netprobe.model.cluster import Cluster, Namespace
from netprobe.model.flow import ContainerPort, Pod, PodRef, Protocol
from netprobe.model.labels import Operator, Requirement, Selector
from netprobe.model.policy import (
    ADMIN_TIER,
    ANY_PORT,
    BASELINE_TIER,
    CALICO_GLOBAL_POLICY,
    CLUSTER_NETWORK_POLICY,
    STANDARD_TIERS,
    Action,
    IPBlock,
    NamedPort,
    Networks,
    Peer,
    PodPeer,
    Policy,
    PolicyRef,
    Port,
    PortRange,
    Rule,
    Subject,
    Tier,
)

TEAMS = 12
PORTS = (80, 443, 5432, 8080, 9090)
PODS = int(IPv4Address("10.0.0.0"))
OUTSIDE = tuple(f"203.0.{third}.0" for third in range(40))
EVERYWHERE, PRIVATE = IPv4Network("0.0.0.0/0"), IPv4Network("10.0.0.0/8")

TIERS = tuple(Tier(f"tier{n}", 100 * n, Action.DENY if n % 5 == 4 else Action.PASS) for n in range(10))


def seeded(seed: int) -> Random:
    return Random(seed)  # noqa: S311 - numbers, not secrets


def synthetic(
    pods: int, policies: int, namespaces: int, *, seed: int = 1, replicas: int = 4, distinct: bool = False
) -> Cluster:
    """A cluster of these sizes. `distinct` gives every pod a label of its own that policies ask for.

    `replicas`: the pods of an app, at least.
    """
    rng = seeded(seed)
    names = [f"ns{number}" for number in range(namespaces)]
    spaces = {
        name: Namespace(
            name,
            {
                "kubernetes.io/metadata.name": name,
                "team": f"team{number % TEAMS}",
                "env": ("prod", "staging", "dev")[number % 3],
            },
        )
        for number, name in enumerate(names)
    }
    made = {}
    apps: dict[str, int] = {}
    for number in range(pods):
        name = names[number % namespaces]
        per = pods // namespaces
        app = number // namespaces if distinct else (number // namespaces) % max(2, per // replicas)
        apps[name] = max(apps.get(name, 0), app + 1)
        ref = PodRef(name, f"app{app}-{number}")
        labels = {
            "app": f"app{app}",
            "tier": ("front", "back", "data")[app % 3],
            "pod-template-hash": f"{number:x}",
        }
        ports = (ContainerPort(PORTS[app % 5], name="main"), ContainerPort(9090, name="metrics"))
        made[ref] = Pod(ref, labels, (IPv4Address(PODS + number + 256),), ports, node=f"n{number % 100}")
    rules = tuple(_policy(rng, number, names, apps) for number in range(policies))
    return Cluster(spaces, made, rules)


def _policy(rng: Random, number: int, names: list[str], apps: dict[str, int]) -> Policy:
    name = names[number % len(names)]
    ref = PolicyRef(name, f"policy-{number}")
    if number < len(names):
        both = rng.random() < 0.5
        return Policy(ref, ingress=(), egress=() if both else None)
    subjects = Selector.of({"app": f"app{rng.randrange(apps[name])}"})
    rules = tuple(_rule(rng, name, names, apps) for _ in range(rng.choice((1, 1, 2))))
    if rng.random() < 0.6:
        return Policy(ref, Subject(subjects), ingress=rules)
    return Policy(ref, Subject(subjects), egress=rules)


def _rule(rng: Random, name: str, names: list[str], apps: dict[str, int]) -> Rule:
    peers = tuple(_peer(rng, name, names, apps) for _ in range(rng.choice((1, 2))))
    ports: tuple[Port, ...] = tuple(_port(rng) for _ in range(rng.choice((0, 1, 1, 2))))
    return Rule(peers, ports or ANY_PORT)


def _peer(rng: Random, name: str, names: list[str], apps: dict[str, int]) -> Peer:
    other = rng.choice(names)
    app = Selector.of({"app": f"app{rng.randrange(apps[name])}"})
    match rng.randrange(6):
        case 0 | 1:
            return PodPeer(app)
        case 2:
            return PodPeer(app, Selector.of({"kubernetes.io/metadata.name": other}))
        case 3:
            return PodPeer(app, Selector.of({"team": f"team{rng.randrange(TEAMS)}"}))
        case 4:
            stages = Requirement("env", Operator.NOT_IN, ("dev",))
            return PodPeer(Selector.of({"tier": "front"}), Selector.of({}, stages))
        case _:
            block = IPv4Network((rng.choice(OUTSIDE), 24))
            return rng.choice(
                (IPBlock(block, (next(block.subnets(new_prefix=28)),)), IPBlock(EVERYWHERE, (PRIVATE,)))
            )


def _port(rng: Random) -> Port:
    match rng.randrange(4):
        case 0:
            return NamedPort(rng.choice(("main", "metrics")))
        case 1:
            return PortRange(Protocol.TCP, 8000, 9100)
        case _:
            number = rng.choice(PORTS)
            return PortRange(Protocol.TCP, number, number)


def mixed(cluster: Cluster, priority: int, ordered: int, *, seed: int = 1) -> Cluster:
    """The cluster with ClusterNetworkPolicies, and GlobalNetworkPolicies in ten tiers of their own, added.

    A platform team's: each is about a team, an environment or an app in many namespaces, and says something
    about one or two others, in both directions half of the time.
    """
    rng = seeded(seed)
    apps = sorted({pod.labels["app"] for pod in cluster.pods.values()})
    added = []
    for number in range(priority + ordered):
        wide = number < priority
        kind, action = (CLUSTER_NETWORK_POLICY, Action.DENY) if wide else (CALICO_GLOBAL_POLICY, Action.ALLOW)
        tier = (BASELINE_TIER if number % 4 == 3 else ADMIN_TIER) if wide else TIERS[number % len(TIERS)]
        rules = tuple(_guard(rng, apps, action) for _ in range(rng.choice((1, 2, 3))))
        both = rng.random() < 0.5
        added.append(
            Policy(
                PolicyRef("", f"guard-{number}", kind),
                Subject(*_some(rng, apps)),
                rules,
                rules if both else None,
                tier=tier.name,
                order=rng.randrange(1000) if wide else number,
            )
        )
    return replace(cluster, policies=(*cluster.policies, *added), tiers=(*STANDARD_TIERS, *TIERS))


def _guard(rng: Random, apps: list[str], action: Action) -> Rule:
    peer: Peer = PodPeer(*_some(rng, apps))
    if rng.random() < 0.2:
        peer = Networks((IPv4Network((rng.choice(OUTSIDE), 24)), PRIVATE))
    ports = (_port(rng),) if rng.random() < 0.5 else ANY_PORT
    return Rule((peer,), ports, action if rng.random() < 0.7 else Action.PASS)


def _some(rng: Random, apps: list[str]) -> tuple[Selector, Selector]:
    """Pods and namespaces."""
    pods = rng.choice(
        (
            Selector(),
            Selector.of({"tier": rng.choice(("front", "back", "data"))}),
            Selector.of({"app": rng.choice(apps)}),
        )
    )
    namespaces = rng.choice(
        (
            Selector.of({"team": f"team{rng.randrange(TEAMS)}"}),
            Selector.of({"env": rng.choice(("prod", "dev"))}),
        )
    )
    return pods, namespaces
