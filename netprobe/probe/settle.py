"""Rounds after a change, until two agree on every flow or the time is over.

The first two are full and overlap, so that their time-outs overlap too. Cells that moved between them are
probed again until they are stable: the same verdict twice in a row. Then a full round has to confirm
everything: a cell that differs in it is probed again, and only one that then settles on another verdict than
before requires another full round. (One lost packet among thousands of flows must not keep all of them
moving.)

With many flows the second round follows the first, and leaves out flows that are proven by then: a connection
is a fact, and a second one only adds that the change had arrived when the first was made. So a connection
that was made `pace.late_s` or more after the change was seen to be in force is enough, until something else
moves. A denial is a conclusion: a single round never proves it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from netprobe.model.flow import Flow
from netprobe.model.observation import Observation, Outcome
from netprobe.model.verdict import Verdict
from netprobe.probe.pace import RETRIES, Pace

Round = Callable[[Sequence[Flow]], Awaitable[Mapping[Flow, Observation]]]


@dataclass(frozen=True, slots=True)
class Settled:
    """`last_move`: the loop's time of the round that first saw the last cell move; None: none did."""

    cells: Mapping[Flow, Observation]
    last_move: float | None


def _nothing(_: Flow) -> bool:
    return False


async def settle(
    probe: Round,
    flows: Sequence[Flow],
    pace: Pace,
    before: Mapping[Flow, Verdict] | None = None,
    proven: Callable[[Flow], bool] = _nothing,
) -> Settled:
    """Probe until stable. Cells that are still moving at the deadline are UNKNOWN and flaky.

    Two rounds are always made; the deadline is for what comes after them. `proven`, called after the first
    round: whether the flow connected, late enough to need no second connection.

    `before`: the verdicts before the change. A cell that ends where it began has only lost a packet:
    it is probed like any other, but does not count for when the change was in force.
    """
    history = _History(before or {})
    if flows:
        await _rounds(probe, flows, pace, history, proven)
    return Settled({flow: history.cell(flow) for flow in flows}, history.last_move)


async def _rounds(
    probe: Round, flows: Sequence[Flow], pace: Pace, history: _History, proven: Callable[[Flow], bool]
) -> None:
    now = asyncio.get_running_loop().time

    async def begin(some: Sequence[Flow], delay_s: float = 0) -> tuple[float, Mapping[Flow, Observation]]:
        await asyncio.sleep(delay_s)
        begun = now()
        return begun, await probe(some)

    async def probe_moving(moving: list[Flow]) -> bool:
        """Probe what moved until it is stable; whether any verdict differs from before."""
        before = {flow: history.stood.get(flow) for flow in moving}
        while moving:
            await asyncio.sleep(pace.retry_s if history.failing else 0)
            begun = now()
            moving = history.take(await probe(moving), begun)
        return any(history.stood.get(flow) is not verdict for flow, verdict in before.items())

    # These two rounds have no deadline: how long they take depends on the number of flows.
    started = now()
    if len(flows) <= pace.many:
        (begun, first), (begun_second, second) = await asyncio.gather(
            begin(flows), begin(flows, pace.round_gap_s)
        )
        history.take(first, begun)
    else:
        begun, first = await begin(flows)
        history.take(first, begun)
        history.proven = {flow for flow in flows if proven(flow)}
        again = [flow for flow in flows if flow not in history.proven]
        begun_second, second = await begin(again, max(0.0, begun + pace.round_gap_s - now()))
    moving = history.take(second, begun_second)
    with suppress(TimeoutError):
        async with asyncio.timeout(max(pace.settle_s, 2 * (now() - started))):
            confirmed = not await probe_moving(moving)
            while not confirmed:
                begun, seen = await begin(flows)
                confirmed = not await probe_moving(history.take(seen, begun))


@dataclass(slots=True)
class _History:
    """What was seen of each flow since the change."""

    before: Mapping[Flow, Verdict]
    last: dict[Flow, Observation] = field(default_factory=dict)
    last_move: float | None = None
    failing: bool = False
    tries: Counter[Flow] = field(default_factory=Counter)
    connected: Counter[Flow] = field(default_factory=Counter)
    moves: Counter[Flow] = field(default_factory=Counter)
    failures: Counter[Flow] = field(default_factory=Counter)
    agreeing: Counter[Flow] = field(default_factory=Counter)  # rounds in a row with the same verdict
    stood: dict[Flow, Verdict] = field(default_factory=dict)  # the verdict of the last two rounds that agreed
    since: dict[Flow, float] = field(default_factory=dict)  # when the verdict last changed
    proven: Collection[Flow] = ()  # their first connection is enough

    def take(self, seen: Mapping[Flow, Observation], begun: float) -> list[Flow]:
        """Record a round that began at `begun`; the flows that have to be probed again."""
        moving = [flow for flow, observation in seen.items() if self._record(flow, observation, begun)]
        self.failing = any(seen[flow].outcome is Outcome.EXEC_FAILED for flow in moving)
        return moving

    def _record(self, flow: Flow, new: Observation, begun: float) -> bool:
        old = self.last.get(flow)
        self.last[flow] = new
        self.tries[flow] += 1
        if new.outcome is Outcome.EXEC_FAILED:
            self.failures[flow] += 1
            self.agreeing[flow] = 0
            return self.failures[flow] < RETRIES
        self.connected[flow] += new.outcome is Outcome.CONNECTED
        if old is not None and old.outcome is not Outcome.EXEC_FAILED:
            if old.verdict is new.verdict:
                self._agree(flow, new.verdict)
                return False
            self.moves[flow] += 1
            self.since[flow] = begun
        self.agreeing[flow] = 1
        return old is not None  # after the first round, wait for the second

    def _agree(self, flow: Flow, verdict: Verdict) -> None:
        self.agreeing[flow] += 1
        changed = self.stood.get(flow) is not verdict and self.before.get(flow) is not verdict
        if changed and flow in self.since:
            self.last_move = max(self.since[flow], self.last_move or self.since[flow])
        self.stood[flow] = verdict

    def cell(self, flow: Flow) -> Observation:
        """The observation to report. A verdict needs two rounds that agree, or a proven connection."""
        seen = self.last[flow]
        seen = replace(seen, attempts=self.tries[flow], flaky=self.moves[flow] > 1)
        if seen.outcome is Outcome.EXEC_FAILED or self.agreeing[flow] > 1:
            return seen
        if flow in self.proven and self.tries[flow] == 1:
            return seen
        reason = f"flaky: connected in {self.connected[flow]} of {self.tries[flow]} tries, still changing"
        return replace(seen, verdict=Verdict.UNKNOWN, reason=reason, flaky=self.tries[flow] > 1)
