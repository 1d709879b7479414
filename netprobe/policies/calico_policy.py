"""Calico's NetworkPolicy and GlobalNetworkPolicy, read and written, and the staged kinds.

A staged policy is shown and never enforced.

`types` that are absent: in projectcalico.org/v3 they follow the rules; an object of crd.projectcalico.org/v1
was never completed, and Felix applies it in both directions (felix/calc/policy_sorter.go).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from math import inf, isfinite
from typing import Any, TypeAlias

from netprobe.model.expression import AllOf, write
from netprobe.model.labels import EVERYTHING, Operator, Requirement, Selector
from netprobe.model.policy import (
    ANY_PORT,
    CALICO_GLOBAL_POLICY,
    CALICO_POLICY,
    DEFAULT_TIER,
    AnyPeer,
    IPBlock,
    Networks,
    Origin,
    Peer,
    PodPeer,
    Policy,
    PolicyRef,
    PortRange,
    Rule,
    Staged,
    StagedAction,
    Subject,
    Unsimulated,
)
from netprobe.policies import fields, names, networkpolicy
from netprobe.policies.calico_checks import Checks, one_of
from netprobe.policies.calico_end import as_selector
from netprobe.policies.calico_rule import read_rules
from netprobe.policies.fields import Decoder
from netprobe.policies.metadata import NameRule, name_of, validate_metadata

_OBJECT = frozenset(("apiVersion", "kind", "metadata", "spec"))
_TYPES = ("Ingress", "Egress")
_HINTS = ("AssumeNeededOnEveryNode",)
_SPEC = frozenset(
    (
        "tier",
        "order",
        "ingress",
        "egress",
        "selector",
        "types",
        "serviceAccountSelector",
        "performanceHints",
    )
)
_GLOBAL_SPEC = _SPEC | {"namespaceSelector", "doNotTrack", "preDNAT", "applyOnForward"}
_CONVERTED = "knp.default."
"""How Calico calls a Kubernetes NetworkPolicy among its own."""


def _read(
    kind: str,
    decoder: Decoder,
    obj: Mapping[str, Any],
    *,
    namespace: str = "default",
    origin: Origin | None = None,
) -> Policy | Unsimulated | None:
    """A policy of one of the two kinds; one for host endpoints only is not evaluated.

    None also for a policy that Calico ignores.
    """
    checks = Checks.of(decoder, obj)
    is_global = kind == CALICO_GLOBAL_POLICY
    root = decoder.mapping(obj, "", _OBJECT)
    name_rule = _V3_NAMES[kind] if checks.v3 else names.dns_subdomain
    metadata = validate_metadata(decoder, root.get("metadata"), name_rule)
    spec = checks.spec(root, _GLOBAL_SPEC if is_global else _SPEC)
    own = "" if is_global else metadata.get("namespace") or namespace
    subject = _subject(checks, spec, is_global=is_global)
    ingress, egress = (read_rules(checks, spec, section, own) for section in ("ingress", "egress"))
    types = _policy_types(checks, spec) or _default_types(checks, ingress, egress)
    tier, order = _tier(checks, spec), read_order(checks, spec, inf)  # without one, last in its tier
    _check_hints(checks, spec)
    for_hosts = is_global and _is_for_hosts(checks, spec)
    if decoder.errors or checks.ignored:
        return None
    ref = PolicyRef(own, name_of(metadata), kind)
    if for_hosts:
        return Unsimulated(ref, hosts=True, origin=origin)
    return Policy(
        ref,
        subject,
        ingress if "Ingress" in types else None,
        egress if "Egress" in types else None,
        origin,
        tier,
        order,
    )


def _read_staged(
    enforced: Callable[..., Policy | Unsimulated | None],
    kept: tuple[str, ...],
    decoder: Decoder,
    obj: Mapping[str, Any],
    *,
    namespace: str = "default",
    origin: Origin | None = None,
) -> Staged | None:
    """A staged policy: `stagedAction`, and the `spec` of a kind that `enforced` reads.

    With the action Delete nothing else may be there, except `kept`.
    """
    checks = Checks.of(decoder, obj)
    spec = decoder.mapping(obj.get("spec"), "spec")
    action = StagedAction.SET
    text = decoder.string(spec, "stagedAction", "spec")
    allowed = tuple(each.value for each in StagedAction)
    if text is not None and one_of(checks, text, "spec.stagedAction", allowed):
        action = StagedAction(text)
    rest = {key: value for key, value in spec.items() if key != "stagedAction"}
    if action is StagedAction.DELETE:
        for key in (key for key, value in rest.items() if value and key not in kept):
            checks.refuse_v3(fields.forbidden(f"spec.{key}", "must be absent if `stagedAction` is Delete"))
    policy = enforced(decoder, {**obj, "spec": rest}, namespace=namespace, origin=origin)
    return Staged(policy, action, str(obj.get("kind"))) if isinstance(policy, Policy) else None


read_network_policy = partial(_read, CALICO_POLICY)
read_global_network_policy = partial(_read, CALICO_GLOBAL_POLICY)
read_staged_network_policy = partial(_read_staged, read_network_policy, ("tier", "types"))
read_staged_global_network_policy = partial(_read_staged, read_global_network_policy, ("tier", "types"))
read_staged_kubernetes_network_policy = partial(_read_staged, networkpolicy.read_policy, ())


def _v3_global_name(value: str) -> list[str]:
    """Names in projectcalico.org/v3: a label, or two with a dot (libcalico-go/lib/validator/v3)."""
    errors = list(names.dns_subdomain(value))
    if not errors and value.count(".") > 1:
        errors.append("may contain one dot at most")
    return errors


def _v3_name(value: str) -> list[str]:
    return list(names.dns_subdomain(value)) if value.startswith(_CONVERTED) else _v3_global_name(value)


_V3_NAMES: Mapping[str, NameRule] = {CALICO_POLICY: _v3_name, CALICO_GLOBAL_POLICY: _v3_global_name}


def _subject(checks: Checks, spec: Mapping[str, Any], *, is_global: bool) -> Subject:
    pods = as_selector(checks.selector(spec, "selector", "spec"))
    accounts, namespaces = (
        as_selector(checks.selector(spec, key, "spec", optional=True))
        for key in ("serviceAccountSelector", "namespaceSelector")
    )
    return Subject(pods or EVERYTHING, (namespaces or EVERYTHING) if is_global else None, accounts)


def _policy_types(checks: Checks, spec: Mapping[str, Any]) -> tuple[str, ...]:
    found: list[str] = []
    for name, path in checks.decoder.strings(spec, "types", "spec"):
        if one_of(checks, name, path, _TYPES) and name in found:
            checks.refuse(fields.duplicate(path, name))
        found.append(name)
    if spec.get("types") == [] and not checks.v3:
        checks.refuse(fields.invalid("spec.types", [], "must name Ingress, Egress or both, or be absent"))
    return tuple(found)


def _default_types(checks: Checks, ingress: tuple[Rule, ...], egress: tuple[Rule, ...]) -> tuple[str, ...]:
    if not checks.v3:
        return _TYPES
    return tuple(name for name, rules in zip(_TYPES, (ingress, egress), strict=True) if rules) or _TYPES[:1]


def _tier(checks: Checks, spec: Mapping[str, Any]) -> str:
    tier = checks.decoder.string(spec, "tier", "spec") or DEFAULT_TIER.name
    for message in names.dns_subdomain(tier):
        checks.refuse_v3(fields.invalid("spec.tier", tier, message))
    return tier


def read_order(checks: Checks, spec: Mapping[str, Any], absent: float) -> float:
    """The number in `spec.order`, which may be negative and have fractions."""
    value = spec.get("order")
    if value is None:
        return absent
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        checks.refuse(fields.wrong_type("spec.order", value, "a number"))
        return absent
    return float(value)


def _check_hints(checks: Checks, spec: Mapping[str, Any]) -> None:
    found: list[str] = []
    for hint, path in checks.decoder.strings(spec, "performanceHints", "spec"):
        if one_of(checks, hint, path, _HINTS) and hint in found:
            checks.ignore(fields.duplicate(path, hint))
        found.append(hint)


def _is_for_hosts(checks: Checks, spec: Mapping[str, Any]) -> bool:
    """Whether a policy is for host endpoints only: `doNotTrack` or `preDNAT`."""
    no_tracking, before_nat, on_forward = (
        checks.decoder.boolean(spec, key, "spec") for key in ("doNotTrack", "preDNAT", "applyOnForward")
    )
    if no_tracking and before_nat:
        checks.refuse(fields.forbidden("spec.preDNAT", "may not be used together with `doNotTrack`"))
    if (no_tracking or before_nat) and not on_forward:
        key = "doNotTrack" if no_tracking else "preDNAT"
        checks.refuse(fields.invalid("spec.applyOnForward", on_forward, f"must be true with `{key}`"))
    if before_nat and spec.get("egress"):
        checks.refuse(fields.forbidden("spec.egress", "a policy with `preDNAT` has no egress rules"))
    if before_nat and "Egress" in (spec.get("types") or ()):
        checks.refuse(fields.forbidden("spec.types", "a policy with `preDNAT` cannot have the type Egress"))
    return no_tracking or before_nat


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
