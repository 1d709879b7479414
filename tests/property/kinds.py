"""Random policies of every kind, mixed, in clusters with all that their rules can speak of.

As in `strategies`, everything is small and collides on purpose. The shape says what a cluster may hold; what
is unknown to a network plugin, and what only a manifest can have, is in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import ip_network
from random import Random

from netprobe.model.cluster import Cluster, Node
from netprobe.model.expression import AllOf, AnyOf, Expression, Negation, Part, ValuePart
from netprobe.model.flow import Address
from netprobe.model.labels import (
    CALICO_NAME,
    CALICO_NAMESPACE,
    NAME_LABEL,
    Operator,
    Requirement,
    Selector,
)
from netprobe.model.policy import (
    ADMIN_NETWORK_POLICY,
    ADMIN_TIER,
    ANY_PEER,
    ANY_PORT,
    BASELINE_TIER,
    CALICO_GLOBAL_POLICY,
    CALICO_POLICY,
    CLUSTER_NETWORK_POLICY,
    STANDARD_TIERS,
    Action,
    AllPeers,
    DomainPeer,
    NamedPort,
    Networks,
    NetworkSet,
    NodePeer,
    NotPeer,
    OtherProtocol,
    Peer,
    PodPeer,
    Policy,
    PolicyRef,
    Port,
    PortRange,
    Rule,
    ServicePeer,
    Subject,
    Tier,
    UnknownPeer,
)
from tests.property.strategies import (
    NAMESPACE_LABELS,
    NAMESPACES,
    OUTSIDE,
    POD_LABELS,
    PORT_NAMES,
    PORTS,
    Shape,
    random_labels,
    random_pods,
    random_policies,
    random_services,
    shuffled,
)

TIERS = (Tier("first", 5, Action.DENY), Tier("late", 2_000_000, Action.PASS), Tier("abc", 1_000, Action.PASS))
SET_LABELS: Mapping[str, tuple[str, ...]] = {"app": ("a", "b"), "role": ("office", "partner")}
ACCOUNTS = ("default", "web", "db")
ACCOUNT_LABELS: Mapping[str, tuple[str, ...]] = {"trust": ("high", "low")}
NODE_LABELS: Mapping[str, tuple[str, ...]] = {"zone": ("east", "west")}
MIXED = Shape(pods=5)
CLIENT_PORTS = ((1, 65535), (53, 53), (32768, 60999), (40000, 50000))


def random_mixed(rng: Random, shape: Shape = MIXED) -> Cluster:
    """A cluster with policies of all kinds; the same for the same state of `rng`."""
    return mixed(rng, random_pods(rng, shape), shape)


def mixed(rng: Random, cluster: Cluster, shape: Shape) -> Cluster:
    """The cluster with policies of all kinds, and what they refer to; of the pods, the accounts change."""
    cluster = replace(cluster, tiers=shuffled(rng, (*STANDARD_TIERS, *TIERS)))
    pods = {ref: replace(pod, service_account=rng.choice(ACCOUNTS)) for ref, pod in cluster.pods.items()}
    names = sorted(cluster.namespaces)
    cluster = replace(
        cluster,
        pods=pods,
        network_sets=tuple(_network_set(rng, cluster, number) for number in range(rng.randint(0, 4))),
        service_accounts={
            (namespace, name): random_labels(rng, ACCOUNT_LABELS)
            for namespace in names
            for name in ACCOUNTS
            if rng.random() < 0.8
        },
        nodes={
            name: Node(name, random_labels(rng, NODE_LABELS), _node_addresses(cluster, name))
            for name in (f"n{number}" for number in range(1, shape.nodes + 1))
            if rng.random() < 0.8
        },
    )
    cluster = replace(cluster, services=random_services(rng, cluster, replace(shape, services=2)))
    plain = random_policies(rng, cluster, replace(shape, policies=3))
    others = tuple(_policy(rng, cluster, shape, f"policy-{number}") for number in range(rng.randint(1, 7)))
    return replace(cluster, policies=shuffled(rng, (*plain, *others)))


def _node_addresses(cluster: Cluster, name: str) -> tuple[Address, ...]:
    found = {a: None for pod in cluster.pods.values() if pod.node == name for a in pod.node_addresses}
    return tuple(found)


def _network_set(rng: Random, cluster: Cluster, number: int) -> NetworkSet:
    namespace = rng.choice(("", *NAMESPACES[:1], *sorted(cluster.namespaces)))
    return NetworkSet(
        namespace, f"set-{number}", random_labels(rng, SET_LABELS), _networks(rng, cluster).cidrs
    )


def _policy(rng: Random, cluster: Cluster, shape: Shape, name: str) -> Policy:
    namespace = rng.choice(sorted(cluster.namespaces))
    priority = (CLUSTER_NETWORK_POLICY, CLUSTER_NETWORK_POLICY, ADMIN_NETWORK_POLICY)
    match rng.choice((*priority, CALICO_GLOBAL_POLICY, CALICO_POLICY)):
        case "GlobalNetworkPolicy" as kind:
            subject = Subject(_expressed(rng, POD_LABELS), _expressed(rng, NAMESPACE_LABELS), _accounts(rng))
            return _calico(rng, cluster, shape, PolicyRef("", name, kind), subject)
        case "NetworkPolicy.projectcalico.org" as kind:
            subject = Subject(_expressed(rng, POD_LABELS), None, _accounts(rng))
            return _calico(rng, cluster, shape, PolicyRef(namespace, name, kind), subject)
        case kind:
            peer = _k8s_pods(rng)
            rules = [
                tuple(_cnp_rule(rng, cluster, shape, egress=egress) for _ in range(rng.randint(0, 2)))
                for egress in (False, True)
            ]
            tier = ADMIN_TIER if kind == ADMIN_NETWORK_POLICY or rng.random() < 0.5 else BASELINE_TIER
            return Policy(
                PolicyRef("", name, kind),
                Subject(peer.pods, peer.namespaces),
                rules[0] or None,
                rules[1] or None,
                tier=tier.name,
                order=rng.choice((0, 5, 5, 5)),
            )


def _k8s_pods(rng: Random) -> PodPeer:
    namespaces = _selector(rng, {**NAMESPACE_LABELS, NAME_LABEL: NAMESPACES})
    if rng.random() < 0.5:
        return PodPeer(Selector(), namespaces, sets=None)
    return PodPeer(_selector(rng, POD_LABELS), namespaces)


def _cnp_rule(rng: Random, cluster: Cluster, shape: Shape, *, egress: bool) -> Rule:
    peers: list[Peer] = [_k8s_pods(rng) for _ in range(rng.randint(1, 2))]
    if egress:
        others = (
            _networks(rng, cluster),
            NodePeer(_selector(rng, NODE_LABELS)),
            DomainPeer(("example.com",)),
            UnknownPeer("future"),
        )
        peers[-1] = rng.choice((peers[-1], *others))
    ports: list[Port] = [_number(rng, shape) for _ in range(rng.randint(0, 2))]
    if ports and rng.random() < 0.4:
        ports[-1] = NamedPort(rng.choice(PORT_NAMES), None)
    return Rule(tuple(peers), tuple(ports) or ANY_PORT, rng.choice((Action.ALLOW, Action.DENY, Action.PASS)))


def _calico(rng: Random, cluster: Cluster, shape: Shape, ref: PolicyRef, subject: Subject) -> Policy:
    tiers = (*(tier.name for tier in TIERS), "default", "default", "kube-admin", "kube-baseline", "gone")
    ways = rng.choice(((True, False), (False, True), (True, True)))
    ingress, egress = (
        tuple(_calico_rule(rng, cluster, shape, ref, egress=egress) for _ in range(rng.randint(0, 3)))
        for egress in (False, True)
    )
    return Policy(
        ref,
        subject,
        ingress if ways[0] else None,
        egress if ways[1] else None,
        tier=rng.choice(tiers),
        order=rng.choice((-1, 5, 1000, 1000.5, float("inf"))),
    )


def _calico_rule(rng: Random, cluster: Cluster, shape: Shape, ref: PolicyRef, *, egress: bool) -> Rule:
    """Ports of clients go with protocols that have ports: Calico refuses the others."""
    ports: tuple[Port, ...] = tuple(_calico_port(rng, shape) for _ in range(rng.choice((0, 0, 1, 2))))
    excluded = tuple(_calico_port(rng, shape) for _ in range(rng.choice((0, 0, 0, 1))))
    client = rng.choice(CLIENT_PORTS) if rng.random() < 0.15 else None
    if client:
        ports = tuple(port for port in ports if not isinstance(port, OtherProtocol))
    protocol = rng.choice(shape.protocols)
    return Rule(
        (_end(rng, cluster, ref, service=egress),),
        ports or ANY_PORT,
        rng.choice((*Action, Action.ALLOW)),
        _end(rng, cluster, ref, service=False) if rng.random() < 0.3 else ANY_PEER[0],
        excluded,
        ANY_PORT if client is None else (PortRange(protocol, *client),),
    )


def _end(rng: Random, cluster: Cluster, ref: PolicyRef, *, service: bool) -> Peer:
    """What a rule may say of one end: any of networks, selectors and a Service, all of which must match."""
    parts: list[Peer] = []
    scope = None if ref.namespace and rng.random() < 0.5 else _expressed(rng, NAMESPACE_LABELS)
    if rng.random() < 0.6:
        labels = {**POD_LABELS, "role": SET_LABELS["role"], CALICO_NAMESPACE: NAMESPACES}
        selected = PodPeer(_expressed(rng, labels), scope, _accounts(rng), sets=True)
        parts.append(NotPeer(selected) if rng.random() < 0.2 else selected)
    if rng.random() < 0.4:
        parts.append(_networks(rng, cluster, excluding=True))
    if service and cluster.services and rng.random() < 0.25:
        behind = ServicePeer(rng.choice(sorted(cluster.services)), on_ports=rng.random() < 0.7)
        parts.append(NotPeer(behind) if rng.random() < 0.3 else behind)
    return AllPeers(tuple(parts)) if len(parts) > 1 else (*parts, *ANY_PEER)[0]


def _networks(rng: Random, cluster: Cluster, *, excluding: bool = False) -> Networks:
    """Networks around addresses that occur; others cut out of them."""
    known = [address for pod in cluster.pods.values() for address in pod.addresses]

    def network() -> object:
        address = rng.choice((*known, *OUTSIDE))
        longest = address.max_prefixlen
        length = rng.choice((0, longest - 16, longest - 8, longest - 1, longest))
        return ip_network((address, length), strict=False)

    cidrs = tuple(network() for _ in range(rng.choice((1, 1, 2))))
    excluded = tuple(network() for _ in range(rng.choice((0, 1)) if excluding else 0))
    return Networks(cidrs, excluded)  # type: ignore[arg-type]


def _accounts(rng: Random) -> Selector | None:
    if rng.random() < 0.8:
        return None
    return _expressed(rng, {**ACCOUNT_LABELS, CALICO_NAME: ACCOUNTS})


def _number(rng: Random, shape: Shape) -> PortRange:
    first, last = sorted((rng.choice(PORTS), rng.choice(PORTS)))
    return rng.choice(
        (PortRange(rng.choice(shape.protocols)), PortRange(rng.choice(shape.protocols), first, last))
    )


def _calico_port(rng: Random, shape: Shape) -> Port:
    names = NamedPort(rng.choice(PORT_NAMES), rng.choice((None, *shape.protocols)))
    return rng.choice((_number(rng, shape), _number(rng, shape), names, OtherProtocol("ICMP")))


def _selector(rng: Random, vocabulary: Mapping[str, tuple[str, ...]]) -> Selector:
    if rng.random() < 0.3:
        return Selector()
    key = rng.choice(sorted(vocabulary))
    return rng.choice((
        Selector.of({key: rng.choice(vocabulary[key])}),
        Selector.of({}, _requirement(rng, vocabulary)),
    ))  # fmt: skip


def _requirement(rng: Random, vocabulary: Mapping[str, tuple[str, ...]]) -> Requirement:
    key, operator = rng.choice(sorted(vocabulary)), rng.choice(tuple(Operator))
    several = operator in {Operator.IN, Operator.NOT_IN}
    return Requirement(key, operator, (rng.choice(vocabulary[key]), "other") if several else ())


def _expressed(rng: Random, vocabulary: Mapping[str, tuple[str, ...]]) -> Selector:
    if rng.random() < 0.25:
        return Selector()
    return Selector(expression=_expression(rng, vocabulary, 2))


def _expression(rng: Random, vocabulary: Mapping[str, tuple[str, ...]], depth: int) -> Expression:
    match rng.choice(("one", "one", "part", "all", "any", "not")[: 6 if depth else 3]):
        case "one":
            return _requirement(rng, vocabulary)
        case "part":
            key = rng.choice(sorted(vocabulary))
            return ValuePart(key, rng.choice(tuple(Part)), rng.choice(vocabulary[key])[:2])
        case "not":
            return Negation(_expression(rng, vocabulary, depth - 1))
        case which:
            terms = tuple(_expression(rng, vocabulary, depth - 1) for _ in range(2))
            return AllOf(terms) if which == "all" else AnyOf(terms)
