"""The command that probes from inside a pod, and how its answer is read. Pure: text in, text out.

One command takes all targets of a source by standard input (probe.sh says how) and answers a line for each.
The status comes first: nc connected or it did not. Only if it did not does its text tell the failures
apart, and that text differs between BusyBox nc and OpenBSD nc. A line that is missing, cut or unreadable is
no answer: its flow is EXEC_FAILED, never "blocked". So is a line without the token of this process.
"""

from __future__ import annotations

import math
import re
import secrets
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

from netprobe.model.flow import Protocol
from netprobe.model.observation import Outcome
from netprobe.probe.pace import Pace


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
    """The result of one try of a target. `latency_ms` None: not connected, or the pod's clock is too coarse.

    `tried_s`: when it was tried, by the loop's clock. `took_s`: how long the try took in the pod, to 10 ms; 0
    if nothing measured it.
    """

    outcome: Outcome
    latency_ms: float | None = None
    text: str = ""
    tried_s: float = 0.0
    took_s: float = 0.0


@dataclass(frozen=True, slots=True)
class FirstLine:
    """The first line: which nc answers, and whether its clock is finer than 10 ms."""

    netcat: str
    fine_clock: bool


@dataclass(frozen=True, slots=True)
class AnswerLine:
    """One answered line: nc's status, how long it took, and its text."""

    id: int
    status: int
    elapsed_us: int
    text: str


@dataclass(frozen=True, slots=True)
class LastLine:
    """The last line: everything that was read has been answered."""

    count: int


def _script(name: str) -> str:
    """A shell script of this package without its comments: it travels in the URL of an exec."""
    text = files("netprobe.probe").joinpath(name).read_text("utf-8")
    return "\n".join(line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#"))


TOKEN: Final = secrets.token_hex(8)
"""Begins each line that a command prints, so that nothing else that an image prints is read as an answer."""

_BEGIN: Final = re.compile(r"begin (\w+) (fine|coarse)")
_LINE: Final = re.compile(r"(\d{1,9}) (\d{1,3}) (\d{1,20}) (\d{1,20})(?: (.*))?")
_END: Final = re.compile(r"end (\d{1,9})")

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


def command(pace: Pace) -> list[str]:
    """The command of one session."""
    method = pace.method
    words = [word for word, on in (("untimed", not method.latencies), ("once", not method.resend)) if on]
    script = "\n".join((_script("probe.sh"), _script("bulk.sh" if method.bulk else "stream.sh")))
    whole = str(max(1, math.ceil(pace.wait_s)))
    return ["sh", "-c", script, "netprobe", TOKEN, whole, f"{pace.wait_s:g}", *words]


def line(number: int, target: Target) -> str:
    """The command's input for one target; its answer carries the same number."""
    return f"{number} {target.protocol.value} {target.host} {target.port}\n"


REAP: Final = "=\n"
"""Makes the shell wait for the processes that it started: sent when all is answered. In bulk it also makes
the shell print the answers.
"""

CLOSE: Final = ".\n"
"""Ends the command."""


def read(text: str) -> FirstLine | AnswerLine | LastLine | None:
    """Read one line of the output; None for anything else."""
    token, _, text = text.rstrip().partition(" ")
    if token != TOKEN:
        return None
    if match := _LINE.fullmatch(text):
        elapsed_us = int(match[4]) - int(match[3])
        return AnswerLine(int(match[1]), int(match[2]), elapsed_us, (match[5] or "").strip())
    if match := _BEGIN.fullmatch(text):
        return FirstLine(match[1], match[2] == "fine")
    if match := _END.fullmatch(text):
        return LastLine(int(match[1]))
    return None


def answer(protocol: Protocol, result: AnswerLine, *, fine_clock: bool, tried_s: float = 0.0) -> Answer:
    """What an answered line means; a latency only for what connected, by a clock that is fit for it."""
    outcome = outcome_of(protocol, result.status, result.text)
    timed = outcome is Outcome.CONNECTED and fine_clock and result.elapsed_us >= 0
    latency_ms = result.elapsed_us / 1000 if timed else None
    return Answer(outcome, latency_ms, result.text, tried_s, max(result.elapsed_us, 0) / 1e6)


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
    if protocol is Protocol.TCP and status in _ENDED:  # ended before nc could print why
        return Outcome.TIMED_OUT
    if protocol is Protocol.TCP and status == 1 and not text:
        return Outcome.REFUSED  # BusyBox nc with a single -v says nothing about a refusal
    return Outcome.EXEC_FAILED


_UDP_WORDS: Final = (
    ("answered", Outcome.CONNECTED),
    ("refused", Outcome.REFUSED),
    ("silent", Outcome.TIMED_OUT),
)

_ENDED: Final = frozenset({124, 143})
"""Statuses of a command that `timeout` ended: GNU's and newer BusyBox', and that of BusyBox up to 1.35."""
