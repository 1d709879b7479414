"""Random clusters, policies and flows: from a seed (`random.Random`), or drawn and shrunk by hypothesis.

Everything is small and collides on purpose: few label keys and values (the empty one among them), port
names that mean other numbers on other pods, blocks whose edges run between the pods' addresses.

For a cluster whose addresses are given from outside (the lab, a real one): draw the pods with
`random_pods`, bring them up, and draw the policies with `random_policies` around the addresses they got.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address, ip_network
from random import Random
from typing import TypeVar

from hypothesis import strategies as st

from netprobe.model.cluster import Cluster, Namespace, Service, ServicePort
from netprobe.model.flow import (
    Address,
    ContainerPort,
    External,
    Family,
    Flow,
    Pod,
    PodRef,
    Protocol,
    ServiceRef,
)
from netprobe.model.labels import NAME_LABEL, Operator, Requirement, Selector
from netprobe.model.policy import (
    ANY_PEER,
    ANY_PORT,
    IPBlock,
    NamedPort,
    Network,
    Peer,
    PodPeer,
    Policy,
    PolicyRef,
    Port,
    PortRange,
    Rule,
    Subject,
)

T = TypeVar("T")

NAMESPACES = ("x", "y", "z")
POD_LABELS: Mapping[str, tuple[str, ...]] = {"app": ("a", "b", ""), "tier": ("front", "back")}
NAMESPACE_LABELS: Mapping[str, tuple[str, ...]] = {"team": ("one", "two", ""), "env": ("prod",)}
PORT_NAMES = ("web", "dns", "metrics")
PORTS = (80, 81, 82, 8080)
OUTSIDE: tuple[Address, ...] = (
    IPv4Address("203.0.113.50"),
    IPv4Address("10.99.0.10"),
    IPv6Address("2001:db8::50"),
)


@dataclass(frozen=True, slots=True)
class Shape:
    """What a random cluster may hold. `names`: its namespaces at most. `families`: those of its pods."""

    names: tuple[str, ...] = NAMESPACES
    pods: int = 6
    policies: int = 5
    services: int = 0
    families: tuple[Family, ...] = (4, 6)
    protocols: tuple[Protocol, ...] = (Protocol.TCP, Protocol.UDP, Protocol.SCTP)
    without_address: bool = True
    host_network: bool = True
    nodes: int = 2


LAB = Shape(
    families=(4,), protocols=(Protocol.TCP, Protocol.UDP), without_address=False, host_network=False, nodes=1
)
"""What the lab can show by packets: every pod has an address, none is on its node's network."""


def seeded(seed: int) -> Random:
    """A source of choices that is the same for the same seed."""
    return Random(seed)  # noqa: S311 - test data, not secrets


def random_cluster(rng: Random, shape: Shape = Shape()) -> Cluster:
    """Namespaces, pods with addresses, Services and policies; the same for the same state of `rng`."""
    cluster = random_pods(rng, shape)
    cluster = replace(cluster, services=random_services(rng, cluster, shape))
    return replace(cluster, policies=random_policies(rng, cluster, shape))


def random_pods(rng: Random, shape: Shape = Shape()) -> Cluster:
    """Namespaces and pods only; the addresses are from 10.244.0.0/16 and fd00:10:244::/64."""
    names = shape.names[: rng.randint(1, len(shape.names))]
    namespaces = {
        name: Namespace(name, {**random_labels(rng, NAMESPACE_LABELS), NAME_LABEL: name}) for name in names
    }
    pods = {}
    for number in range(rng.randint(1, shape.pods)):
        ref = PodRef(rng.choice(names), f"p{number}")
        node = rng.randint(1, shape.nodes)
        on_host = shape.host_network and rng.random() < 0.1
        node_addresses = tuple(_node_address(node, family) for family in shape.families)
        pods[ref] = Pod(
            ref,
            random_labels(rng, POD_LABELS),
            addresses=node_addresses if on_host else _addresses(rng, number, shape),
            ports=_container_ports(rng, shape),
            node=f"n{node}",
            node_addresses=node_addresses,
            host_network=on_host,
            ready=rng.random() < 0.9,
        )
    return Cluster(namespaces, pods)


