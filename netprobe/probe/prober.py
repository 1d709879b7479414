"""What the cluster does: probes a set of flows before and after each change, until the answer is stable.

    baseline   all flows before any policy of the suite: what connects proves its listener and its path.
               Meanwhile the canaries show whether the cluster enforces policies at all.
    observe    makes one change, waits until every canary has seen it, then probes. Two rounds have to
               agree, the last of them over all flows; between them only cells that moved are probed again.
               So a DENY has held in every round that counts, and a cell that connected once is not denied.
               (With many flows, a connection that was made late enough needs no second: see settle.py.)

No expectation is known here: rounds are repeated until they agree with each other.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from netprobe.model.flow import End, Flow
from netprobe.model.matrix import Matrix
from netprobe.model.observation import Observation, Outcome
from netprobe.model.verdict import Verdict
from netprobe.probe import plan as planning
from netprobe.probe.api import ClusterAPI
from netprobe.probe.canary import NO_CANARY, Canaries, CanaryWatch, Enforcement, overall
from netprobe.probe.canary import sessions as canary_sessions
from netprobe.probe.evidence import Evidence, KnownControl, connected
from netprobe.probe.netcat import Answer, Target
from netprobe.probe.pace import RETRIES, Pace
from netprobe.probe.plan import Batch, Locate, Pairs, Station, Try
from netprobe.probe.session import Answers, Sessions
from netprobe.probe.settle import settle

UNSEEN_S: Final = 3.0
"""How long a change gets to take effect where no canary can show it; Calico was seen to take up to 2.8 s."""


@dataclass(frozen=True, slots=True)
class ObservationFacts:
    """How an observation was made.

    `converged_s`: from the API's answer to the change until the last cell moved, as the canaries and the
    rounds saw it; None if nothing could time it. `rounds`, `execs`: of this observation, and for the
    first one of the baseline too. `problems`: sentences on what stood in the way.
    """

    rounds: int
    execs: int
    converged_s: float | None
    enforcement: Enforcement
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Observed:
    """The observed matrix after one change, one Observation for each flow in the order given."""

    matrix: Matrix[Observation]
    facts: ObservationFacts


async def _no_change() -> None:
    pass


def _none_known(_: Flow) -> None:
    return None


class Prober:
    """Probes `flows` from `stations` (a bench has both stations and `canaries`).

    `locate` gives the host of destinations that are not stations; `listener` and `path` give controls that
    are known from elsewhere. `pairs` gives the tries that prove a path in the same round, if all of them
    connect: policy-free pairs on the same nodes. `twins` are the stations that flows with the placement OTHER
    come from. `closed`: flows that policies denied before the run began; their paths are proven by any flow
    between the same nodes. `nodes`: of destinations that are not stations. `progress` is called with a
    description of each activity.
    """

    def __init__(
        self,
        cluster: ClusterAPI,
        stations: Mapping[End, Station],
        flows: Iterable[Flow],
        *,
        canaries: Canaries | None = None,
        pace: Pace | None = None,
        locate: Locate | None = None,
        listener: KnownControl = _none_known,
        path: KnownControl = _none_known,
        pairs: Pairs = lambda _: (),
        twins: Mapping[End, Station] | None = None,
        closed: Container[Flow] = (),
        nodes: Mapping[End, str] | None = None,
        progress: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._flows = tuple(dict.fromkeys(flows))
        self._pace = pace or Pace()
        self._plan = planning.make(self._flows, stations, locate, pairs, twins)
        routes = planning.routes(self._plan, nodes or {})
        self._evidence = Evidence(self._plan, self._pace.listener_s, listener, path, routes, closed)
        self._progress = _Progress(progress)
        keep = len(stations) <= self._pace.method.kept_sessions
        self._sessions = Sessions(cluster, self._pace, keep=keep, on_answer=self._progress.answered)
        self._canaries = canaries
        self._canary_sessions = canary_sessions(cluster, self._pace)
        able = canaries is not None and canaries.unable is None
        pairs_to_watch = canaries.pairs if canaries is not None and able else ()
        self._watches = [CanaryWatch(one, self._canary_sessions) for one in pairs_to_watch]
        self._enforcement = NO_CANARY
        self._before: dict[Flow, Verdict] = {}
        self._late_from = math.inf  # from when on one connection is enough, by the loop's clock
        self._late: set[Flow] = set()  # what connected since then
        self._change = 0
        self._rounds = 0

    async def __aenter__(self) -> Prober:
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(self._sessions.close(), self._canary_sessions.close())

    async def baseline(self, *, paths: bool = True) -> Enforcement:
        """Prove paths, before the first change, and check whether the cluster enforces policies.

        With `paths` False (policies are already in force), only the latter.
        """
        self._progress.say("probing without policies" if paths else "checking whether policies are enforced")
        if paths:
            _, self._enforcement = await asyncio.gather(self._prove_paths(), self._closed(1))
        else:
            self._enforcement = await self._closed(1)
        self._before = dict.fromkeys(self._evidence.paths, Verdict.ALLOW)
        return self._enforcement

    async def observe(
        self, change: Callable[[], Awaitable[None]] = _no_change, kinds: Iterable[str] = ()
    ) -> Observed:
        """Make a change (apply, label, delete), wait until it is in force, probe until stable.

        `kinds`: as `Canaries.announce` takes them. Errors of `change` are passed on. Everything else that
        goes wrong becomes UNKNOWN cells.
        """
        self._change += 1
        problems: list[str] = []
        await change()
        ports = () if self._canaries is None else await self._canaries.announce(self._change, kinds)
        now = asyncio.get_running_loop().time
        announced = now()
        converged = None
        if self._canaries is not None and self._canaries.unable:
            self._progress.say("waiting for the change to take effect")
            await asyncio.sleep(UNSEEN_S)
        if self._enforcement.enforcing:
            self._progress.say("waiting for the canaries")
            converged, problems = await self._seen_by_canaries(ports, announced)
        self._progress.say("probing")
        self._late.clear()
        # Where nothing has shown that the change is in force, no single connection is enough.
        self._late_from = math.inf if converged is None else now() + self._pace.late_s
        settled, _ = await asyncio.gather(
            settle(self.round, tuple(self._plan.of), self._pace, self._before, self._late.__contains__),
            self._confirm_enforcement(stale=bool(problems)),
        )
        self._before = {flow: cell.verdict for flow, cell in settled.cells.items()}
        if settled.last_move is not None and converged is not None:
            converged = max(converged, settled.last_move - announced)
        if self._enforcement.enforcing is False:
            converged = None
        return Observed(self._matrix(settled.cells), self._facts(converged, problems))

    async def round(self, flows: Iterable[Flow]) -> dict[Flow, Observation]:
        """Try the flows once, with their controls, and judge."""
        now = asyncio.get_running_loop().time
        chosen, begun = tuple(flows), now()
        self._rounds += 1
        trusted = self._evidence.trusted(begun)
        answers = await self._try(self._plan.batches(chosen, trusted))
        if doubted := self._evidence.doubted(chosen, answers, trusted, begun):
            answers |= await self._try(planning.controls(doubted))
            trusted = {target: proof for target, proof in trusted.items() if target not in _targets(doubted)}
        starved = self._evidence.starved(chosen, answers, self._pace.slow_s)
        for _ in range(RETRIES):
            if not starved:
                break
            # Now these listeners have time: what is denied does not reach them, all others have their answer.
            again = await self._try(self._plan.batches(flow for flow in chosen if flow in starved))
            answers |= again
            starved = self._evidence.starved(starved, again, self._pace.slow_s)
        reached = self._evidence.add(chosen, answers, now())
        self._late |= {flow for flow in chosen if self._is_late(flow, answers)}
        return {flow: self._evidence.observation(flow, answers, reached, trusted, starved) for flow in chosen}

    async def _try(self, batches: Collection[Batch]) -> dict[Try, Answer]:
        self._progress.started(sum(len(batch.targets) for batch in batches))
        return dict(await self._sessions.run(batches))

    def _is_late(self, flow: Flow, answers: Answers) -> bool:
        """Whether it connected late. Never behind a Service: another pod may answer the next time."""
        one = self._plan.of[flow]
        return (
            flow in self._plan.listener
            and connected(answers, one)
            and answers[one].tried_s >= self._late_from
        )

    async def _prove_paths(self) -> None:
        """Rounds without policies, of flows that did not connect yet; UDP and fresh listeners need some."""
        wanted: Sequence[Flow] = tuple(self._plan.of)
        for _ in range(1 + RETRIES):
            if not wanted:
                return
            seen = await self.round(wanted)
            missed = {flow: o.outcome for flow, o in seen.items() if o.outcome is not Outcome.CONNECTED}
            self._evidence.paths |= seen.keys() - missed.keys()
            wanted = [
                flow
                for flow, outcome in missed.items()
                if flow in self._plan.listener or outcome is Outcome.EXEC_FAILED
            ]

    async def _closed(self, change: int, *, held: bool = False) -> Enforcement:
        """Whether the port that a change will open is closed at every canary."""
        signs = (watch.closed(change, self._pace.canary_s, held=held) for watch in self._watches)
        return overall(await asyncio.gather(*signs))

    async def _confirm_enforcement(self, *, stale: bool) -> None:
        """Look again while the rounds last: the port that the next change opens must stay closed.

        Not if the change was not seen (`stale`): the change before the last one opened that port too.
        """
        if self._watches and self._enforcement.enforcing is not False and not stale:
            found = await self._closed(self._change + 1, held=True)
            if found.enforcing is not None:
                self._enforcement = found

    async def _seen_by_canaries(
        self, ports: Collection[int], announced: float
    ) -> tuple[float | None, list[str]]:
        """Seconds until the last canary saw the change, and a sentence for each that did not."""
        deadline_s = self._pace.canary_s
        times = await asyncio.gather(*(watch.opened(ports, deadline_s) for watch in self._watches))
        seen = [max(0.0, at - announced) for at in times if at is not None]
        unseen = [
            f"on {watch.canary.node} the change was not seen within {deadline_s:g} s: "
            "what was observed may be older than it"
            for watch, at in zip(self._watches, times, strict=True)
            if at is None
        ]
        return (max(seen) if seen and not unseen else None), unseen

    def _matrix(self, cells: Mapping[Flow, Observation]) -> Matrix[Observation]:
        skipped = {
            flow: Observation(Outcome.SKIPPED, Verdict.UNKNOWN, reason=f"skipped: {why}", attempts=0)
            for flow, why in self._plan.skipped.items()
        }
        return Matrix((flow, cells[flow] if flow in cells else skipped[flow]) for flow in self._flows)

    def _facts(self, converged: float | None, problems: Sequence[str]) -> ObservationFacts:
        execs = self._sessions.execs + self._canary_sessions.execs
        facts = ObservationFacts(self._rounds, execs, converged, self._enforcement, tuple(problems))
        self._rounds = self._sessions.execs = self._canary_sessions.execs = 0
        return facts


def _targets(tries: Iterable[Try]) -> set[Target]:
    return {target for _, target in tries}


class _Progress:
    """Reports each new activity, and while it lasts how many of its tries were answered."""

    PAUSE_S: Final = 0.2  # between two counts: printing takes longer than counting

    def __init__(self, report: Callable[[str], None]) -> None:
        self._report = report
        self._what = ""
        self._started = self._answered = 0
        self._last = 0.0

    def say(self, what: str) -> None:
        """Begin another activity."""
        self._what = what
        self._started = self._answered = 0
        self._last = time.monotonic()
        self._report(what)

    def started(self, count: int) -> None:
        self._started += count

    def answered(self) -> None:
        self._answered += 1
        if time.monotonic() - self._last > self.PAUSE_S:
            self._last = time.monotonic()
            self._report(f"{self._what}: {self._answered:,} of {self._started:,} tries")
