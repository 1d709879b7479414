"""What pods see: names, clocks, the kernel's protocols. One exec a pod for the latter two."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from time import time
from typing import Final

from netprobe.doctor.pod_pairs import Knocker, Path
from netprobe.errors import ClusterError
from netprobe.model.objects import Object
from netprobe.model.observation import Outcome
from netprobe.probe.api import ClusterAPI
from netprobe.probe.netcat import Answer, Target
from netprobe.probe.plan import Station

NAME: Final = Target("kubernetes.default.svc", 443)
"""What every cluster's DNS knows, and what answers by its Service."""

EXEC_S: Final = 20.0

# Asked and answered line by line, so that the time is known to a round trip and not to the start of an exec.
# ash of BusyBox 1.35 has EPOCHREALTIME; GNU date has %N, BusyBox's leaves out what it does not know.
_SCRIPT: Final = """
while read -r word; do
  case $word in
    time) echo "time ${EPOCHREALTIME:-$(date +%s.%N)}" ;;
    sctp) if grep -q ^SCTP /proc/net/protocols 2>/dev/null; then echo sctp yes; else echo sctp no; fi ;;
    *) exit ;;
  esac
done
"""


@dataclass(frozen=True, slots=True)
class Skew:
    """How far a clock is ahead of this machine's: somewhere between `low` and `high`, in seconds."""

    low: float
    high: float

    @property
    def least(self) -> float:
        """The smallest skew that fits: 0 where the clocks may agree."""
        return self.low if self.low > 0 else min(0.0, self.high)

    @classmethod
    def of(cls, read: float, resolution_s: float, before: float, after: float) -> Skew:
        """`read` on the other clock, cut to its resolution, between `before` and `after` on ours."""
        return cls(read - after, read + resolution_s - before)


@dataclass(frozen=True, slots=True)
class Inside:
    """What one pod said. None: it did not say."""

    skew: Skew | None = None
    sctp: bool | None = None
    trouble: str | None = None


async def stamped(create: Callable[[], Awaitable[Object]]) -> Skew | None:
    """The API server's clock, by the time that it stamps on an object (in whole seconds)."""
    before = time()
    obj = await create()
    after = time()
    text = obj["metadata"].get("creationTimestamp")
    try:
        return Skew.of(datetime.fromisoformat(str(text)).timestamp(), 1.0, before, after)
    except ValueError:
        return None


async def look(cluster: ClusterAPI, station: Station) -> Inside:
    """Ask one pod for its clock and for SCTP. Never raises for what goes wrong there."""
    skew: Skew | None = None
    sctp: bool | None = None
    try:
        async with (
            asyncio.timeout(EXEC_S),
            cluster.exec(
                station.namespace, station.pod, station.container, ["sh", "-c", _SCRIPT]
            ) as execution,
        ):
            lines = execution.lines()
            before = time()
            await execution.send("time\n")
            skew = _clock(await anext(lines, ""), before, time())
            await execution.send("sctp\n")
            sctp = {"sctp yes": True, "sctp no": False}.get(await anext(lines, ""))
            await execution.send(".\n")
    except TimeoutError:
        return Inside(skew, sctp, f"no answer after {EXEC_S:g} s")
    except ClusterError as e:
        return Inside(skew, sctp, str(e))
    return Inside(skew, sctp)


def _clock(line: str, before: float, after: float) -> Skew | None:
    match = re.match(r"time (\d+)(\.\d+)?", line)
    if match is None:
        return None
    digits = len(match[2] or "") - 1
    resolution_s = 10.0**-digits if digits > 0 else 1.0
    return Skew.of(float(match[1] + (match[2] or "")), resolution_s, before, after)


async def names(knocker: Knocker, stations: Sequence[Station]) -> Mapping[Station, Answer]:
    """What became of `NAME` in each pod, tried again where it did not resolve."""
    asked = [Path(station, station, NAME) for station in stations]
    answers = await knocker.ask(asked)
    again = [p for p in asked if answers[p].outcome in {Outcome.NO_SUCH_NAME, Outcome.EXEC_FAILED}]
    if again:
        answers |= await knocker.ask(again)
    return {path.source: answer for path, answer in answers.items()}
