"""ClusterNetworkPolicy (policy.networking.k8s.io) and its predecessors: API object to record, and back.

From a file, what the kinds' definitions refuse is an error (`clusternetworkpolicy_crds`). A live object is
read as the API wants unknown fields to be read: what no implementation could use fails closed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from netprobe.model.flow import Protocol
from netprobe.model.labels import EVERYTHING, Selector
from netprobe.model.objects import Object
from netprobe.model.policy import (
    ADMIN_NETWORK_POLICY,
    ADMIN_TIER,
    ANY_PORT,
    BASELINE_ADMIN_NETWORK_POLICY,
    BASELINE_TIER,
    CLUSTER_NETWORK_POLICY,
    Action,
    DomainPeer,
    NamedPort,
    Networks,
    NodePeer,
    Origin,
    OtherProtocol,
    Peer,
    PodPeer,
    Policy,
    PolicyRef,
    Port,
    PortRange,
    Rule,
    Subject,
    Tier,
    UnknownPeer,
)
from netprobe.policies import fields
from netprobe.policies.address import parse_block
from netprobe.policies.clusternetworkpolicy_crds import (
    ADMIN_SPEC,
    BASELINE_SPEC,
    CLUSTER_NETWORK_POLICY_SPEC,
)
from netprobe.policies.crd import Schema, check, without_nulls
from netprobe.policies.fields import Decoder
from netprobe.policies.metadata import dump_selector, name_of, read_selector, validate_metadata

_GROUP = "policy.networking.k8s.io"
_OBJECT = frozenset(("apiVersion", "kind", "metadata", "spec"))
_ACTIONS = {"Accept": Action.ALLOW, "Allow": Action.ALLOW, "Deny": Action.DENY, "Pass": Action.PASS}
_PROTOCOLS = {protocol.value.lower(): protocol for protocol in Protocol}


@dataclass(frozen=True, slots=True)
class _Kind:
    """One of the kinds. `tier` None: objects name their tier. `version` is the one that is written."""

    name: str
    version: str
    spec: Schema
    tier: Tier | None = None

    def read(
        self,
        decoder: Decoder,
        obj: Mapping[str, Any],
        *,
        namespace: str = "default",  # noqa: ARG002 (the kinds are cluster-scoped)
        origin: Origin | None = None,
    ) -> Policy | None:
        """The policy of an object; None if `decoder` has collected any error, or it can have no effect."""
        root = decoder.mapping(obj, "", _OBJECT)
        metadata = validate_metadata(decoder, root.get("metadata"))
        name = name_of(metadata)
        if decoder.strict:
            self._check(decoder, metadata, root)
        if decoder.errors:
            return None
        spec = decoder.mapping(root.get("spec"), "spec")
        reader = _Reader(decoder)
        subject = reader.subject(spec)
        ingress, egress = reader.rules(spec, "ingress", "from"), reader.rules(spec, "egress", "to")
        tier = self.tier or (BASELINE_TIER if spec.get("tier") == BASELINE_TIER.name else ADMIN_TIER)
        order = decoder.integer(spec, "priority", "spec") or 0
        if decoder.errors or subject is None:
            return None
        ref = PolicyRef("", name, self.name)
        return Policy(ref, subject, ingress or None, egress or None, origin, tier.name, order)

    def _check(self, decoder: Decoder, metadata: Mapping[str, Any], root: Mapping[str, Any]) -> None:
        """Collect what a server with the kind's definition refuses."""
        if metadata.get("namespace"):
            decoder.errors.append(fields.forbidden("metadata.namespace", f"{self.name} has no namespace"))
        if self.name == BASELINE_ADMIN_NETWORK_POLICY and metadata.get("name", "default") != "default":
            detail = "there is only one in a cluster, and its name is default"
            decoder.errors.append(fields.invalid("metadata.name", metadata["name"], detail))
        if "spec" in root:
            check(decoder, self.spec, root["spec"], "spec")
        else:
            decoder.errors.append(fields.required("spec", ""))

    def dump(self, policy: Policy) -> Object:
        """The API object of a policy; ValueError if the kind cannot express it."""
        old = self.version == "v1alpha1"
        spec: Object = {} if self.tier else {"tier": policy.tier}
        if self.name != BASELINE_ADMIN_NETWORK_POLICY:
            spec["priority"] = int(policy.order)
        spec["subject"] = _dump_peer(PodPeer(policy.subject.pods, policy.subject.namespaces, sets=None))
        for section, peers, rules in (("ingress", "from", policy.ingress), ("egress", "to", policy.egress)):
            if rules is not None:
                spec[section] = [_dump_rule(rule, peers, old=old) for rule in rules]
        return {
            "apiVersion": f"{_GROUP}/{self.version}",
            "kind": self.name,
            "metadata": {"name": policy.ref.name},
            "spec": spec,
        }


