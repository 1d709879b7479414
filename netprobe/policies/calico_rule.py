"""The rules of Calico's policies: an action, a protocol with ports, and what both ends must match.

All fields of a rule must match (Calico v3.32, api/pkg/apis/projectcalico/v3, policy_common.go). The source of
an ingress rule and the destination of an egress rule are the rule's peer; the other end, which is the
subject's own, may be restricted as well. Ports are numbers, ranges "80:90" and names
(api/pkg/lib/numorstring).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from netprobe.model.flow import FAMILIES, Family, Protocol
from netprobe.model.policy import (
    ANY_PORT,
    WHOLE,
    Action,
    AnyPort,
    NamedPort,
    OtherProtocol,
    Port,
    PortRange,
    Rule,
)
from netprobe.policies import fields, names
from netprobe.policies.calico_checks import Checks, one_of
from netprobe.policies.calico_end import End, read_end
from netprobe.policies.fields import FieldError

_NUMBERS = {6: Protocol.TCP, 17: Protocol.UDP, 132: Protocol.SCTP}
_NAMES = ("TCP", "UDP", "ICMP", "ICMPv6", "SCTP", "UDPLite")
_RANGE = re.compile(r"(\d+)(?::(\d+))?")
_WITHOUT_PROTOCOL = "numbers and ranges of ports need `protocol`: TCP, UDP or SCTP"

AnyProtocol = Protocol | OtherProtocol


@dataclass(frozen=True, slots=True)
class PortList:
    """`ports` or `notPorts`: ranges (first, last) and names."""

    ranges: tuple[tuple[int, int], ...] = ()
    names: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.ranges or self.names)

    def on(self, protocol: Protocol | None) -> tuple[Port, ...]:
        ranges = [PortRange(protocol, *each) for each in self.ranges if protocol is not None]
        return (*ranges, *(NamedPort(name, protocol) for name in self.names))


def read_protocol(checks: Checks, parent: Mapping[str, Any], key: str, path: str) -> AnyProtocol | None:
    """A protocol by name or number; None if it is absent or not one."""
    value = parent.get(key)
    where = fields.child(path, key)
    if value is None:
        return None
    if isinstance(value, str) and re.fullmatch("[0-9]{1,3}", value):
        value = int(value)
    number = fields.as_integer(value)
    if number is not None:
        if not 1 <= number <= 255:
            checks.ignore(fields.invalid(where, value, "must be a name or a number from 1 to 255"))
        return _NUMBERS.get(number) or OtherProtocol(str(number))
    if not isinstance(value, str):
        checks.refuse(fields.wrong_type(where, value, "a protocol's name or number"))
        return None
    name = next((name for name in _NAMES if name.lower() == value.lower()), None)
    error = fields.not_supported(where, value, _NAMES)
    if name is None:
        checks.ignore(error)
        return None
    if name != value:  # Felix compares in lower case
        checks.refuse_v3(FieldError(error.path, error.message, error.type, where, f"did you mean {name}?"))
    return Protocol(name) if name in Protocol.__members__ else OtherProtocol(name)


def read_ports(
    checks: Checks, parent: Mapping[str, Any], key: str, path: str, protocol: AnyProtocol | None
) -> PortList:
    """The ports in a field, for a rule with this protocol."""
    ranges: list[tuple[int, int]] = []
    named: list[str] = []
    where = fields.child(path, key)
    for value, at in checks.decoder.items(parent, key, path):
        found = _port(checks, value, at)
        if isinstance(found, str):
            named.append(found)
        elif found is not None:
            ranges.append(found)
    if isinstance(protocol, OtherProtocol) and (ranges or named):
        checks.ignore(fields.forbidden(where, f"{protocol.name} has no ports: use TCP, UDP or SCTP"))
    elif protocol is None and ranges:
        checks.ignore(fields.forbidden(where, _WITHOUT_PROTOCOL))
    return PortList(tuple(ranges), tuple(named))


def _port(checks: Checks, value: Any, path: str) -> tuple[int, int] | str | None:
    number = fields.as_integer(value)
    if number is None and not isinstance(value, str):
        checks.refuse(fields.wrong_type(path, value, 'a port, a range "80:90" or the name of a port'))
        return None
    form = _RANGE.fullmatch(str(value if number is None else number))
    if form is None and isinstance(value, str):
        for message in names.port_name(value):
            checks.ignore(fields.invalid(path, value, message))
        return value
    if form is None:
        checks.ignore(fields.invalid(path, value, "must be between 1 and 65535, inclusive"))
        return None
    first, last = int(form[1]), int(form[2] or form[1])
    if not (1 <= first <= 65535 and 1 <= last <= 65535):
        checks.ignore(fields.invalid(path, value, "must be between 1 and 65535, inclusive"))
        return None
    if first > last:
        checks.ignore(fields.invalid(path, value, f'the range is reversed: write "{last}:{first}"'))
        return None
    return first, last


def destination_ports(
    protocol: AnyProtocol | None, not_protocol: AnyProtocol | None, ports: PortList
) -> tuple[Port, ...]:
    """The protocols and ports that a rule matches; an OtherProtocol if netprobe does not know it."""
    if isinstance(protocol, OtherProtocol):
        return (protocol,)
    wanted = [protocol] if protocol is not None else list(Protocol)
    left = [each for each in wanted if each != not_protocol]
    if not left:
        return (OtherProtocol("none"),)
    if not ports:
        if len(left) == len(Protocol):
            return ANY_PORT
        other = () if protocol is not None else (OtherProtocol("other"),)
        return (*(PortRange(each) for each in left), *other)
    if len(left) == len(Protocol):
        return ports.on(None)
    return tuple(entry for each in left for entry in ports.on(each))


def excluded_ports(protocol: AnyProtocol | None, ports: PortList) -> tuple[Port, ...]:
    """`notPorts` of a destination."""
    return ports.on(protocol if isinstance(protocol, Protocol) else None)


def source_ports(protocol: AnyProtocol | None, ports: PortList, not_ports: PortList) -> tuple[Port, ...]:
    """The ports that a connection may come from. No client uses the named port of a listener."""
    own = protocol if isinstance(protocol, Protocol) else None
    if not ports and not not_ports.ranges:
        return ANY_PORT
    if not not_ports.ranges or own is None:
        return ports.on(own) or (AnyPort(),)
    ranges = ports.ranges or (() if ports.names else ((1, 65535),))
    left = _without(ranges, not_ports.ranges)
    found = PortList(left, ports.names).on(own)
    return found or (OtherProtocol("none"),)


def _without(
    ranges: tuple[tuple[int, int], ...], holes: tuple[tuple[int, int], ...]
) -> tuple[tuple[int, int], ...]:
    for low, high in holes:
        ranges = tuple(
            (first, last)
            for start, end in ranges
            for first, last in ((start, min(end, low - 1)), (max(start, high + 1), end))
            if first <= last
        )
    return ranges


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