def random_policies(rng: Random, cluster: Cluster, shape: Shape = Shape()) -> tuple[Policy, ...]:
    """Policies for the pods as they are, in the namespaces that there are."""
    return tuple(
        _policy(rng, PolicyRef(rng.choice(sorted(cluster.namespaces)), f"policy-{number}"), cluster, shape)
        for number in range(rng.randint(0, shape.policies))
    )


def random_services(rng: Random, cluster: Cluster, shape: Shape) -> dict[ServiceRef, Service]:
    services = {}
    for number in range(shape.services):
        ref = ServiceRef(rng.choice(sorted(cluster.namespaces)), f"s{number}")
        protocol = rng.choice(shape.protocols)
        target: int | str = rng.choice((*PORTS, *PORT_NAMES))
        services[ref] = Service(
            ref,
            selector=random_labels(rng, POD_LABELS) or {"app": "a"},
            addresses=(IPv4Address(f"10.96.0.{number + 1}"),) if rng.random() < 0.8 else (),
            ports=(ServicePort(rng.choice(PORTS), target, protocol),),
        )
    return services


def all_flows(
    cluster: Cluster, ports: Sequence[int] = PORTS, protocols: Sequence[Protocol] = tuple(Protocol)
) -> Iterator[Flow]:
    """Every ordered pair of pods and outside addresses, itself included, in every family both ends have."""
    ends: list[PodRef | External] = [*cluster.pods, *(External(address) for address in OUTSIDE)]
    for source in ends:
        for destination in ends:
            if isinstance(source, External) and isinstance(destination, External):
                continue
            for family in _families(cluster, source, destination):
                for port in ports:
                    for protocol in protocols:
                        yield Flow(source, destination, port, protocol, family)


def _families(
    cluster: Cluster, source: PodRef | External, destination: PodRef | External
) -> list[Family | None]:
    both = []
    for end in (source, destination):
        addresses = cluster.pods[end].addresses if isinstance(end, PodRef) else (end.address,)
        both.append({address.version for address in addresses})
    if not any(both):
        return [None]
    one, other = (families or {4, 6} for families in both)
    return [family for family in (4, 6) if family in one & other]


