"""What pods see: DNS names, clocks, the kernel's protocols. One exec a pod for the latter two."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from time import time
from typing import Final

from netprobe.doctor.pod_pairs import PodPath, try_paths
from netprobe.errors import ClusterError
from netprobe.model.objects import Object
from netprobe.model.observation import Outcome
from netprobe.probe.api import ClusterAPI
from netprobe.probe.netcat import Answer, Target
from netprobe.probe.plan import Station
from netprobe.probe.session import Sessions

NAME: Final = Target("kubernetes.default.svc", 443)
"""A name that every cluster's DNS knows, of a Service that answers."""

EXEC_S: Final = 20.0

# A question and an answer line by line: the error is a round trip, not the start of an exec.
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
class ClockSkew:
    """How far a clock is ahead of this machine's: somewhere between `low` and `high`, in seconds."""

    low: float
    high: float

    @property
    def least(self) -> float:
        """The smallest skew that fits: 0 if the clocks may agree."""
        return self.low if self.low > 0 else min(0.0, self.high)

    @classmethod
    def of(cls, read: float, resolution_s: float, before: float, after: float) -> ClockSkew:
        """From a time read on the other clock, in steps of `resolution_s`, between `before` and `after`."""
        return cls(read - after, read + resolution_s - before)


@dataclass(frozen=True, slots=True)
class PodFacts:
    """What one pod answered. None: no answer."""

    skew: ClockSkew | None = None
    sctp: bool | None = None
    failure: str | None = None


async def server_clock(create: Callable[[], Awaitable[Object]]) -> ClockSkew | None:
    """The API server's clock, from the creation time of an object (in whole seconds)."""
    before = time()
    obj = await create()
    after = time()
    text = obj["metadata"].get("creationTimestamp")
    try:
        return ClockSkew.of(datetime.fromisoformat(str(text)).timestamp(), 1.0, before, after)
    except ValueError:
        return None


async def read_pod(cluster: ClusterAPI, station: Station) -> PodFacts:
    """Read the clock of a pod and whether its kernel has SCTP. Does not raise for failures in the pod."""
    skew: ClockSkew | None = None
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
        return PodFacts(skew, sctp, f"no answer after {EXEC_S:g} s")
    except ClusterError as e:
        return PodFacts(skew, sctp, str(e))
    return PodFacts(skew, sctp)


def _clock(line: str, before: float, after: float) -> ClockSkew | None:
    match = re.match(r"time (\d+)(\.\d+)?", line)
    if match is None:
        return None
    digits = len(match[2] or "") - 1
    resolution_s = 10.0**-digits if digits > 0 else 1.0
    return ClockSkew.of(float(match[1] + (match[2] or "")), resolution_s, before, after)


async def resolve(sessions: Sessions, stations: Sequence[Station]) -> Mapping[Station, Answer]:
    """What happened to `NAME` in each pod, tried again if it did not resolve."""
    paths = [PodPath(station, station, NAME) for station in stations]
    answers = await try_paths(sessions, paths)
    again = [p for p in paths if answers[p].outcome in {Outcome.NO_SUCH_NAME, Outcome.EXEC_FAILED}]
    if again:
        answers |= await try_paths(sessions, again)
    return {path.source: answer for path, answer in answers.items()}
