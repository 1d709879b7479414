"""The command that probes from inside a pod, and how its answer is read. Pure: text in, text out.

One command takes all targets of a source (probe.sh says how) and answers one line a target. The status
comes first: nc connected or it did not. Only where it did not does its text tell the failures apart, and
that text differs between BusyBox nc and OpenBSD nc. A line that is missing, cut or unreadable is no answer:
its flow is EXEC_FAILED, never "blocked".
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

from netprobe.model.flow import Protocol
from netprobe.model.observation import Outcome


@dataclass(frozen=True, slots=True)
class Target:
    """Where to connect: `host` is an address or a DNS name."""

    host: str
    port: int
    protocol: Protocol = Protocol.TCP

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9:._-]+(%[A-Za-z0-9._-]+)?", self.host) or self.host.startswith("-"):
            raise ValueError(f"{self.host!r} is neither an address nor a DNS name")


@dataclass(frozen=True, slots=True)
class Answer:
    """What one try of a target came to. `latency_ms` None: not connected, or no clock that fine."""

    outcome: Outcome
    latency_ms: float | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """Everything that one command said. `answers` has the targets, by index, that were answered.

    `complete`: the sentinel arrived and counts what was sent, so that nothing can be missing.
    """

    answers: Mapping[int, Answer]
    complete: bool
    netcat: str = "unknown"


def _script(name: str) -> str:
    """A shell script of this package without its comments: it travels in the URL of an exec."""
    text = files("netprobe.probe").joinpath(name).read_text("utf-8")
    return "\n".join(line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#"))


_SENTINEL: Final = "netprobe-end"
_LINE: Final = re.compile(r"(\d{1,7}) (\d{1,3}) (\d{1,20}) (\d{1,20})(?: (.*))?")

_TEXTS: Final[tuple[tuple[re.Pattern[str], Outcome], ...]] = tuple(
    (re.compile(pattern, re.IGNORECASE), outcome)
    for pattern, outcome in (
        # BusyBox: "bad address"; OpenBSD: "getaddrinfo for host ...: Name or service not known"
        (r"bad address|getaddrinfo|name or service not known|name does not resolve", Outcome.NO_SUCH_NAME),
        (r"connection refused", Outcome.REFUSED),
        # "timed out: Operation now in progress" is OpenBSD's, "Operation timed out" BusyBox's
        (r"timed out|operation now in progress", Outcome.TIMED_OUT),
        (r"no route to host|host( is)? unreachable", Outcome.HOST_UNREACHABLE),
        # An address family that the pod does not have is a missing route too.
        (
            r"network( is)? unreachable|address family not supported|cannot assign requested address",
            Outcome.NETWORK_UNREACHABLE,
        ),
        # Egress rules that reject with "administratively prohibited" show up as "Permission denied" where
        # the packet never leaves the pod's own namespace.
        (r"operation not permitted|permission denied", Outcome.REFUSED),
        (r"unsupported", Outcome.SKIPPED),
    )
)


def command(*, wait_s: float, workers: int) -> list[str]:
    """The command of one exec: waits `wait_s` for each target, tries `workers` of them at a time."""
    whole = max(1, math.ceil(wait_s))
    return ["sh", "-c", _script("probe.sh"), "netprobe", str(whole), f"{wait_s:g}", str(workers)]


def canary_command(host: str, *, control: int, port: int, tries: int, pause_s: float) -> list[str]:
    """The command that tries two ports over and over, and tells at once when one connects (canary.sh)."""
    return [
        *("sh", "-c", _script("canary.sh"), "netprobe"),
        *(host, str(control), str(port), str(tries), f"{pause_s:g}"),
    ]


def stdin(targets: Iterable[Target]) -> str:
    """What the command reads: a line a target, numbered from 0, and a closing line."""
    lines = [f"{i} {t.protocol.value} {t.host} {t.port}\n" for i, t in enumerate(targets)]
    return "".join(lines) + ".\n"


class Reader:
    """Reads the lines of one command as they arrive."""

    def __init__(self, targets: Iterable[Target]) -> None:
        self._targets = tuple(targets)
        self._lines: dict[int, tuple[int, int, str]] = {}
        self._sentinel: list[str] | None = None

    def feed(self, line: str) -> bool:
        """Take one line; True where it was the sentinel, after which nothing of interest comes."""
        if line.startswith(_SENTINEL + " "):
            self._sentinel = line.split()
            return True
        match = _LINE.fullmatch(line.rstrip())
        if match and int(match[1]) < len(self._targets):
            elapsed_us = int(match[4]) - int(match[3])
            self._lines[int(match[1])] = int(match[2]), elapsed_us, (match[5] or "").strip()
        return False

    def reply(self) -> Reply:
        _, count, netcat, clock = (
            self._sentinel if self._sentinel and len(self._sentinel) == 4 else ("", "", "unknown", "coarse")
        )
        answers = {
            index: _answer(self._targets[index].protocol, status, text, elapsed if clock == "fine" else None)
            for index, (status, elapsed, text) in self._lines.items()
        }
        complete = count == str(len(self._targets)) and len(answers) == len(self._targets)
        return Reply(answers, complete, netcat)


def _answer(protocol: Protocol, status: int, text: str, elapsed_us: int | None) -> Answer:
    outcome = outcome_of(protocol, status, text)
    timed = outcome is Outcome.CONNECTED and elapsed_us is not None and elapsed_us >= 0
    return Answer(outcome, elapsed_us / 1000 if timed and elapsed_us is not None else None, text)


def outcome_of(protocol: Protocol, status: int, text: str) -> Outcome:
    """What one line of the answer means.

    TCP is connected when nc ends with 0, whatever it says. UDP is connected when the far side answered,
    whatever nc's status is: `nc -zu` calls a dropped datagram open.
    """
    if protocol is Protocol.UDP:
        words = text.split()
        for word, outcome in _UDP_WORDS:
            if word in words:
                return outcome
    elif status == 0:
        return Outcome.CONNECTED
    for pattern, outcome in _TEXTS:
        if pattern.search(text):
            return outcome
    if protocol is Protocol.TCP:
        return _WORDLESS.get(status, Outcome.EXEC_FAILED) if not text else Outcome.EXEC_FAILED
    return Outcome.EXEC_FAILED


_UDP_WORDS: Final = (
    ("answered", Outcome.CONNECTED),
    ("refused", Outcome.REFUSED),
    ("silent", Outcome.TIMED_OUT),
)

_WORDLESS: Final[Mapping[int, Outcome]] = {
    1: Outcome.REFUSED,  # BusyBox nc with a single -v says nothing about a refusal
    124: Outcome.TIMED_OUT,  # GNU timeout, newer BusyBox
    143: Outcome.TIMED_OUT,  # BusyBox timeout to 1.35: the status of SIGTERM
}
