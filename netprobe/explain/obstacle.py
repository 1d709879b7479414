"""Compare one peer or one port entry with a flow, and name the first thing that does not match."""

from __future__ import annotations

from typing import assert_never

from netprobe.explain.explanation import Obstacle, ObstacleKind
from netprobe.model.flow import ContainerPort, Family, Flow
from netprobe.model.labels import EVERYTHING, Labels, Operator, Requirement, Selector
from netprobe.model.policy import (
    AnyPeer,
    AnyPort,
    IPBlock,
    NamedPort,
    Networks,
    OtherProtocol,
    Peer,
    PodPeer,
    Policy,
    Port,
    PortRange,
)
from netprobe.simulate import Simulator
from netprobe.simulate.endpoint import ASSUMED, Endpoint
from netprobe.simulate.match import opens


def of_peer(
    simulator: Simulator, policy: Policy, entry: Peer, peer: Endpoint, family: Family | None
) -> Obstacle | None:
    """Why an item of `from` or `to` does not match the other end; None if it matches."""
    match entry:
        case AnyPeer():
            return None
        case PodPeer():
            return _of_selectors(policy, entry, peer)
        case IPBlock():
            return _of_block(simulator, entry, peer, family)
        case Networks(cidrs):
            found = (_of_block(simulator, IPBlock(cidr), peer, family) for cidr in cidrs)
            return None if None in (obstacles := list(found)) else obstacles[0]
        case _:
            return Obstacle(
                ObstacleKind.UNKNOWN_PEER,
                "netprobe does not know this kind of peer",
                describe_peer(entry, policy.ref.namespace),
            )


def _of_selectors(policy: Policy, entry: PodPeer, peer: Endpoint) -> Obstacle | None:
    wanted = describe_peer(entry, policy.ref.namespace)
    if peer.host is not None:
        text = f"{peer.name} is on its node's network, where selectors do not match it"
        return Obstacle(ObstacleKind.HOST_NETWORK, text, wanted)
    if peer.pod is None:
        return Obstacle(
            ObstacleKind.NOT_A_POD, f"{peer.name} is not a pod, and selectors match only pods", wanted
        )
    namespace = peer.pod.ref.namespace
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
            return unmet
    return of_selector(entry.pods, peer.pod.labels, peer.name, False)


def of_selector(selector: Selector, labels: Labels, name: str, namespace: bool) -> Obstacle | None:
    """The first requirement that labels do not meet. `name` says whose labels they are."""
    wanted = [Requirement(key, Operator.IN, (value,)) for key, value in selector.match_labels]
    for requirement in (*wanted, *selector.requirements):
        if not requirement.matches(labels):
            return _unmet(requirement, labels, name, namespace)
    return None


def _unmet(requirement: Requirement, labels: Labels, name: str, namespace: bool) -> Obstacle:
    key, found = requirement.key, labels.get(requirement.key)
    label = (key, requirement.values[0]) if len(requirement.values) == 1 else None
    wanted = "=".join(label) if label and requirement.operator is Operator.IN else str(requirement)
    if found is None:
        kind = ObstacleKind.NAMESPACE_LABEL_MISSING if namespace else ObstacleKind.LABEL_MISSING
        return Obstacle(kind, f"{name} has no label {key} (wanted: {wanted})", wanted, label=label)
    if requirement.operator is Operator.IN:
        kind = ObstacleKind.NAMESPACE_LABEL_DIFFERENT if namespace else ObstacleKind.LABEL_DIFFERENT
    else:
        kind = ObstacleKind.NAMESPACE_LABEL_PRESENT if namespace else ObstacleKind.LABEL_PRESENT
    return Obstacle(kind, f"{name} has {key}={found} (wanted: {wanted})", wanted, f"{key}={found}")


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


def of_port(entry: Port, flow: Flow, destination: Endpoint) -> Obstacle | None:
    """Why an entry of `ports` does not match the port of the flow; None if it matches."""
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
            return Obstacle(ObstacleKind.PORT, f"it opens {wanted}, not {actual}", wanted, actual)
        case NamedPort():
            return _of_name(entry, actual, destination, declared)
        case OtherProtocol(name):
            return Obstacle(ObstacleKind.PROTOCOL, f"it opens {name}, not {actual}", wanted, actual)
        case _:
            assert_never(entry)


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


def describe_peer(entry: Peer, namespace: str = "its own namespace") -> str:
    """A peer as a phrase. `namespace` is that of the policy."""
    match entry:
        case AnyPeer():
            return "everyone"
        case IPBlock(cidr, excluded):
            return f"{cidr}" + (f" except {', '.join(map(str, excluded))}" if excluded else "")
        case Networks(cidrs):
            return ", ".join(map(str, cidrs))
        case PodPeer(pods, None):
            return f"{describe_pods(pods)} of {namespace}"
        case PodPeer(pods, namespaces):
            everywhere = namespaces == EVERYTHING
            return (
                f"{describe_pods(pods)} of {'all namespaces' if everywhere else f'namespaces {namespaces}'}"
            )
        case _:
            return "an unknown peer"


def describe_pods(selector: Selector) -> str:
    return "all pods" if selector == EVERYTHING else f"pods {selector}"


def describe_port(entry: Port) -> str:
    """A port entry as a phrase."""
    match entry:
        case AnyPort():
            return "every port"
        case NamedPort(name, protocol):
            return f"{protocol.value if protocol else 'port'} {name}"
        case OtherProtocol(name):
            return name
        case PortRange(protocol, 1, 65535):
            return f"all of {protocol.value}"
        case PortRange(protocol, first, last):
            return f"{protocol.value} {first}" + (f"-{last}" if last != first else "")
        case _:
            assert_never(entry)
