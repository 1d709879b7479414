"""Peers, pods and ports of policies as phrases."""

from __future__ import annotations

from typing import assert_never

from netprobe.model.labels import EVERYTHING, Selector
from netprobe.model.policy import (
    AllPeers,
    AnyPeer,
    AnyPort,
    DomainPeer,
    IPBlock,
    NamedPort,
    Networks,
    NodePeer,
    NotPeer,
    OtherProtocol,
    Peer,
    PodPeer,
    Port,
    PortRange,
    ServicePeer,
    UnknownPeer,
)


def describe_peer(  # noqa: C901, PLR0911 (one return a kind)
    entry: Peer, namespace: str = "its own namespace"
) -> str:
    """A peer as a phrase. `namespace` is that of the policy."""
    match entry:
        case AnyPeer():
            return "everyone"
        case IPBlock(cidr, excluded):
            return f"{cidr}" + (f" except {', '.join(map(str, excluded))}" if excluded else "")
        case Networks(cidrs, excluded):
            without = f" except {', '.join(map(str, excluded))}" if excluded else ""
            return ", ".join(map(str, cidrs)) + without
        case PodPeer(pods, namespaces, accounts):
            with_account = f" with service accounts {accounts}" if accounts is not None else ""
            return f"{describe_pods(pods)} of {_home(namespaces, namespace)}{with_account}"
        case ServicePeer(service):
            return f"the pods of Service {service.namespace}/{service.name}"
        case NodePeer(nodes):
            return "all nodes" if nodes == EVERYTHING else f"nodes {nodes}"
        case DomainPeer(names):
            return ", ".join(names)
        case UnknownPeer(field):
            return f"an unknown peer ({field})" if field else "an unknown peer"
        case AllPeers(peers):
            return " that are also ".join(describe_peer(each, namespace) for each in peers)
        case NotPeer(peer):
            return f"everyone except {describe_peer(peer, namespace)}"
        case _:
            assert_never(entry)


def _home(namespaces: Selector | None, own: str) -> str:
    if namespaces is None:
        return own
    return "all namespaces" if namespaces == EVERYTHING else f"namespaces {namespaces}"


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
