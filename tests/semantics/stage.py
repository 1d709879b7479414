"""The small cluster that the truth tables are about, and how a table's row is read.

    namespace  labels     pods (label app; address)
    x          team=one   a (a; 10.244.1.1)  b (b; 10.244.1.2)  e (""; 10.244.1.3)  n (none; 10.244.1.17)
    y          team=two   a (a; 10.244.2.1)  b (b; 10.244.2.2)
    z          (none)     a (a; 10.244.3.1)
    outside               out (203.0.113.50)

Every pod declares TCP 80 as "web" and UDP 53 as "dns"; x/b calls TCP 81 "web". All run on node n1,
172.31.255.1, except those of y, which run on n2, 172.31.255.2.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest

from netprobe.model.cluster import Cluster, Namespace, Service
from netprobe.model.flow import (
    ContainerPort,
    End,
    External,
    Family,
    Flow,
    Pod,
    PodRef,
    Protocol,
    ServiceRef,
    Via,
)
from netprobe.model.labels import NAME_LABEL, Operator, Requirement, Selector
from netprobe.model.policy import (
    ANY_PEER,
    ANY_PORT,
    Direction,
    IPBlock,
    Peer,
    Policy,
    PolicyRef,
    Port,
    Rule,
    Subject,
)
from netprobe.model.verdict import Decision, Verdict
from netprobe.simulate import CALICO, Profile, Simulator, evaluate
from tests.lab.fabric.packetfilter import passes

param = pytest.param
"""A row of a table; its id is the sentence."""

OUT = External(ip_address("203.0.113.50"), "out")
NODES = {"n1": ip_address("172.31.255.1"), "n2": ip_address("172.31.255.2")}
WEB = (ContainerPort(80, Protocol.TCP, "web"), ContainerPort(53, Protocol.UDP, "dns"))
OTHER_WEB = (ContainerPort(81, Protocol.TCP, "web"), ContainerPort(53, Protocol.UDP, "dns"))


def pod(
    name: str,
    labels: Mapping[str, str],
    *addresses: str,
    ports: Sequence[ContainerPort] = WEB,
    node: str | None = "n1",
    ready: bool = True,
    host_network: bool = False,
) -> Pod:
    return Pod(
        PodRef.parse(name),
        labels,
        tuple(ip_address(address) for address in addresses),
        tuple(ports),
        node=node,
        node_addresses=(NODES[node],) if node else (),
        ready=ready,
        host_network=host_network,
    )


PODS = (
    pod("x/a", {"app": "a"}, "10.244.1.1"),
    pod("x/b", {"app": "b"}, "10.244.1.2", ports=OTHER_WEB),
    pod("x/e", {"app": ""}, "10.244.1.3"),
    pod("x/n", {}, "10.244.1.17"),
    pod("y/a", {"app": "a"}, "10.244.2.1", node="n2"),
    pod("y/b", {"app": "b"}, "10.244.2.2", node="n2"),
    pod("z/a", {"app": "a"}, "10.244.3.1"),
)
NAMESPACES: Mapping[str, Mapping[str, str]] = {"x": {"team": "one"}, "y": {"team": "two"}, "z": {}}


def stage(*policies: Policy, pods: Iterable[Pod] = PODS, services: Iterable[Service] = ()) -> Cluster:
    """The cluster with these policies; pods of the same name replace the usual ones."""
    return Cluster(
        {name: Namespace(name, {**labels, NAME_LABEL: name}) for name, labels in NAMESPACES.items()},
        {each.ref: each for each in pods},
        policies,
        {each.ref: each for each in services},
    )


def also(*changed: Pod) -> tuple[Pod, ...]:
    """The usual pods, with some replaced or added."""
    return tuple({each.ref: each for each in (*PODS, *changed)}.values())


def policy(
    name: str,
    subjects: Selector | None = None,
    *,
    ingress: Iterable[Rule] | None = None,
    egress: Iterable[Rule] | None = None,
) -> Policy:
    """A policy by "namespace/name"."""
    ref = PodRef.parse(name)
    return Policy(
        PolicyRef(ref.namespace, ref.name),
        Subject(subjects or Selector()),
        None if ingress is None else tuple(ingress),
        None if egress is None else tuple(egress),
    )


def rule(peers: Sequence[Peer] = ANY_PEER, ports: Sequence[Port] = ANY_PORT) -> Rule:
    return Rule(tuple(peers), tuple(ports))


def facing(direction: Direction, name: str, subjects: Selector | None, *rules: Rule) -> Policy:
    """A policy that speaks about one direction."""
    if direction is Direction.INGRESS:
        return policy(name, subjects, ingress=rules)
    return policy(name, subjects, egress=rules)


def app(value: str) -> Selector:
    return Selector.of({"app": value})


def expression(key: str, operator: Operator, *values: str) -> Selector:
    return Selector.of({}, Requirement(key, operator, values))


def block(cidr: str, *excluded: str) -> IPBlock:
    return IPBlock(ip_network(cidr), tuple(ip_network(each) for each in excluded))


def end(text: str) -> End:
    """ "out", an address, "svc:x/s" or "x/a"."""
    if text == "out":
        return OUT
    if text.startswith("svc:"):
        return ServiceRef.parse(text)
    if "/" in text:
        return PodRef.parse(text)
    return External(ip_address(text))


def flow(text: str, *, family: Family | None = None, via: Via = Via.POD) -> Flow:
    """ "x/a -> y/b 80" or "x/a -> y/b 53/UDP"."""
    source, arrow, destination, port = text.split()
    assert arrow == "->", text
    number, _, protocol = port.partition("/")
    return Flow(end(source), end(destination), int(number), Protocol(protocol or "TCP"), family, via)


def decide(cluster: Cluster, asked: Flow | str, profile: Profile = CALICO) -> Decision:
    return decisions(cluster, [asked], profile)[0]


def decisions(cluster: Cluster, asked: Iterable[Flow | str], profile: Profile = CALICO) -> Sequence[Decision]:
    """What one simulator decides; where both ends are pods or addresses, all pairs at once say the same."""
    flows = [flow(each) if isinstance(each, str) else each for each in asked]
    simulator = Simulator(cluster, profile)
    ends = [end for each in flows for end in (each.source, each.destination)]
    whole = evaluate(cluster, profile, externals=dict.fromkeys(e for e in ends if isinstance(e, External)))
    matrix = simulator.matrix(dict.fromkeys(flows))
    for each, decision in matrix.items():
        source, destination, port, protocol = each.source, each.destination, each.port, each.protocol
        if each.via is Via.POD and not isinstance(destination, ServiceRef):
            assert not isinstance(source, ServiceRef)
            verdict = whole.verdict(source, destination, port, protocol, each.family)
            assert verdict is decision.verdict, f"{each}: all pairs at once: {verdict}, alone: {decision}"
            pairs = whole.pairs(
                port, protocol, sources=[source], destinations=[destination], include_self=True
            )
            undefined = {pair.undefined for pair in pairs if pair.verdict is verdict}
            assert undefined <= {decision.undefined is not None}, each
    if profile is CALICO:
        defined = {each: decision for each, decision in matrix.items() if not decision.undefined}
        for each, allowed in passes(cluster, defined):
            assert allowed == (defined[each].verdict is Verdict.ALLOW), f"{each} by the lab's rules"
    return [matrix[each] for each in flows]


def mark(cluster: Cluster, asked: Flow | str, profile: Profile = CALICO) -> str:
    """One cell: `.` passes, `X` is denied, `?` unknown; `!` after it where the API leaves it undefined."""
    return marks(cluster, [asked], profile)


def marks(cluster: Cluster, asked: Iterable[Flow | str], profile: Profile = CALICO) -> str:
    found = decisions(cluster, asked, profile)
    return " ".join(each.verdict.mark + ("!" if each.undefined else "") for each in found)


def toward(direction: Direction, subject: str, others: str, port: str = "80") -> list[str]:
    """From each of the others to the subject (ingress), or from the subject to each of them (egress)."""
    if direction is Direction.INGRESS:
        return [f"{other} -> {subject} {port}" for other in others.split()]
    return [f"{subject} -> {other} {port}" for other in others.split()]


def with_address(cluster: Cluster, name: str, *addresses: str) -> Cluster:
    """The cluster with other addresses for one pod."""
    ref = PodRef.parse(name)
    changed = replace(cluster.pods[ref], addresses=tuple(ip_address(each) for each in addresses))
    return replace(cluster, pods={**cluster.pods, ref: changed})
