"""Compare one peer or one port entry with a flow, and name the first thing that does not match."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import assert_never

from netprobe.explain.explanation import FlowSide, Obstacle, ObstacleKind
from netprobe.explain.phrases import describe_peer, describe_port
from netprobe.model.cluster import Service
from netprobe.model.expression import AllOf
from netprobe.model.flow import ContainerPort, Family, Flow
from netprobe.model.labels import Labels, Operator, Requirement, Selector
from netprobe.model.policy import (
    AllPeers,
    AnyPeer,
    AnyPort,
    IPBlock,
    NamedPort,
    OtherProtocol,
    Peer,
    PodPeer,
    Policy,
    Port,
    PortRange,
    UnknownPeer,
)
from netprobe.model.text import listed
from netprobe.simulate import Simulator
from netprobe.simulate.endpoint import ASSUMED, Endpoint
from netprobe.simulate.match import opens


def of_peer(  # noqa: PLR0911 (one return a kind)
    simulator: Simulator, policy: Policy, entry: Peer, peer: Endpoint, flow_side: FlowSide
) -> Obstacle | None:
    """Why an item of `from` or `to` does not match the other end; None if it matches."""
    match entry:
        case AnyPeer():
            return None
        case PodPeer(sets=False):
            return _of_selectors(simulator, policy, entry, peer, flow_side)
        case IPBlock():
            return _of_block(simulator, entry, peer, flow_side.family)
        case AllPeers(peers):
            return next(filter(None, (of_peer(simulator, policy, p, peer, flow_side) for p in peers)), None)
    if _matches(simulator, policy, entry, peer, flow_side):
        return None
    wanted = describe_peer(entry, policy.ref.namespace)
    if isinstance(entry, UnknownPeer):
        text = "neither netprobe nor the network plugin knows this kind of peer"
        return Obstacle(ObstacleKind.UNKNOWN_PEER, text, wanted)
    if isinstance(entry, PodPeer) and peer.pod is not None:
        return _of_selectors(simulator, policy, entry, peer, flow_side)
    address = peer.address(flow_side.family)
    found = f" ({address})" if address is not None and str(address) != peer.name else ""
    text = f"{peer.name}{found} is not among {wanted}"
    return Obstacle(ObstacleKind.OTHER_PEER, text, wanted)


def _matches(simulator: Simulator, policy: Policy, entry: Peer, peer: Endpoint, flow_side: FlowSide) -> bool:
    port = flow_side.flow.port, flow_side.flow.protocol
    return simulator.sides.peers.matches(entry, policy.ref.namespace, peer, flow_side.family, port)


def _of_selectors(
    simulator: Simulator, policy: Policy, entry: PodPeer, peer: Endpoint, flow_side: FlowSide
) -> Obstacle | None:
    wanted = describe_peer(entry, policy.ref.namespace)
    if peer.host is not None:
        text = f"{peer.name} is on its node's network, where selectors do not match it"
        return Obstacle(ObstacleKind.HOST_NETWORK, text, wanted)
    if peer.pod is None:
        return Obstacle(
            ObstacleKind.NOT_A_POD, f"{peer.name} is not a pod, and selectors match only pods", wanted
        )
    namespace = peer.pod.ref.namespace
    of_pod = of_selector(entry.pods, peer.labels or {}, peer.name, False)
    if entry.namespaces is None:
        if namespace != policy.ref.namespace:
            text = (
                f"without a namespaceSelector it matches only pods of {policy.ref.namespace}, "
                f"and {peer.name} is in {namespace}"
            )
            return Obstacle(ObstacleKind.NAMESPACE, text, policy.ref.namespace, namespace)
    else:
        unmet = of_selector(entry.namespaces, peer.namespace_labels or {}, f"namespace {namespace}", True)
        if unmet is not None:
            return unmet if of_pod is None else replace(unmet, labels=())
    if of_pod is None and not _matches(simulator, policy, entry, peer, flow_side):
        return Obstacle(ObstacleKind.OTHER_PEER, f"{peer.name} is not among {wanted}", wanted)
    return of_pod


def of_selector(selector: Selector, labels: Labels, name: str, namespace: bool) -> Obstacle | None:
    """Every requirement that labels do not meet, as one obstacle. `name` says whose labels they are."""
    unmet = [each for each in requirements(selector) if not each.matches(labels)]
    if not unmet:
        if selector.matches(labels):
            return None
        kind = ObstacleKind.NAMESPACE_LABEL_MISSING if namespace else ObstacleKind.LABEL_MISSING
        return Obstacle(kind, f"the labels of {name} do not match {selector}", str(selector))
    missing = [each for each in unmet if each.key not in labels]
    wanted = ",".join(map(_wanted, unmet))
    found = [f"{each.key}={labels[each.key]}" for each in unmet if each.key in labels]
    parts = [*found]
    if missing:
        parts.append(f"no label {listed(each.key for each in missing)}")
    text = f"{name} has {listed(parts)} (wanted: {wanted})"
    given = {each.key: each.values[0] for each in missing if len(each.values) == 1}
    settable = len(missing) == len(unmet) and selector.matches({**labels, **given})
    return Obstacle(
        _kind(unmet[0], unmet[0].key in labels, namespace),
        text,
        wanted,
        found[0] if found else None,
        tuple(given.items()) if settable else (),
    )


def requirements(selector: Selector) -> tuple[Requirement, ...]:
    """What a selector requires of single labels: all of a LabelSelector, and all that Calico joins by &&."""
    labels = (Requirement(key, Operator.IN, (value,)) for key, value in selector.match_labels)
    terms = selector.expression.terms if isinstance(selector.expression, AllOf) else (selector.expression,)
    return (*labels, *selector.requirements, *(each for each in terms if isinstance(each, Requirement)))


def _wanted(requirement: Requirement) -> str:
    exact = requirement.operator is Operator.IN and len(requirement.values) == 1
    return f"{requirement.key}={requirement.values[0]}" if exact else str(requirement)


def _kind(requirement: Requirement, present: bool, namespace: bool) -> ObstacleKind:
    if not present:
        return ObstacleKind.NAMESPACE_LABEL_MISSING if namespace else ObstacleKind.LABEL_MISSING
    if requirement.operator is Operator.IN:
        return ObstacleKind.NAMESPACE_LABEL_DIFFERENT if namespace else ObstacleKind.LABEL_DIFFERENT
    return ObstacleKind.NAMESPACE_LABEL_PRESENT if namespace else ObstacleKind.LABEL_PRESENT


def _of_block(simulator: Simulator, entry: IPBlock, peer: Endpoint, family: Family | None) -> Obstacle | None:
    wanted = str(entry.cidr)
    address = ASSUMED[entry.cidr.version] if peer.assumed else peer.address(family)
    if address is None:
        return Obstacle(ObstacleKind.ADDRESS_UNKNOWN, f"the address of {peer.name} is not known", wanted)
    if not simulator.sides.peers.blocks_see(peer):
        text = f"{simulator.profile.name} compares no ipBlock with {'a pod' if peer.pod else 'a node'}"
        return Obstacle(ObstacleKind.BLOCK_IGNORES_PODS, text, wanted, str(address))
    if address.version != entry.cidr.version:
        text = f"{address} is an IPv{address.version} address and {wanted} is not"
        return Obstacle(ObstacleKind.ADDRESS_FAMILY, text, wanted, str(address))
    if address not in entry.cidr:
        return Obstacle(ObstacleKind.ADDRESS_OUTSIDE, f"{address} is outside {wanted}", wanted, str(address))
    for excluded in entry.excluded:
        if address in excluded:
            text = f"{address} is in {wanted} but excepted by {excluded}"
            return Obstacle(ObstacleKind.ADDRESS_EXCEPTED, text, wanted, str(excluded))
    return None


def of_port(entry: Port, flow: Flow, destination: Endpoint, services: Iterable[Service]) -> Obstacle | None:
    """Why an entry of `ports` does not match the port of the flow; None if it matches.

    `services` are those of the destination's namespace, whose ports are often written instead of the pod's.
    """
    declared = destination.pod.ports if destination.pod else ()
    if opens(entry, flow.port, flow.protocol, declared):
        return None
    actual, wanted = f"{flow.protocol.value} {flow.port}", describe_port(entry)
    match entry:
        case AnyPort():  # opens everything
            return None
        case PortRange() | NamedPort() if entry.protocol not in {None, flow.protocol}:
            return Obstacle(ObstacleKind.PROTOCOL, f"it opens {wanted}, not {actual}", wanted, actual)
        case PortRange():
            text = f"it opens {wanted}, not {actual}{_translated(entry, flow, destination, services)}"
            return Obstacle(ObstacleKind.PORT, text, wanted, actual)
        case NamedPort():
            return _of_name(entry, actual, destination, declared)
        case OtherProtocol(name):
            return Obstacle(ObstacleKind.PROTOCOL, f"it opens {name}, not {actual}", wanted, actual)
        case _:
            assert_never(entry)


def _translated(entry: PortRange, flow: Flow, destination: Endpoint, services: Iterable[Service]) -> str:
    """A remark if the entry is a port that is translated to the pod's before policies see it."""
    pod = destination.pod
    if pod is None or entry.first != entry.last:
        return ""
    seen = f", and policies see the pod's port, {flow.port}"
    if any(port.host == entry.first and port.number == flow.port for port in pod.ports):
        return f"; {entry.first} is the hostPort of {destination.name}{seen}"
    for service in services:
        if (
            not service.selector
            or not service.addresses
            or not service.selector.items() <= pod.labels.items()
        ):
            continue
        for port in service.ports:
            targets = {port.target, *(p.number for p in pod.ports if p.name == port.target)}
            if port.protocol is entry.protocol and flow.port in targets:
                number = f"{entry.first} is the {{}} of Service {service.ref.namespace}/{service.ref.name}"
                if entry.first == port.port:
                    return f"; {number.format('port')}{seen}"
                if entry.first == port.node_port:
                    return f"; {number.format('nodePort')}{seen}"
    return ""


def _of_name(
    entry: NamedPort, actual: str, destination: Endpoint, declared: tuple[ContainerPort, ...]
) -> Obstacle:
    wanted = describe_port(entry)
    own = f"{entry.protocol.value} " if entry.protocol else ""
    if destination.pod is None:
        text = f"{destination.name} is not a pod, so it has no port named {entry.name}"
        return Obstacle(ObstacleKind.PORT_NAME, text, wanted)
    numbers = [p.number for p in declared if p.name == entry.name and entry.protocol in {None, p.protocol}]
    if not numbers:
        others = [p.protocol.value for p in declared if p.name == entry.name]
        more = f" (only one of {others[0]})" if others else ""
        text = f"{destination.name} has no {own}port named {entry.name}{more}"
        return Obstacle(ObstacleKind.PORT_NAME, text, wanted)
    found = ", ".join(map(str, numbers))
    text = f"{entry.name} is {own}{found} on {destination.name}, not {actual}"
    return Obstacle(ObstacleKind.PORT_NAME, text, wanted, found)
