"""The rules of Calico's policies: an action, a protocol, and what source and destination must match.

All fields of a rule must match (Calico v3.32, api/pkg/apis/projectcalico/v3, policy_common.go). The source of
an ingress rule and the destination of an egress rule are the rule's peer; the other end, which is the
subject's own, may be restricted as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netprobe.model.flow import FAMILIES, Family
from netprobe.model.policy import WHOLE, Action, OtherProtocol, Rule
from netprobe.policies import fields
from netprobe.policies.calico_checks import Checks, one_of
from netprobe.policies.calico_end import End, read_end
from netprobe.policies.calico_ports import (
    AnyProtocol,
    destination_ports,
    excluded_ports,
    read_ports,
    read_protocol,
    source_ports,
)

_RULE = frozenset(
    (
        "action",
        "ipVersion",
        "protocol",
        "icmp",
        "notProtocol",
        "notICMP",
        "source",
        "destination",
        "http",
        "metadata",
    )
)
_ACTIONS = tuple(action.value.capitalize() for action in Action)
_HTTP = "not evaluated: the rule counts as if it matched every request on its ports"
_ICMP = (OtherProtocol("ICMP"), OtherProtocol("ICMPv6"))


def read_rules(checks: Checks, spec: Mapping[str, Any], section: str, namespace: str) -> tuple[Rule, ...]:
    """The rules of `spec.ingress` or `spec.egress`; `namespace` is "" for a global policy."""
    return tuple(
        _rule(checks, item, path, section, namespace)
        for item, path in checks.decoder.items(spec, section, "spec")
    )


def _rule(checks: Checks, value: Any, path: str, section: str, namespace: str) -> Rule:
    rule = checks.decoder.mapping(value, path, _RULE)
    action = _action(checks, rule, path)
    protocol, not_protocol = (read_protocol(checks, rule, key, path) for key in ("protocol", "notProtocol"))
    version = _version(checks, rule, path, (protocol, not_protocol))
    source, destination = (
        read_end(checks, rule.get(key), f"{path}.{key}", namespace) for key in ("source", "destination")
    )
    from_ports, not_from_ports, ports, not_ports = (
        read_ports(checks, end.fields, key, end.path, protocol)
        for end in (source, destination)
        for key in ("ports", "notPorts")
    )
    if ports or not_ports:
        _check_no_service(checks, destination)
    _check_http(checks, rule, path, section)
    if _check_icmp(checks, rule, path, protocol) and protocol is None:
        protocol = _ICMP[0]
    families = _families(checks, version, source, destination)
    peers = source.peer(families, on_ports=False), destination.peer(families, on_ports=True)
    peer, own = peers if section == "ingress" else reversed(peers)
    _check_own_service(checks, destination if section == "ingress" else source, section)
    return Rule(
        (peer,),
        destination_ports(protocol, not_protocol, ports),
        action,
        own,
        excluded_ports(protocol, not_ports),
        source_ports(protocol, from_ports, not_from_ports),
    )


def _action(checks: Checks, rule: Mapping[str, Any], path: str) -> Action:
    where = f"{path}.action"
    text = checks.decoder.string(rule, "action", path)
    if text is None:
        if rule.get("action") is None:
            checks.refuse(fields.required(where, f"one of {', '.join(_ACTIONS)}"))
        return Action.LOG
    return Action(text.lower()) if one_of(checks, text, where, _ACTIONS) else Action.LOG


def _version(
    checks: Checks, rule: Mapping[str, Any], path: str, protocols: tuple[AnyProtocol | None, ...]
) -> Family | None:
    version = checks.decoder.integer(rule, "ipVersion", path)
    where = f"{path}.ipVersion"
    if version not in {None, 4, 6}:
        checks.refuse(fields.invalid(where, version, "must be 4 or 6"))
    for icmp, family in zip(_ICMP, FAMILIES, strict=True):
        if version not in {None, family} and icmp in protocols:
            checks.refuse_v3(fields.invalid(where, version, f"must be {family} with protocol {icmp.name}"))
    return 4 if version == 4 else 6 if version == 6 else None


def _check_icmp(checks: Checks, rule: Mapping[str, Any], path: str, protocol: AnyProtocol | None) -> bool:
    """Whether a rule has `icmp` or `notICMP`, which are checked."""
    for key in ("icmp", "notICMP"):
        where = f"{path}.{key}"
        entry = checks.decoder.mapping(rule.get(key), where, ("type", "code"))
        numbers = {name: checks.decoder.integer(entry, name, where) for name in ("type", "code")}
        for name, last in (("type", 254), ("code", 255)):
            number = numbers[name]
            if number is not None and not 0 <= number <= last:
                checks.refuse(fields.invalid(f"{where}.{name}", number, f"must be between 0 and {last}"))
        if numbers["code"] is not None and numbers["type"] is None:
            checks.refuse(fields.invalid(f"{where}.code", numbers["code"], "needs `type`"))
    if rule.get("icmp") is not None and protocol not in _ICMP:
        checks.refuse_v3(fields.forbidden(f"{path}.icmp", "needs `protocol`: ICMP or ICMPv6"))
    return rule.get("icmp") is not None or rule.get("notICMP") is not None


def _check_http(checks: Checks, rule: Mapping[str, Any], path: str, section: str) -> None:
    """Check a rule's `http`, which only Envoy enforces; the warning says that requests are not compared."""
    where = f"{path}.http"
    if rule.get("http") is None:
        return
    http = checks.decoder.mapping(rule["http"], where, ("methods", "paths"))
    methods = [method for method, _ in checks.decoder.strings(http, "methods", where)]
    if len(set(methods)) < len(methods):
        checks.refuse_v3(fields.invalid(f"{where}.methods", methods, "names a method more than once"))
    for item, at in checks.decoder.items(http, "paths", where):
        _check_path(checks, item, at)
    if rule.get("action") != "Allow":
        checks.refuse(fields.forbidden(where, "only rules with the action Allow can match HTTP"))
    if rule.get("protocol") not in {None, "TCP", 6}:
        checks.refuse(fields.forbidden(where, "needs `protocol` TCP, or none"))
    if section == "egress":
        checks.refuse_v3(fields.forbidden(where, "only ingress rules can match HTTP"))
    checks.warn(where, _HTTP)


