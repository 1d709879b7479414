"""Whether one rule allows everything that another allows, in every cluster: peers, ports, addresses as sets.

This is exact for single selectors and address blocks. A peer that only several others together cover counts
as not covered, and so does a pod that an address block contains: plugins differ there (semantics.md,
"ipBlock against a pod's address").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from ipaddress import collapse_addresses
from typing import cast

from netprobe.lint.selector_sets import disjoint, implies, keys, only
from netprobe.model.flow import Protocol
from netprobe.model.labels import EVERYTHING, NAME_LABEL, Labels, Selector
from netprobe.model.policy import (
    ANY_PORT,
    AllPeers,
    AnyPeer,
    AnyPort,
    IPBlock,
    NamedPort,
    Network,
    Networks,
    NodePeer,
    NotPeer,
    OtherProtocol,
    Peer,
    PodPeer,
    Port,
    PortRange,
    Rule,
    ServicePeer,
)

NOBODY: Mapping[str, Labels] = {}

ALL_PODS = PodPeer(EVERYTHING, EVERYTHING)
EVERY_PORT = tuple(PortRange(protocol) for protocol in Protocol)


def rule_within(rule: Rule, others: Iterable[Rule], namespace: str) -> bool:
    """Whether `others` together allow everything that `rule` allows, for subjects of one namespace."""
    rules = tuple(others)
    return all(
        ports_within(
            rule.ports,
            [port for other in rules if _any_covers(peer, other.peers, namespace) for port in other.ports],
        )
        for peer in rule.peers
    )


def _any_covers(peer: Peer, others: Iterable[Peer], namespace: str) -> bool:
    return any(peer_within(peer, other, namespace) for other in others)


def is_blanket(rule: Rule) -> bool:
    """Whether a rule is for at least all pods of all namespaces, on every port."""
    everyone = any(peer_within(ALL_PODS, peer, "") for peer in rule.peers)
    return everyone and rule.ports == ANY_PORT and rule.own == AnyPeer() and not rule.not_ports


def at_home(peer: Peer, namespace: str) -> Peer:
    """The same peer for a policy of another namespace: pods of "the own namespace" get its name."""
    match peer:
        case PodPeer(namespaces=None):
            return replace(peer, namespaces=Selector.of({NAME_LABEL: namespace}))
        case AllPeers(peers):
            return AllPeers(tuple(at_home(each, namespace) for each in peers))
        case NotPeer(inner):
            return NotPeer(at_home(inner, namespace))
        case _:
            return peer


def peer_within(  # noqa: PLR0911 (one return a kind)
    peer: Peer, other: Peer, namespace: str, labels: Mapping[str, Labels] = NOBODY
) -> bool:
    """Whether `other` matches everyone that `peer` matches, in policies of one namespace.

    `labels`: the known labels of namespaces.
    """
    match peer, other:
        case _, AnyPeer():
            return True
        case AllPeers(peers), _ if peer != other:
            return any(peer_within(each, other, namespace, labels) for each in peers)
        case PodPeer(pods, namespaces), PodPeer(other_pods, other_namespaces):
            return (
                implies(pods, other_pods)
                and other.accounts in {None, peer.accounts}
                and (peer.sets is False or other.sets in {True, peer.sets})
                and _namespaces_within(namespaces, other_namespaces, namespace, labels)
            )
        case IPBlock(), IPBlock():
            return block_within(peer, other)
        case IPBlock(cidr, excluded), Networks():
            return networks_within(Networks((cidr,), excluded), other)
        case Networks(), Networks():
            return networks_within(peer, other)
        case (ServicePeer() | NodePeer() | AllPeers() | NotPeer(), _):
            return peer == other
        case _:
            return False


def peers_meet(peer: Peer, other: Peer) -> bool:
    """Whether two peers at home may match the same end. What is not known to be apart may."""
    match peer, other:
        case PodPeer(pods, namespaces), PodPeer(other_pods, other_namespaces):
            apart = namespaces and other_namespaces and disjoint(namespaces, other_namespaces)
            return not (apart or disjoint(pods, other_pods))
        case (IPBlock() | Networks(), IPBlock() | Networks()):
            return any(one.overlaps(two) for one in _blocks(peer) for two in _blocks(other))
        case (IPBlock() | Networks(), PodPeer()) | (PodPeer(), IPBlock() | Networks()):
            network = other if isinstance(peer, PodPeer) else peer
            return any(block.prefixlen == 0 for block in _blocks(network))
        case AllPeers(peers), _:
            return all(peers_meet(each, other) for each in peers)
        case _, AllPeers(peers):
            return all(peers_meet(peer, each) for each in peers)
        case _:
            return True


def _blocks(peer: Peer) -> tuple[Network, ...]:
    if isinstance(peer, IPBlock):
        return (peer.cidr,)
    return peer.cidrs if isinstance(peer, Networks) else ()


def ports_meet(ports: Iterable[Port], others: Iterable[Port]) -> bool:
    """Whether some entry of each may match the same port. A name may be any number."""
    return any(_port_meets(port, other) for port in ports for other in others)


def _port_meets(port: Port, other: Port) -> bool:
    match port, other:
        case (AnyPort(), _) | (_, AnyPort()):
            return True
        case PortRange(protocol, first, last), PortRange(other_protocol, other_first, other_last):
            return protocol is other_protocol and first <= other_last and other_first <= last
        case _:
            return port == other


def networks_within(one: Networks, other: Networks) -> bool:
    blocks = [IPBlock(cidr, other.excluded) for cidr in _joined(other.cidrs)]
    return all(
        any(block_within(IPBlock(cidr, one.excluded), block) for block in blocks) for cidr in one.cidrs
    )


def _namespaces_within(
    one: Selector | None, other: Selector | None, own: str, labels: Mapping[str, Labels]
) -> bool:
    if other is None:  # the policy's own namespace, which a selector can name too
        return one is None or only(one, NAME_LABEL) == own
    if one is None:
        return implies(Selector.of({NAME_LABEL: own}), other) if keys(other) <= {NAME_LABEL} else False
    known = labels.get(only(one, NAME_LABEL) or "")
    return implies(one, other) or (known is not None and other.matches(known))


def block_within(one: IPBlock, other: IPBlock) -> bool:
    if not _inside(one.cidr, other.cidr):
        return False
    return all(
        any(_inside(hole, excluded) for excluded in _joined(one.excluded))
        for hole in other.excluded
        if hole.version == one.cidr.version and hole.overlaps(one.cidr)
    )


def is_narrow(block: IPBlock) -> bool:
    """Whether a block may be about single pods or Services: at most 256 addresses, or 65,536 in IPv6."""
    return block.cidr.max_prefixlen - block.cidr.prefixlen <= {4: 8, 6: 16}[block.cidr.version]


def _joined(networks: Iterable[Network]) -> list[Network]:
    found: list[Network] = []
    for version in (4, 6):
        family = [network for network in networks if network.version == version]
        found += cast("list[Network]", list(collapse_addresses(family)))  # type: ignore[type-var]
    return found


def _inside(one: Network, other: Network) -> bool:
    return one.version == other.version and one.subnet_of(other)  # type: ignore[arg-type]


def ports_within(ports: Iterable[Port], others: Iterable[Port]) -> bool:
    """Whether `others` together allow everything that `ports` allow."""
    allowed = tuple(others)
    if not allowed:
        return False
    if any(isinstance(port, AnyPort) for port in allowed):
        return True
    return all(_port_within(port, allowed) for port in ports)


def _port_within(port: Port, others: tuple[Port, ...]) -> bool:
    match port:
        case AnyPort():
            return all(_port_within(full, others) for full in EVERY_PORT)
        case NamedPort(_, protocol):
            wide = Protocol if protocol is None else (protocol,)
            return port in others or all(_port_within(PortRange(each), others) for each in wide)
        case PortRange(protocol, first, last):
            for other in sorted(
                (o for o in others if isinstance(o, PortRange) and o.protocol is protocol),
                key=lambda o: o.first,
            ):
                if other.first <= first <= other.last:
                    first = other.last + 1
            return first > last
        case OtherProtocol():
            return port in others


def selects_everything(selector: Selector) -> bool:
    return implies(EVERYTHING, selector)
