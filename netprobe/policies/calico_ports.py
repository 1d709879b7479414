"""Protocols and ports of Calico's rules: numbers, ranges "80:90" and names (api/pkg/lib/numorstring)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from netprobe.model.flow import Protocol
from netprobe.model.policy import ANY_PORT, AnyPort, NamedPort, OtherProtocol, Port, PortRange
from netprobe.policies import fields, names
from netprobe.policies.calico_checks import Checks
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
