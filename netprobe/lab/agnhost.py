"""`agnhost connect`, as pods of the lab run it: one connection, and the kind of failure in one word.

Test tools of Kubernetes run `/agnhost connect HOST:PORT --timeout=1s --protocol=tcp` in their pods. It prints
nothing and ends with status 0 if the connection is made, and otherwise ends with status 1 and one of these on
standard error:

    TIMEOUT     no answer in time
    REFUSED     the connection was refused
    DNS: ...    the name was not resolved
    OTHER: ...  another error of the network, such as "No route to host"
    UNKNOWN: ...    anything else, such as an argument that is not HOST:PORT

Over UDP it sends a line and needs at least one byte back.

The lab runs `main` in its own process without starting an interpreter (fabric/sandbox.py). For shells in
a pod this file is also /agnhost there. It therefore imports nothing but the standard library.

No container is run, but `served` reads which ports agnhost's servers would open in it.

Source: kubernetes, test/images/agnhost: connect/connect.go, serve-hostname, netexec.
"""

from __future__ import annotations

import os
import re
import socket
import sys
from collections.abc import Iterator, Sequence
from typing import Any

_USAGE = "usage: agnhost connect HOST:PORT [--timeout DURATION] [--protocol tcp|udp] [--udp-data TEXT]"
_DEFAULTS = {"timeout": "0s", "protocol": "tcp", "udp-data": "hostname", "sctp-data": "hostname"}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_FLAG = re.compile(r"--([\w-]+)(?:=(\S+)| +(?!-)(\S+))?")


class AgnhostError(Exception):
    """What to print on standard error."""


def main(arguments: Sequence[str]) -> int:
    """Run `agnhost` with these arguments; the exit status."""
    try:
        _connect(*_parsed(arguments))
    except AgnhostError as error:
        os.write(2, f"{error}\n".encode())
        return 1
    return 0


def served(command: Sequence[str]) -> Iterator[tuple[int, str]]:
    """The ports that a container with this command serves by agnhost, each with "TCP" or "UDP".

    A shell may start agnhost: `/bin/bash -c "/agnhost serve-hostname --udp --http=false --port 53"`.
    """
    text = " ".join(command).partition("/agnhost ")[2]
    flags = {name: value or word or "true" for name, value, word in _FLAG.findall(text)}
    opened: list[tuple[str, str]] = []
    match text.split()[:1]:
        case ["serve-hostname"]:
            kinds = {"TCP": "tcp" in flags or flags.get("http") != "false", "UDP": "udp" in flags}
            opened = [(flags.get("port", "9376"), kind) for kind, wanted in kinds.items() if wanted]
        case ["netexec"]:
            opened = [(flags.get("http-port", "8080"), "TCP"), (flags.get("udp-port", "8081"), "UDP")]
    yield from ((int(number), kind) for number, kind in opened if number.isdecimal())


def _parsed(arguments: Sequence[str]) -> tuple[str, dict[str, str]]:
    """The address and the flags, which may come in any order."""
    command, *rest = arguments or ("without a command",)
    if command != "connect":
        raise AgnhostError(
            f"Error: `agnhost {command}` is not available: the lab's agnhost only has `connect`, "
            "and the lab itself serves the ports that a pod declares"
        )
    flags, addresses = dict(_DEFAULTS), []
    waiting = iter(rest)
    for word in waiting:
        if not word.startswith("--"):
            addresses.append(word)
            continue
        name, given, value = word[2:].partition("=")
        if name not in flags:
            raise AgnhostError(f"Error: unknown flag: --{name}\n{_USAGE}")
        flags[name] = value if given else next(waiting, "")
    if len(addresses) != 1:
        raise AgnhostError(f"Error: accepts 1 arg(s), received {len(addresses)}\n{_USAGE}")
    return addresses[0], flags


def _connect(address: str, flags: dict[str, str]) -> None:
    protocol = flags["protocol"] or "tcp"
    if protocol not in {"tcp", "udp"}:
        raise AgnhostError(f"Unsupported protocol\n{protocol}")
    seconds = _duration(flags["timeout"]) or None
    host, port = _split(address)
    try:
        if protocol == "tcp":
            where: Any = host.encode(), port  # bytes, since any name may be looked up
            socket.create_connection(where, seconds).close()
        else:
            _exchange_udp(host, port, seconds, flags["udp-data"])
    except socket.gaierror as error:
        raise AgnhostError(f"DNS: lookup {host}: {error.strerror}") from error
    except TimeoutError as error:
        raise AgnhostError("TIMEOUT") from error
    except ConnectionRefusedError as error:
        raise AgnhostError("REFUSED") from error
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        raise AgnhostError(f"OTHER: dial {protocol} {address}: connect: {reason}") from error


def _split(address: str) -> tuple[str, str]:
    """Host and port of "host:port" or "[address]:port"."""
    host, colon, port = address.rpartition(":")
    if not colon:
        raise AgnhostError(f"UNKNOWN: address {address}: missing port in address")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise AgnhostError(f"UNKNOWN: address {address}: too many colons in address")
    return host, port


def _duration(text: str) -> float:
    """Seconds of a duration in Go's notation, such as "1s" or "1m30s"; 0 sets no limit."""
    parts = _DURATION.findall(text)
    if text != "0" and (not parts or "".join(number + unit for number, unit in parts) != text):
        raise AgnhostError(
            f'Error: invalid argument "{text}" for "--timeout" flag: invalid duration\n{_USAGE}'
        )
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


def _exchange_udp(host: str, port: str, seconds: float | None, text: str) -> None:
    family, kind, number, _, where = socket.getaddrinfo(host.encode(), port, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind, number) as one:
        one.settimeout(seconds)
        one.connect(where)
        one.send(f"{text}\n".encode())
        if not one.recv(1024):
            raise AgnhostError("OTHER: no data received from the server")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
