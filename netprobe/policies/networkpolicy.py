"""NetworkPolicy (networking.k8s.io/v1): API object to record, with validation and defaults, and back.

Validation follows pkg/apis/networking/validation/validation.go of kubernetes/kubernetes. Strict validation of
IPs and CIDRs is off, as it is on a server by default. Paths and messages are the server's.

Defaults (pkg/apis/networking/v1/defaults.go): a port's protocol is TCP; `policyTypes` that is absent or empty
means Ingress, and Egress too if there is an egress rule. `spec.podSelector` is not a pointer, so absent and
`{}` are the same; in a peer it is one, and they differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netprobe.model.flow import Protocol
from netprobe.model.labels import EVERYTHING, Selector
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
    Subject,
)
from netprobe.policies import fields
from netprobe.policies.address import check_number, parse_block, read_port, read_protocol
from netprobe.policies.fields import Decoder
from netprobe.policies.metadata import dump_selector, name_of, read_selector, validate_metadata

API_VERSION = "networking.k8s.io/v1"
_OBJECT = frozenset(("apiVersion", "kind", "metadata", "spec"))
_SPEC = frozenset(("podSelector", "ingress", "egress", "policyTypes"))
_PORT = frozenset(("protocol", "port", "endPort"))
_PEER = frozenset(("podSelector", "namespaceSelector", "ipBlock"))
_BLOCK = frozenset(("cidr", "except"))
_TYPES = ("Ingress", "Egress")
_NOT_A_CIDR = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"


def read_policy(
    decoder: Decoder, obj: Mapping[str, Any], *, namespace: str = "default", origin: Origin | None = None
) -> Policy | None:
    """The policy of an API object; None if `decoder` has collected any error.

    `namespace` is that of a policy that names none: the request would supply it.
    """
    root = decoder.mapping(obj, "", _OBJECT)
    metadata = validate_metadata(decoder, root.get("metadata"))
    spec = decoder.mapping(root.get("spec"), "spec", _SPEC)
    subjects = read_selector(decoder, spec.get("podSelector"), "spec.podSelector")
    ingress = _rules(decoder, spec, "ingress", "from")
    egress = _rules(decoder, spec, "egress", "to")
    types = _policy_types(decoder, spec) or (("Ingress", "Egress") if egress else ("Ingress",))
    if decoder.errors:
        return None
    name = name_of(metadata)
    return Policy(
        PolicyRef(metadata.get("namespace") or namespace, name),
        Subject(subjects),
        ingress if "Ingress" in types else None,
        egress if "Egress" in types else None,
        origin,
    )


def _policy_types(decoder: Decoder, spec: Mapping[str, Any]) -> tuple[str, ...]:
    types = decoder.strings(spec, "policyTypes", "spec")
    names_only = tuple(name for name, _ in types)
    if len(types) > len(_TYPES):
        detail = "may not specify more than two policyTypes"
        decoder.errors.append(fields.invalid("spec.policyTypes", list(names_only), detail))
        return names_only
    for name, path in types:
        if name not in _TYPES:
            decoder.errors.append(fields.not_supported(path, name, _TYPES))
    return names_only


def _rules(decoder: Decoder, spec: Mapping[str, Any], section: str, peers_key: str) -> tuple[Rule, ...]:
    rules = []
    for item, path in decoder.items(spec, section, "spec"):
        rule = decoder.mapping(item, path, (peers_key, "ports"))
        ports = [_port(decoder, port, where) for port, where in decoder.items(rule, "ports", path)]
        peers = [_peer(decoder, peer, where) for peer, where in decoder.items(rule, peers_key, path)]
        rules.append(
            Rule(
                tuple(peer for peer in peers if peer is not None) or ANY_PEER,
                tuple(port for port in ports if port is not None) or ANY_PORT,
            )
        )
    return tuple(rules)


def _port(decoder: Decoder, value: Any, path: str) -> Port | None:
    entry = decoder.mapping(value, path, _PORT)
    protocol = read_protocol(decoder, entry, path)
    end = decoder.integer(entry, "endPort", path)
    port = read_port(decoder, entry["port"], f"{path}.port") if entry.get("port") is not None else None
    if end is not None and not isinstance(port, int):
        reason = "`port` is non-numeric" if isinstance(port, str) else "`port` is not specified"
        message = f"may not be specified when {reason}"
        decoder.errors.append(fields.invalid(f"{path}.endPort", end, message))
    if isinstance(port, str):
        return NamedPort(port, protocol)
    if port is None:
        return PortRange(protocol)
    if end is None:
        return PortRange(protocol, port, port)
    if end < port:
        # the server shows `port` here, up to 1.33 at least
        message = "must be greater than or equal to `port`"
        decoder.errors.append(fields.invalid(f"{path}.endPort", port, message))
    check_number(decoder, end, f"{path}.endPort")
    return PortRange(protocol, port, end)


def _peer(decoder: Decoder, value: Any, path: str) -> Peer | None:
    peer = decoder.mapping(value, path, _PEER)
    pods, namespaces, block = (peer.get(key) for key in ("podSelector", "namespaceSelector", "ipBlock"))
    found = PodPeer(
        EVERYTHING if pods is None else read_selector(decoder, pods, f"{path}.podSelector"),
        None if namespaces is None else read_selector(decoder, namespaces, f"{path}.namespaceSelector"),
    )
    if block is None:
        if pods is None and namespaces is None:
            decoder.errors.append(fields.required(path, "must specify a peer"))
        return found
    addresses = _block(decoder, block, f"{path}.ipBlock")
    if pods is not None or namespaces is not None:
        decoder.errors.append(fields.forbidden(path, "may not specify both ipBlock and another peer"))
    return addresses


def _block(decoder: Decoder, value: Any, path: str) -> IPBlock | None:
    entry = decoder.mapping(value, path, _BLOCK)
    text = decoder.string(entry, "cidr", path)
    exceptions = decoder.strings(entry, "except", path)
    if not text:
        if entry.get("cidr") in (None, ""):
            decoder.errors.append(fields.required(f"{path}.cidr", ""))
        return None
    block = parse_block(text)
    if block is None:
        decoder.errors.append(fields.invalid(f"{path}.cidr", text, _NOT_A_CIDR))
        return None
    excluded = []
    for exception, where in exceptions:
        inner = parse_block(exception)
        if inner is None:
            decoder.errors.append(fields.invalid(where, exception, _NOT_A_CIDR))
        elif not block.contains_strictly(inner):
            decoder.errors.append(fields.invalid(where, exception, "must be a strict subset of `cidr`"))
        else:
            excluded.append(inner.network)
    return IPBlock(block.network, tuple(excluded))


def dump_policy(policy: Policy) -> dict[str, Any]:
    """The API object of a policy. ValueError if it applies to no direction, which the API cannot express."""
    types = [
        name for name, rules in (("Ingress", policy.ingress), ("Egress", policy.egress)) if rules is not None
    ]
    if not types:
        raise ValueError(f"{policy.ref} applies to no direction, which the API cannot express")
    spec: dict[str, Any] = {"podSelector": dump_selector(policy.subject.pods), "policyTypes": types}
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
            raise ValueError(f"{peer} is written by leaving out the peers of its rule")


def _dump_port(port: Port) -> dict[str, Any]:
    match port:
        case NamedPort(name, Protocol() as protocol):
            return {"port": name, "protocol": protocol.value}
        case PortRange(protocol, 1, 65535):
            return {"protocol": protocol.value}
        case PortRange(protocol, first, last):
            entry: dict[str, Any] = {"port": first, "protocol": protocol.value}
            return entry | ({"endPort": last} if last != first else {})
        case _:
            raise ValueError(f"{port} is written by leaving out the ports of its rule")
