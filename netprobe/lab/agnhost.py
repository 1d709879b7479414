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

The lab runs `main` in a process of its own without starting an interpreter (fabric/sandbox.py). For shells in
a pod this file is also /agnhost there. It therefore imports nothing but the standard library.

No container is run, but `served` reads which ports agnhost's servers would open in it.

Source: kubernetes, test/images/agnhost: connect/connect.go, serve-hostname, netexec.
"""

from __future__ import annotations

import errno
import os
import re
import select
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

_USAGE = "usage: agnhost connect HOST:PORT [--timeout DURATION] [--protocol tcp|udp] [--udp-data TEXT]"
_DEFAULTS = {"timeout": "0s", "protocol": "tcp", "udp-data": "hostname", "sctp-data": "hostname"}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_Found: TypeAlias = tuple[int, int, int, str, Any]  # one result of getaddrinfo
_KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}
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
    if protocol not in _KINDS:
        raise AgnhostError(f"Unsupported protocol\n{protocol}")
    seconds = _duration(flags["timeout"])
    host, port = _split(address)
    try:
        found = socket.getaddrinfo(host.encode(), port, type=_KINDS[protocol])
    except OSError as error:
        raise AgnhostError(f"DNS: lookup {host}: {error.strerror}") from error
    if protocol == "tcp":
        _connect_tcp(address, found, seconds)
    else:
        _exchange_udp(address, found[0], seconds, flags["udp-data"])


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


def _connect_tcp(address: str, found: Sequence[_Found], seconds: float) -> None:
    """Try all addresses of a name at the same time; one success is enough."""
    end = time.monotonic() + seconds if seconds else None
    waiting, problem = [], 0
    for family, kind, number, _, where in found:
        one = socket.socket(family, kind, number)
        one.setblocking(False)
        problem = one.connect_ex(where)
        if problem == errno.EINPROGRESS:
            waiting.append(one)
        elif problem == 0:
            return
    while waiting:
        _, ready, _ = select.select([], waiting, [], max(0.0, end - time.monotonic()) if end else None)
        if not ready:
            raise AgnhostError("TIMEOUT")
        for one in ready:
            problem = one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if problem == 0:
                return
            waiting.remove(one)
    if problem == errno.ECONNREFUSED:
        raise AgnhostError("REFUSED")
    if problem == errno.ETIMEDOUT:
        raise AgnhostError("TIMEOUT")
    raise AgnhostError(f"OTHER: dial tcp {address}: connect: {os.strerror(problem).lower()}")


def _exchange_udp(address: str, found: _Found, seconds: float, text: str) -> None:
    family, kind, number, _, where = found
    with socket.socket(family, kind, number) as one:
        try:
            one.connect(where)
        except OSError as error:
            raise AgnhostError(f"OTHER: dial udp {address}: connect: {error.strerror}") from error
        one.settimeout(seconds or None)
        try:
            one.send(f"{text}\n".encode())
            answer = one.recv(1024)
        except TimeoutError as error:
            raise AgnhostError(f"TIMEOUT: read udp {address}: i/o timeout") from error
        except ConnectionRefusedError as error:
            raise AgnhostError(f"REFUSED: read udp {address}: connection refused") from error
        except OSError as error:
            raise AgnhostError(f"UNKNOWN: {address}: {error.strerror}") from error
    if not answer:
        raise AgnhostError(
            "OTHER: No data received from the server. Cannot guarantee the server received the request."
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
