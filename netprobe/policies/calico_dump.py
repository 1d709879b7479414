"""Policies of the model as Calico's objects, as far as netprobe writes them: the inverse of reading."""

from __future__ import annotations

from math import isfinite
from typing import Any, TypeAlias

from netprobe.model.expression import AllOf, write
from netprobe.model.labels import EVERYTHING, Operator, Requirement, Selector
from netprobe.model.policy import (
    ANY_PORT,
    CALICO_GLOBAL_POLICY,
    AnyPeer,
    IPBlock,
    Networks,
    Peer,
    PodPeer,
    Policy,
    PortRange,
    Rule,
)

Object: TypeAlias = dict[str, Any]


def dump_policy(policy: Policy) -> Object:
    """The object of projectcalico.org/v3; ValueError for what is not written here."""
    is_global = policy.kind == CALICO_GLOBAL_POLICY
    spec: Object = {"tier": policy.tier}
    if isfinite(policy.order):
        spec["order"] = int(policy.order) if policy.order == int(policy.order) else policy.order
    spec["selector"] = _text(policy.subject.pods)
    if policy.subject.accounts is not None:
        spec["serviceAccountSelector"] = _text(policy.subject.accounts)
    if is_global and policy.subject.namespaces not in {None, EVERYTHING}:
        spec["namespaceSelector"] = _text(policy.subject.namespaces or EVERYTHING)
    sections = (("ingress", policy.ingress), ("egress", policy.egress))
    spec["types"] = [section.capitalize() for section, rules in sections if rules is not None]
    for section, rules in sections:
        if rules:
            spec[section] = [_rule(rule, section) for rule in rules]
    return {
        "apiVersion": "projectcalico.org/v3",
        "kind": "GlobalNetworkPolicy" if is_global else "NetworkPolicy",
        "metadata": {"name": policy.ref.name} | ({} if is_global else {"namespace": policy.ref.namespace}),
        "spec": spec,
    }


def _text(selector: Selector) -> str:
    """A selector in Calico's language."""
    terms = [
        *(Requirement(key, Operator.IN, (value,)) for key, value in selector.match_labels),
        *selector.requirements,
        *([selector.expression] if selector.expression is not None else []),
    ]
    return write(terms[0] if len(terms) == 1 else AllOf(tuple(terms)))


def _rule(rule: Rule, section: str) -> Object:
    if len(rule.peers) != 1 or rule.not_ports or rule.source_ports != ANY_PORT:
        raise ValueError(f"one rule of Calico cannot express {rule}")
    names = ("source", "destination") if section == "ingress" else ("destination", "source")
    ends = dict(zip(names, (_end(rule.peers[0]), _end(rule.own)), strict=True))
    found: Object = {"action": rule.action.value.capitalize()}
    if rule.ports != ANY_PORT:
        ranges = [port for port in rule.ports if isinstance(port, PortRange)]
        protocols = {port.protocol for port in ranges}
        if len(ranges) != len(rule.ports) or len(protocols) != 1:
            raise ValueError(f"one rule of Calico cannot express {rule.ports}")
        found["protocol"] = protocols.pop().value
        if not any((port.first, port.last) == (1, 65535) for port in ranges):
            ends["destination"]["ports"] = [
                port.first if port.first == port.last else f"{port.first}:{port.last}" for port in ranges
            ]
    return found | {name: ends[name] for name in ("source", "destination") if ends[name]}


def _end(peer: Peer) -> Object:
    match peer:
        case AnyPeer():
            return {}
        case PodPeer(pods, namespaces, None):
            found: Object = {"selector": _text(pods)}
            return found | ({"namespaceSelector": _text(namespaces)} if namespaces else {})
        case IPBlock(cidr, excluded):
            return _end(Networks((cidr,), excluded))
        case Networks(cidrs, excluded):
            nets: Object = {"nets": list(map(str, cidrs))}
            return nets | ({"notNets": list(map(str, excluded))} if excluded else {})
        case _:
            raise ValueError(f"not written in rules of Calico: {peer}")