def random_labels(rng: Random, vocabulary: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Some of the keys, each with one of its values."""
    return {key: rng.choice(values) for key, values in vocabulary.items() if rng.random() < 0.7}


def _addresses(rng: Random, number: int, shape: Shape) -> tuple[Address, ...]:
    families = list(shape.families)
    if shape.without_address and rng.random() < 0.1:
        return ()
    if len(families) > 1 and rng.random() < 0.3:
        families = [rng.choice(families)]
    block, host = rng.randint(0, 1), number + 1
    made: dict[Family, Address] = {
        4: IPv4Address(f"10.244.{block}.{host}"),
        6: IPv6Address(f"fd00:10:244::{block}:{host}"),
    }
    return tuple(made[family] for family in families)


def _node_address(node: int, family: Family) -> Address:
    return IPv4Address(f"172.31.255.{node}") if family == 4 else IPv6Address(f"fd00:172:31::{node}")


def _container_ports(rng: Random, shape: Shape) -> tuple[ContainerPort, ...]:
    """Each name at most once; the number behind a name differs from pod to pod, and so may its protocol."""
    names: list[str | None] = [*rng.sample(PORT_NAMES, rng.randint(0, len(PORT_NAMES)))]
    names += [None] * rng.randint(0, 1)
    taken: dict[tuple[int, Protocol], ContainerPort] = {}
    for name in names:
        port = ContainerPort(rng.choice(PORTS), rng.choice(shape.protocols), name)
        taken.setdefault((port.number, port.protocol), port)
    return tuple(taken.values())


def _policy(rng: Random, ref: PolicyRef, cluster: Cluster, shape: Shape) -> Policy:
    sections = rng.choice((("ingress",), ("egress",), ("ingress", "egress")))
    rules = {
        name: tuple(_rule(rng, cluster, shape) for _ in range(rng.choice((0, 1, 1, 2)))) for name in sections
    }
    return Policy(ref, Subject(random_selector(rng, POD_LABELS)), rules.get("ingress"), rules.get("egress"))


def _rule(rng: Random, cluster: Cluster, shape: Shape) -> Rule:
    peers: tuple[Peer, ...] = tuple(_peer(rng, cluster, shape) for _ in range(rng.choice((0, 1, 1, 2, 3))))
    ports = tuple(random_port(rng, shape) for _ in range(rng.choice((0, 1, 1, 2))))
    return Rule(peers or ANY_PEER, ports or ANY_PORT)


def _peer(rng: Random, cluster: Cluster, shape: Shape) -> Peer:
    kind = rng.choice(("pods", "namespaces", "both", "block"))
    if kind == "block":
        return random_block(rng, cluster)
    namespaces = (
        random_selector(rng, {**NAMESPACE_LABELS, NAME_LABEL: shape.names}) if kind != "pods" else None
    )
    return PodPeer(
        random_selector(rng, POD_LABELS) if kind != "namespaces" else Selector(),
        namespaces,
    )


def random_selector(rng: Random, vocabulary: Mapping[str, tuple[str, ...]]) -> Selector:
    labels: dict[str, str] = {}
    requirements = []
    for _ in range(rng.choice((0, 1, 1, 2))):
        key = rng.choice(sorted(vocabulary))
        values = (*vocabulary[key], "other")
        operator = rng.choice((None, *Operator))
        if operator is None:
            labels[key] = rng.choice(values)
        elif operator in {Operator.IN, Operator.NOT_IN}:
            requirements.append(
                Requirement(key, operator, tuple(rng.sample(values, rng.randint(1, len(values) - 1))))
            )
        else:
            requirements.append(Requirement(key, operator))
    return Selector.of(labels, *requirements)


def random_block(rng: Random, cluster: Cluster) -> IPBlock:
    """A block around an address that occurs, cut so that its edges run between such addresses."""
    known = [address for pod in cluster.pods.values() for address in pod.addresses]
    address = rng.choice((*known, *OUTSIDE))
    longest = address.max_prefixlen
    length = rng.choice((0, longest - 24, longest - 16, longest - 8, longest - 2, longest - 1, longest))
    cidr = ip_network((address, length), strict=False)
    excluded: list[Network] = []
    for _ in range(rng.choice((0, 0, 1, 2)) if length < longest else 0):
        inside = [a for a in (*known, *OUTSIDE) if a.version == cidr.version and a in cidr]
        deeper = rng.choice([n for n in (longest - 8, longest - 1, longest) if n > length])
        excluded.append(ip_network((rng.choice(inside), deeper), strict=False))
    return IPBlock(cidr, tuple(excluded))


def random_port(rng: Random, shape: Shape) -> Port:
    protocol = rng.choice(shape.protocols)
    match rng.choice(("all", "one", "range", "name", "name")):
        case "all":
            return PortRange(protocol)
        case "one":
            number = rng.choice(PORTS)
            return PortRange(protocol, number, number)
        case "range":
            first, last = sorted((rng.choice(PORTS), rng.choice(PORTS)))
            return PortRange(protocol, first, last)
        case _:
            return NamedPort(rng.choice(PORT_NAMES), protocol)


def clusters(shape: Shape = Shape()) -> st.SearchStrategy[Cluster]:
    """Random clusters that hypothesis can shrink."""
    return st.randoms(use_true_random=False).map(lambda rng: random_cluster(rng, shape))


def shuffled(rng: Random, items: Sequence[T]) -> tuple[T, ...]:
    return tuple(rng.sample(items, len(items)))