def _check_path(checks: Checks, value: Any, path: str) -> None:
    entry = checks.decoder.mapping(value, path, ("exact", "prefix"))
    given = [text for key in ("exact", "prefix") if (text := checks.decoder.string(entry, key, path))]
    if len(given) != 1:
        checks.refuse_v3(fields.invalid(path, value, "must have either `exact` or `prefix`"))
    elif not given[0].startswith("/") or any(character in given[0] for character in "? #"):
        detail = 'must start with "/" and contain no "?", "#" or space'
        checks.refuse_v3(fields.invalid(path, given[0], detail))


def _check_own_service(checks: Checks, own: End, section: str) -> None:
    if own.service is not None:
        end = "source" if section == "ingress" else "destination"
        detail = f"only the {end} of an {section} rule can name Services"
        checks.refuse_v3(fields.forbidden(f"{own.path}.services", detail))


def _check_no_service(checks: Checks, destination: End) -> None:
    if destination.service is not None:
        for key in (key for key in ("ports", "notPorts") if destination.fields.get(key)):
            detail = "may not be used together with `services`, which have their own ports"
            checks.refuse(fields.forbidden(f"{destination.path}.{key}", detail))


def _families(checks: Checks, version: Family | None, source: End, destination: End) -> tuple[Family, ...]:
    """The families of the flows that a rule is for (felix/rules/policy.go, FilterRuleToIPVersion).

    A list whose networks are all of one family leaves out the other, `notNets` too. So does a block of all
    addresses in `notNets`.
    """
    families: tuple[Family, ...] = FAMILIES if version is None else (version,)
    seen: set[Family] = set()
    for end in (source, destination):
        for key, nets in (("nets", end.nets), ("notNets", end.not_nets)):
            own = {net.version for net in nets}
            where = f"{end.path}.{key}"
            if version is not None and own - {version}:
                checks.refuse_v3(fields.forbidden(where, f"the rule is for IPv{version}: see `ipVersion`"))
            elif own and len(seen | own) > 1:
                checks.refuse_v3(fields.forbidden(where, "a rule may not mix IPv4 and IPv6 networks"))
            seen |= own
            if own:
                families = tuple(family for family in families if family in own)
        everything = [net for net in end.not_nets if net == WHOLE[net.version]]
        for net in everything:
            where = f"{end.path}.notNets"
            checks.refuse_v3(
                fields.invalid(where, str(net), "excludes every address: the rule matches nothing")
            )
        families = tuple(family for family in families if WHOLE[family] not in everything)
    return families
