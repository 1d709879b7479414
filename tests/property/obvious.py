"""A second evaluator, slow and obvious: written from the API's text, sharing only the model.

It asks every policy about every flow and keeps nothing. Pods are judged by one address a family, as
Calico does; Services, profiles and causes are not its business.
"""

from __future__ import annotations

import math
from ipaddress import ip_address

from netprobe.model.cluster import Cluster
from netprobe.model.flow import Address, End, Family, Flow, Pod, PodRef, Protocol, ServiceRef
from netprobe.model.labels import Labels, Operator, Selector
from netprobe.model.policy import (
    Action,
    AnyPeer,
    AnyPort,
    IPBlock,
    NamedPort,
    Networks,
    Peer,
    PodPeer,
    Policy,
    Port,
    PortRange,
    Rule,
    Tier,
)

ASSUMED: tuple[Address, ...] = ip_address("10.244.255.254"), ip_address("fd00:10:244:ffff::fffe")


def passes(cluster: Cluster, flow: Flow) -> bool:
    """Whether policies let a new connection pass, in a family that both ends can speak."""
    if flow.source == flow.destination:
        return True
    source, destination = (_end(cluster, end) for end in (flow.source, flow.destination))
    return _side(cluster, "egress", source, destination, flow) and (
        _is_node_of(cluster, source, destination) or _side(cluster, "ingress", destination, source, flow)
    )


def _end(cluster: Cluster, end: End) -> Pod | Address:
    assert not isinstance(end, ServiceRef)
    return cluster.pods[end] if isinstance(end, PodRef) else end.address


def _side(cluster: Cluster, direction: str, subject: Pod | Address, peer: Pod | Address, flow: Flow) -> bool:
    if not isinstance(subject, Pod) or subject.host_network:
        return True
    destination = subject if direction == "ingress" else peer
    policies = [
        policy
        for policy in cluster.policies
        if getattr(policy, direction) is not None and _is_subject(cluster, policy, subject)
    ]
    known = {tier.name: tier for tier in cluster.tiers}
    missing = [Tier(name, math.inf, Action.DENY) for name in {p.tier for p in policies} - known.keys()]
    for tier in sorted([*known.values(), *missing], key=lambda tier: (tier.order, tier.name)):
        own = [policy for policy in policies if policy.tier == tier.name]
        ordered = sorted(own, key=lambda p: (p.order, f"{p.ref.name}/{p.ref.namespace}/{p.kind}"))
        actions = [
            rule.action
            for policy in ordered
            for rule in getattr(policy, direction)
            if rule.action is not Action.LOG and _matches(cluster, policy, rule, (destination, peer), flow)
        ]
        if own and (action := (*actions, tier.default)[0]) is not Action.PASS:
            return action is Action.ALLOW
    return True


def _is_subject(cluster: Cluster, policy: Policy, pod: Pod) -> bool:
    wanted = policy.subject.namespaces
    if wanted is None:
        right_namespace = policy.ref.namespace == pod.ref.namespace
    else:
        right_namespace = _selected(wanted, cluster.namespaces[pod.ref.namespace].labels)
    return right_namespace and _selected(policy.subject.pods, pod.labels)


def _matches(
    cluster: Cluster, policy: Policy, rule: Rule, ends: tuple[Pod | Address, Pod | Address], flow: Flow
) -> bool:
    """Whether a rule matches, given the destination and the peer."""
    destination, peer = ends
    return any(_peer(cluster, policy, item, peer, flow.family) for item in rule.peers) and any(
        _port(item, destination, flow.port, flow.protocol) for item in rule.ports
    )


def _is_node_of(cluster: Cluster, node: Pod | Address, pod: Pod | Address) -> bool:
    if not isinstance(pod, Pod) or pod.host_network:
        return False
    if isinstance(node, Pod):
        return node.host_network and node.node is not None and node.node == pod.node
    neighbours = [
        p.addresses for p in cluster.pods.values() if p.host_network and p.node and p.node == pod.node
    ]
    return node in pod.node_addresses or any(node in addresses for addresses in neighbours)


def _selected(selector: Selector, labels: Labels) -> bool:
    for key, value in selector.match_labels:
        if labels.get(key) != value:
            return False
    for wanted in selector.requirements:
        present, inside = wanted.key in labels, labels.get(wanted.key) in wanted.values
        if wanted.operator is Operator.IN and not (present and inside):
            return False
        if wanted.operator is Operator.NOT_IN and present and inside:
            return False
        if wanted.operator is Operator.EXISTS and not present:
            return False
        if wanted.operator is Operator.DOES_NOT_EXIST and present:
            return False
    return True


def _peer(cluster: Cluster, policy: Policy, item: Peer, peer: Pod | Address, family: Family | None) -> bool:
    if isinstance(item, AnyPeer):
        return True
    if isinstance(item, Networks):
        return any(_peer(cluster, policy, IPBlock(cidr), peer, family) for cidr in item.cidrs)
    if isinstance(item, IPBlock):
        if isinstance(peer, Pod) and not peer.addresses and not peer.host_network:
            candidates, family = ASSUMED, item.cidr.version
        else:
            candidates = peer.addresses if isinstance(peer, Pod) else (peer,)
        address = next((a for a in candidates if a.version == family), None)
        if address is None or address not in item.cidr:
            return False
        return all(address not in excluded for excluded in item.excluded)
    if not isinstance(item, PodPeer) or not isinstance(peer, Pod) or peer.host_network:
        return False
    if item.namespaces is None:
        right_namespace = peer.ref.namespace == policy.ref.namespace
    else:
        right_namespace = _selected(item.namespaces, cluster.namespaces[peer.ref.namespace].labels)
    return right_namespace and _selected(item.pods, peer.labels)


def _port(item: Port, destination: Pod | Address, port: int, protocol: Protocol) -> bool:
    if isinstance(item, AnyPort):
        return True
    if isinstance(item, PortRange):
        return protocol == item.protocol and item.first <= port <= item.last
    assert isinstance(item, NamedPort)
    if not isinstance(destination, Pod) or destination.host_network or protocol != item.protocol:
        return False
    return any((p.number, p.protocol, p.name) == (port, protocol, item.name) for p in destination.ports)
