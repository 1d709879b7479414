"""Whether one rule allows everything that another allows, in every cluster: peers, ports, addresses as sets.

This is exact for single selectors and address blocks. A peer that only several others together cover counts
as not covered, and so does a pod that an address block contains: plugins differ there (semantics.md,
"ipBlock against a pod's address").
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import collapse_addresses
from typing import cast

from netprobe.lint.selector_sets import implies, keys, only
from netprobe.model.flow import Protocol
from netprobe.model.labels import EVERYTHING, NAME_LABEL, Selector
from netprobe.model.policy import (
    AnyPeer,
    AnyPort,
    IPBlock,
    NamedPort,
    Network,
    OtherProtocol,
    Peer,
    PodPeer,
    Port,
    PortRange,
    Rule,
)

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


def peer_within(peer: Peer, other: Peer, namespace: str) -> bool:
    """Whether `other` matches everyone that `peer` matches, in policies of one namespace."""
    match peer, other:
        case _, AnyPeer():
            return True
        case PodPeer(pods, namespaces), PodPeer(other_pods, other_namespaces):
            return implies(pods, other_pods) and _namespaces_within(namespaces, other_namespaces, namespace)
        case IPBlock(), IPBlock():
            return block_within(peer, other)
        case _:
            return False


def _namespaces_within(one: Selector | None, other: Selector | None, own: str) -> bool:
    if other is None:  # the policy's own namespace, which a selector can name too
        return one is None or only(one, NAME_LABEL) == own
    if one is None:
        return implies(Selector.of({NAME_LABEL: own}), other) if keys(other) <= {NAME_LABEL} else False
    return implies(one, other)


def block_within(one: IPBlock, other: IPBlock) -> bool:
    if not _inside(one.cidr, other.cidr):
        return False
    return all(
        any(_inside(hole, excluded) for excluded in _joined(one.excluded))
        for hole in other.excluded
        if hole.version == one.cidr.version and hole.overlaps(one.cidr)
    )


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
