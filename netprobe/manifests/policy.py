"""NetworkPolicy: API object to record and back. The one place where the API's defaults are filled in.

Defaults (pkg/apis/networking/v1/defaults.go): a port's protocol is TCP; `policyTypes` that is absent or
empty means Ingress, and Egress too where there is an egress rule. `spec.podSelector` absent is `{}`: the
field is no pointer. In a peer it is one: there absent and `{}` differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netprobe.errors import InputError
from netprobe.manifests.address import parse_block
from netprobe.manifests.document import Document
from netprobe.manifests.validate import API_VERSION, validate_policy
from netprobe.model.flow import Protocol
from netprobe.model.labels import EVERYTHING, Operator, Requirement, Selector
from netprobe.model.policy import (
    ANY_PEER,
    ANY_PORT,
    AnyPeer,
    AnyPort,
    IPBlock,
    NamedPort,
    Origin,
    Peer,
    PodPeer,
    Policy,
    PolicyRef,
    Port,
    PortRange,
    Rule,
)


def parse_policy(document: Document, *, namespace: str = "default", strict: bool = True) -> Policy:
    """The policy of a document; `namespace` for one that names none. Raises InputError with all problems."""
    obj = document.object
    # servers from 1.24 to 1.27 had a status here, and `kubectl get -o yaml` still shows it
    checked = {key: value for key, value in obj.items() if key != "status"} if "status" in obj else obj
    problems = document.problems(validate_policy(checked, strict=strict))
    if problems:
        raise InputError(problems)
    return policy_of(obj, namespace=namespace, origin=document.origin if document.origin.line else None)


def policy_of(obj: Mapping[str, Any], *, namespace: str = "default", origin: Origin | None = None) -> Policy:
    """The policy of an object that `validate_policy` finds nothing wrong with."""
    metadata = obj.get("metadata") or {}
    spec = obj.get("spec") or {}
    ingress, egress = spec.get("ingress") or (), spec.get("egress") or ()
    types = spec.get("policyTypes") or (["Ingress", "Egress"] if egress else ["Ingress"])
    name = metadata.get("name") or f"{metadata.get('generateName', '')}00000"
    return Policy(
        PolicyRef(metadata.get("namespace") or namespace, name),
        selector_of(spec.get("podSelector")),
        tuple(_rule(rule or {}, "from") for rule in ingress) if "Ingress" in types else None,
        tuple(_rule(rule or {}, "to") for rule in egress) if "Egress" in types else None,
        origin,
    )


def selector_of(value: Mapping[str, Any] | None) -> Selector:
    """A valid LabelSelector; None and {} select everything."""
    if not value:
        return EVERYTHING
    labels = {key: text or "" for key, text in (value.get("matchLabels") or {}).items()}
    return Selector.of(labels, *(_requirement(item) for item in value.get("matchExpressions") or ()))


def _requirement(item: Mapping[str, Any]) -> Requirement:
    values = tuple(value or "" for value in item.get("values") or ())
    return Requirement(item["key"], Operator(item["operator"]), values)


def _rule(rule: Mapping[str, Any], peers: str) -> Rule:
    return Rule(
        tuple(_peer(peer) for peer in rule.get(peers) or ()) or ANY_PEER,
        tuple(_port(port or {}) for port in rule.get("ports") or ()) or ANY_PORT,
    )


def _peer(peer: Mapping[str, Any]) -> Peer:
    block = peer.get("ipBlock")
    if block is not None:
        excluded = tuple(_network(text) for text in block.get("except") or ())
        return IPBlock(_network(block["cidr"]), excluded)
    namespaces = peer.get("namespaceSelector")
    return PodPeer(
        selector_of(peer.get("podSelector")), None if namespaces is None else selector_of(namespaces)
    )


def _network(text: str) -> Any:
    block = parse_block(text)
    if block is None:
        raise ValueError(f"{text!r} is not a CIDR: the policy was not validated")
    return block.network


def _port(entry: Mapping[str, Any]) -> Port:
    protocol = Protocol(entry.get("protocol") or "TCP")
    port = entry.get("port")
    if port is None:
        return PortRange(protocol)
    if isinstance(port, str):
        return NamedPort(port, protocol)
    last = entry.get("endPort")
    return PortRange(protocol, int(port), int(port if last is None else last))


def dump_policy(policy: Policy) -> dict[str, Any]:
    """A manifest that means the same. ValueError for a policy that isolates in no direction: none can say
    so.
    """
    types = [
        name for name, rules in (("Ingress", policy.ingress), ("Egress", policy.egress)) if rules is not None
    ]
    if not types:
        raise ValueError(f"{policy.ref} has neither direction; no manifest can say that")
    spec: dict[str, Any] = {"podSelector": dump_selector(policy.subjects), "policyTypes": types}
    if policy.ingress is not None:
        spec["ingress"] = [_dump_rule(rule, "from") for rule in policy.ingress]
    if policy.egress is not None:
        spec["egress"] = [_dump_rule(rule, "to") for rule in policy.egress]
    return {
        "apiVersion": API_VERSION,
        "kind": "NetworkPolicy",
        "metadata": {"name": policy.ref.name, "namespace": policy.ref.namespace},
        "spec": spec,
    }


def dump_selector(selector: Selector) -> dict[str, Any]:
    result: dict[str, Any] = {}
    if selector.match_labels:
        result["matchLabels"] = dict(selector.match_labels)
    if selector.requirements:
        result["matchExpressions"] = [
            {"key": item.key, "operator": item.operator.value}
            | ({"values": list(item.values)} if item.values else {})
            for item in selector.requirements
        ]
    return result


def _dump_rule(rule: Rule, peers: str) -> dict[str, Any]:
    result: dict[str, Any] = {}
    if not any(isinstance(peer, AnyPeer) for peer in rule.peers):
        result[peers] = [_dump_peer(peer) for peer in rule.peers]
    if not any(isinstance(port, AnyPort) for port in rule.ports):
        result["ports"] = [_dump_port(port) for port in rule.ports]
    return result


def _dump_peer(peer: Peer) -> dict[str, Any]:
    match peer:
        case IPBlock(cidr, excluded):
            block: dict[str, Any] = {"cidr": str(cidr)}
            if excluded:
                block["except"] = [str(network) for network in excluded]
            return {"ipBlock": block}
        case PodPeer(pods, Selector() as namespaces):
            result = {"namespaceSelector": dump_selector(namespaces)}
            return result if pods == EVERYTHING else result | {"podSelector": dump_selector(pods)}
        case PodPeer(pods):
            return {"podSelector": dump_selector(pods)}
        case _:
            raise ValueError(f"{peer} stands for everyone: a rule says that by leaving its peers out")


def _dump_port(port: Port) -> dict[str, Any]:
    match port:
        case NamedPort(name, protocol):
            return {"port": name, "protocol": protocol.value}
        case PortRange(protocol, 1, 65535):
            return {"protocol": protocol.value}
        case PortRange(protocol, first, last):
            entry: dict[str, Any] = {"port": first, "protocol": protocol.value}
            return entry | ({"endPort": last} if last != first else {})
        case _:
            raise ValueError(f"{port} stands for every port: a rule says that by leaving its ports out")