CLUSTER = _Kind(CLUSTER_NETWORK_POLICY, "v1beta1", CLUSTER_NETWORK_POLICY_SPEC)
ADMIN = _Kind(ADMIN_NETWORK_POLICY, "v1alpha1", ADMIN_SPEC, ADMIN_TIER)
BASELINE = _Kind(BASELINE_ADMIN_NETWORK_POLICY, "v1alpha1", BASELINE_SPEC, BASELINE_TIER)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Translates a spec; what no implementation understands fails closed, with a warning."""

    decoder: Decoder

    def subject(self, spec: Mapping[str, Any]) -> Subject | None:
        """None: it selects pods in a way that is not known, so no implementation can apply it."""
        value = self.decoder.mapping(spec.get("subject"), "spec.subject")
        peer = self._peer(value, "spec.subject")
        if isinstance(peer, PodPeer):
            return Subject(peer.pods, peer.namespaces)
        detail = "it selects pods in a way that is not known, so the policy has no effect"
        self.decoder.warnings.append(fields.invalid("spec.subject", value, detail))
        return None

    def rules(self, spec: Mapping[str, Any], section: str, peers_key: str) -> tuple[Rule, ...]:
        return tuple(
            self._rule(self.decoder.mapping(item, path), path, peers_key)
            for item, path in self.decoder.items(spec, section, "spec")
        )

    def _rule(self, rule: Mapping[str, Any], path: str, peers_key: str) -> Rule:
        decoder = self.decoder
        action = _ACTIONS.get(decoder.string(rule, "action", path) or "")
        peers = tuple(
            self._peer(decoder.mapping(item, where), where)
            for item, where in decoder.items(rule, peers_key, path)
        )
        if action is None:
            detail = "the action is not known, so the rule denies everything"
            decoder.warnings.append(fields.invalid(f"{path}.action", rule.get("action"), detail))
            action, peers = Action.DENY, (UnknownPeer("action"),)
        read = self._protocol if "protocols" in rule else self._port
        ports = tuple(
            read(decoder.mapping(item, where), where)
            for key in ("protocols", "ports")
            for item, where in decoder.items(rule, key, path)
        )
        name = decoder.string(rule, "name", path) or ""
        return Rule(peers or (UnknownPeer(),), ports or ANY_PORT, action, name=name)

    def _peer(self, value: Mapping[str, Any], path: str) -> Peer:
        """A peer, or a subject, which is selected in the same way."""
        decoder = self.decoder
        for key, item in value.items():
            where = f"{path}.{key}"
            if item is None:
                continue
            match key:
                case "namespaces":
                    selector = self._selector(item, where)
                    return UnknownPeer(key) if selector is None else PodPeer(EVERYTHING, selector, sets=None)
                case "pods":
                    pods = decoder.mapping(item, where)
                    chosen = self._selector(pods.get("podSelector"), f"{where}.podSelector")
                    homes = self._selector(pods.get("namespaceSelector"), f"{where}.namespaceSelector")
                    return UnknownPeer(key) if chosen is None or homes is None else PodPeer(chosen, homes)
                case "nodes":
                    selector = self._selector(item, where)
                    return UnknownPeer(key) if selector is None else NodePeer(selector)
                case "domainNames":
                    return DomainPeer(tuple(text for text, _ in decoder.strings(value, key, path)))
                case "networks":
                    return self._networks(value, path)
                case _:
                    pass
        return UnknownPeer(next((key for key, item in value.items() if item is not None), ""))

    def _networks(self, value: Mapping[str, Any], path: str) -> Peer:
        found = []
        for text, where in self.decoder.strings(value, "networks", path):
            block = parse_block(text)
            if block is None:
                detail = "not a network, so the rule fails closed"
                self.decoder.warnings.append(fields.invalid(where, text, detail))
                return UnknownPeer("networks")
            found.append(block.network)
        return Networks(tuple(found))

    def _selector(self, value: Any, path: str) -> Selector | None:
        """None, with a warning, for a selector that no implementation could use."""
        own = Decoder(strict=False)
        selector = read_selector(own, without_nulls(value), path)
        self.decoder.warnings += own.errors
        return None if own.errors else selector

    def _protocol(self, entry: Mapping[str, Any], path: str) -> Port:
        decoder = self.decoder
        for key, protocol in _PROTOCOLS.items():
            if entry.get(key) is not None:
                match = decoder.mapping(entry[key], f"{path}.{key}")
                port = decoder.mapping(match.get("destinationPort"), f"{path}.{key}.destinationPort")
                return _range(protocol, port.get("number"), decoder.mapping(port.get("range"), path))
        name = decoder.string(entry, "destinationNamedPort", path)
        return OtherProtocol(next(iter(entry), "")) if name is None else NamedPort(name, None)

    def _port(self, entry: Mapping[str, Any], path: str) -> Port:
        decoder = self.decoder
        name = decoder.string(entry, "namedPort", path)
        if name is not None:
            return NamedPort(name, None)
        number = decoder.mapping(entry.get("portNumber"), f"{path}.portNumber")
        span = decoder.mapping(entry.get("portRange"), f"{path}.portRange")
        text = str((number or span).get("protocol") or Protocol.TCP.value)
        protocol = _PROTOCOLS.get(text.lower()) if text.isupper() else None
        return OtherProtocol(text) if protocol is None else _range(protocol, number.get("port"), span)


def _range(protocol: Protocol, number: int | None, span: Mapping[str, Any]) -> Port:
    if number is not None:
        return PortRange(protocol, number, number)
    return PortRange(protocol, span.get("start", 1), span.get("end", 65535))


def _dump_rule(rule: Rule, peers: str, *, old: bool) -> Object:
    actions = {Action.ALLOW: "Allow" if old else "Accept", Action.DENY: "Deny", Action.PASS: "Pass"}
    found: Object = {"name": rule.name} if rule.name else {}
    found |= {"action": actions[rule.action], peers: [_dump_peer(peer) for peer in rule.peers]}
    if rule.ports != ANY_PORT:
        dump = _dump_old_port if old else _dump_protocol
        found["ports" if old else "protocols"] = [dump(port) for port in rule.ports]
    return found


def _dump_peer(peer: Peer) -> Object:
    match peer:
        case PodPeer(pods, Selector() as namespaces, sets=None) if pods == EVERYTHING:
            return {"namespaces": dump_selector(namespaces)}
        case PodPeer(pods, Selector() as namespaces):
            selectors = {"podSelector": pods, "namespaceSelector": namespaces}
            return {"pods": {key: dump_selector(selector) for key, selector in selectors.items()}}
        case Networks(cidrs):
            return {"networks": list(map(str, cidrs))}
        case NodePeer(nodes):
            return {"nodes": dump_selector(nodes)}
        case DomainPeer(domains):
            return {"domainNames": list(domains)}
        case _:
            raise ValueError(f"a ClusterNetworkPolicy cannot express {peer}")


def _dump_protocol(port: Port) -> Object:
    match port:
        case NamedPort(name, None):
            return {"destinationNamedPort": name}
        case PortRange(protocol, first, last):
            span = {"number": first} if first == last else {"range": {"start": first, "end": last}}
            return {protocol.value.lower(): {"destinationPort": span}}
        case _:
            raise ValueError(f"a ClusterNetworkPolicy cannot express {port}")


def _dump_old_port(port: Port) -> Object:
    match port:
        case NamedPort(name, None):
            return {"namedPort": name}
        case PortRange(protocol, first, last) if first == last:
            return {"portNumber": {"protocol": protocol.value, "port": first}}
        case PortRange(protocol, first, last):
            return {"portRange": {"protocol": protocol.value, "start": first, "end": last}}
        case _:
            raise ValueError(f"an AdminNetworkPolicy cannot express {port}")
