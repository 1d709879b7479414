"""Types of option values: ports, durations, policies, addresses, files to write, and so on."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import click

from netprobe.model.flow import External, Protocol
from netprobe.model.policy import Action, PolicyRef, Tier, tier_name
from netprobe.policies import names

T = TypeVar("T")

UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "": 1.0}
EFFECTS: Final = ("NoSchedule", "PreferNoSchedule", "NoExecute")


class Parameter(click.ParamType[T]):
    """A value that `parse` reads from its text; the text of a ValueError tells the user what is wrong."""

    def __init__(self, name: str, parse: Callable[[str], T]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> T:
        if not isinstance(value, str):  # click also converts what is converted already
            converted: T = value
            return converted
        try:
            return self._parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class PortArgument(NamedTuple):
    """`--port 53/udp`, `--port metrics`: a number, or the name that a destination gives a port."""

    number: int | str
    protocol: Protocol = Protocol.TCP


class ReportFile(NamedTuple):
    """`--report FORMAT=PATH`; `path` None is standard output."""

    format: str
    path: Path | None


def port(text: str) -> PortArgument:
    """ "80", "53/udp", "3868/SCTP", "metrics", "dns/udp"."""
    number, slash, protocol = text.partition("/")
    is_number = number.isascii() and number.isdigit()
    if (is_number and not 1 <= int(number) <= 65535) or not (is_number or not names.port_name(number)):
        raise ValueError(f"{text!r} is not a port: 1 to 65535 or its name, as in 80, 53/udp or metrics")
    if slash and protocol.upper() not in {member.value for member in Protocol}:
        raise ValueError(f"{text!r}: the protocol is tcp, udp or sctp")
    return PortArgument(
        int(number) if is_number else number, Protocol(protocol.upper()) if slash else Protocol.TCP
    )


def port_number(text: str) -> tuple[int, Protocol]:
    """ "80", "53/udp"."""
    number, protocol = port(text)
    if isinstance(number, str):
        raise ValueError(f"{text!r} is not the number of a port: 1 to 65535")  # noqa: TRY004 (for the user)
    return number, protocol


def policy(text: str) -> PolicyRef:
    """ "shop/default-deny"."""
    namespace, slash, name = text.partition("/")
    if not (namespace and slash and name) or "/" in name:
        raise ValueError(f"{text!r} is not of the form NAMESPACE/NAME")
    return PolicyRef(namespace, name)


def tier(text: str) -> Tier:
    """ "security=100", "security=100:pass": a tier of Calico, its order, and what it does at its end."""
    name, equals, rest = text.partition("=")
    order, colon, action = rest.partition(":")
    if not (name and equals) or (colon and action.lower() not in {"pass", "deny"}):
        raise ValueError(f"{text!r} is not of the form NAME=ORDER or NAME=ORDER:pass")
    try:
        number = float(order)
    except ValueError:
        raise ValueError(f"{text!r}: the order is a number") from None
    return Tier(tier_name(name), number, Action.PASS if action.lower() == "pass" else Action.DENY)


def duration(text: str) -> float:
    """Seconds from "30s", "1m30s", "500ms" or "30", as kubectl's --request-timeout; 0 is no limit."""
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h|)", text)
    if not parts or "".join(map("".join, parts)) != text:
        raise ValueError(f"{text!r} is not a duration, such as 30s or 1m30s")
    return sum(float(number) * UNITS[unit] for number, unit in parts)


def external(text: str) -> External:
    """ "203.0.113.7", "2001:db8::7"."""
    try:
        return External(ip_address(text))
    except ValueError:
        raise ValueError(f"{text!r} is not an address, such as 203.0.113.7") from None


def output_file(text: str) -> Path:
    """A file to write; its folder must exist, so that the work is not done for nothing."""
    path = Path(text)
    if path.is_dir() or not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise ValueError(f"cannot write {text}: not a file in a folder that can be written to")
    return path


def pair(text: str) -> tuple[str, str]:
    """ "disk=ssd"."""
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise ValueError(f"{text!r} is not of the form KEY=VALUE")
    return key, value


def toleration(text: str) -> dict[str, str]:
    """ "dedicated=infra:NoSchedule", "dedicated=infra", "dedicated:NoSchedule", "dedicated", "*"."""
    if text == "*":
        return {"operator": "Exists"}
    taint, colon, effect = text.partition(":")
    key, equals, value = taint.partition("=")
    if not key or (colon and effect not in EFFECTS):
        wanted = f"KEY[=VALUE][:EFFECT] with an effect of {', '.join(EFFECTS)}, or * for every taint"
        raise ValueError(f"{text!r} is not of the form {wanted}")
    found = {"key": key, "operator": "Equal" if equals else "Exists"}
    return found | ({"value": value} if equals else {}) | ({"effect": effect} if colon else {})


def shard(text: str) -> tuple[int, int]:
    """ "0/3": the first of three shards."""
    index, _, count = text.partition("/")
    if not (index.isdecimal() and count.isdecimal() and int(index) < int(count)):
        raise ValueError(f"{text!r} is not of the form I/N with I from 0 to N - 1")
    return int(index), int(count)


PORT: Final = Parameter("port", port)
TIER: Final = Parameter("tier", tier)
PORT_NUMBER: Final = Parameter("port", port_number)
DURATION: Final = Parameter("duration", duration)
POLICY: Final = Parameter("policy", policy)
EXTERNAL: Final = Parameter("address", external)
OUTPUT_FILE: Final = Parameter("PATH", output_file)
PAIR: Final = Parameter("KEY=VALUE", pair)
TOLERATION: Final = Parameter("KEY[=VALUE][:EFFECT]", toleration)
SHARD: Final = Parameter("I/N", shard)


def report_file(known: Sequence[str]) -> Parameter[ReportFile]:
    """ "junit=reports/junit.xml", with one of the `known` formats; "-" is standard output."""

    def parse(text: str) -> ReportFile:
        format_, equals, path = text.partition("=")
        if not equals:
            raise ValueError(
                f"{text!r} is not FORMAT=PATH: --report writes a file; netprobe graph --from-report reads one"
            )
        if not path or format_ not in known:
            raise ValueError(f"{text!r} is not FORMAT=PATH with a format of {', '.join(known)}")
        return ReportFile(format_, None if path == "-" else output_file(path))

    return Parameter("FORMAT=PATH", parse)
