"""What the cluster does: probes a set of flows before and after each change, until the answer is stable.

    baseline   all flows before any policy of the suite: what connects proves its listener and its path.
               Beside it the canaries show whether the cluster enforces policies at all.
    observe    makes one change, waits until every canary has seen it, then probes. Two rounds have to
               agree, the last of them over all flows; between them only cells that moved are probed again.
               So a DENY has held in every round that counts, and a cell that connected once is not denied.
               (With many flows, one connection that was made late enough needs no second: settle.py.)

No expectation is ever known here: rounds are repeated until they agree, never until they please.
"""

from __future__ import annotations

import asyncio
import math
import typing
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from netprobe.model.flow import End, Flow, Protocol
from netprobe.model.matrix import Matrix
from netprobe.model.observation import Control, Observation, Outcome
from netprobe.model.verdict import Verdict
from netprobe.probe import judge as judgement
from netprobe.probe import plan as planning
from netprobe.probe.api import ClusterAPI
from netprobe.probe.canary import Canary, CanaryWatch, Enforcement, overall
from netprobe.probe.netcat import Answer, Target
from netprobe.probe.pace import Pace
from netprobe.probe.plan import Locate, Pairs, Station, Try
from netprobe.probe.session import Answers, Sessions
from netprobe.probe.settle import settle
from netprobe.probe.tally import Tally


class Bench(typing.Protocol):
    """What the prober needs of a Workbench."""

    @property
    def stations(self) -> Mapping[End, Station]: ...
    @property
    def canaries(self) -> Sequence[Canary]: ...
    async def turn(self, change: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Facts:
    """How an observation was come by.

    `converged_s`: from the API's answer to the change until the last cell moved, as the canaries and the
    rounds saw it; None where nothing could time it. `rounds`, `execs`: of this observation, and for the
    first one of the baseline too. `problems`: sentences on what stood in the way.
    """

    rounds: int
    execs: int
    converged_s: float | None
    enforcement: Enforcement
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Observed:
    """The observed table after one change, one Observation for each flow in the order given."""

    matrix: Matrix[Observation]
    facts: Facts


async def _nothing() -> None:
    pass


Known = Callable[[Flow], str | None]


class Prober:
    """Probes `flows` from the stations of a bench.

    `locate` gives the host of destinations that are no stations; `listener` and `path` give controls that
    are known from elsewhere (a readiness probe that passes), as in Control. `pairs` gives the tries that
    prove a path in the same round, where all of them connect: policy-free pairs on the same nodes. `twins`
    are the stations that flows with the placement OTHER come from.
    """

    def __init__(
        self,
        cluster: ClusterAPI,
        bench: Bench,
        flows: Iterable[Flow],
        *,
        pace: Pace | None = None,
        locate: Locate | None = None,
        listener: Known = lambda _: None,
        path: Known = lambda _: None,
        pairs: Pairs = lambda _: (),
        twins: Mapping[End, Station] | None = None,
        progress: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._flows = tuple(dict.fromkeys(flows))
        self._bench = bench
        self._cluster = cluster
        self._pace = pace or Pace()
        self._plan = planning.make(self._flows, bench.stations, locate, pairs, twins)
        self._known = listener, path
        keep = len(bench.stations) <= self._pace.sessions
        self._progress = Tally(progress)
        self._sessions = Sessions(cluster, self._pace, keep=keep, heard=self._progress.answered)
        self._proven: set[Flow] = set()
        self._trusting_s = math.inf  # from when on a connection stands for itself
        self._late: set[Flow] = set()  # what connected since then
        self._served: set[Target] = set()  # what somebody connected to in this run
        self._alive: dict[Target, tuple[float, str]] = {}  # when each listener was proven, and by whom
        self._before: dict[Flow, Verdict] = {}
        self._enforcement = Enforcement(None, "there is no canary")
        self._change = 0
        self._rounds = 0
        self._canary_execs = 0
        self._watches: AsyncExitStack | None = None
        self._watched: tuple[CanaryWatch, ...] = ()

    async def __aenter__(self) -> Prober:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._unwatch()
        await self._sessions.close()

    async def baseline(self, *, paths: bool = True) -> Enforcement:
        """Prove paths, before the first change; also find out whether the cluster enforces policies.

        `paths` False, where policies are in force already: only the latter.
        """
        self._progress.say("probing without policies" if paths else "looking whether policies are enforced")
        await self._watch(1)
        if paths:
            _, self._enforcement = await asyncio.gather(self._prove(), self._enforced())
        else:
            self._enforcement = await self._enforced()
        self._before = dict.fromkeys(self._proven, Verdict.ALLOW)
        return self._enforcement

    async def observe(self, change: Callable[[], Awaitable[None]] = _nothing) -> Observed:
        """Make a change (apply, label, delete), wait until it is in force, probe until stable.

        What `change` raises is passed on. Everything else that goes wrong becomes UNKNOWN cells.
        """
        self._change += 1
        problems: list[str] = []
        if self._enforcement.enforcing is not False:
            if not self._watched or self._change > 1:
                await self._watch(self._change)
            problems += await self._check()
        for watch in self._watched:
            watch.forget()
        await change()
        await self._bench.turn(self._change)
        answered = asyncio.get_running_loop().time()
        converged = None
        if self._enforcement.enforcing:
            self._progress.say("waiting for the canaries")
            converged, late = await self._turned(answered)
            problems += late
        await self._unwatch()
        self._progress.say("probing")
        self._late.clear()
        if converged is not None:
            self._trusting_s = asyncio.get_running_loop().time() + self._pace.late_s
        else:  # nothing has shown that the change is in force
            self._trusting_s = math.inf
        settled = await settle(
            self.round, tuple(self._plan.of), self._pace, self._before, self._late.__contains__
        )
        self._before = {flow: cell.verdict for flow, cell in settled.cells.items()}
        if settled.last_move is not None and converged is not None:
            converged = max(converged, settled.last_move - answered)
        return Observed(self._matrix(settled.cells), self._facts(converged, problems))

    async def _check(self) -> list[str]:
        """The ports that this change opens must be closed before it; else the cluster enforces nothing."""
        fresh = await self._enforced()
        if fresh.enforcing is not None or self._enforcement.enforcing is None:
            self._enforcement = fresh
            return []
        return [fresh.evidence]

    async def _turned(self, answered: float) -> tuple[float | None, list[str]]:
        """Seconds until the last canary turned, and a sentence for each that did not."""
        turns = await asyncio.gather(*(watch.opened(self._pace.canary_s) for watch in self._watched))
        seen = [max(0.0, turn - answered) for turn in turns if turn is not None]
        late = [
            f"on {watch.canary.node} the change was not seen within {self._pace.canary_s:g} s: "
            "what was observed may be older than it"
            for watch, turn in zip(self._watched, turns, strict=True)
            if turn is None
        ]
        return (max(seen) if seen and not late else None), late

    def _matrix(self, cells: Mapping[Flow, Observation]) -> Matrix[Observation]:
        skipped = {
            flow: Observation(Outcome.SKIPPED, Verdict.UNKNOWN, reason=f"skipped: {why}", attempts=0)
            for flow, why in self._plan.skipped.items()
        }
        return Matrix((flow, cells[flow] if flow in cells else skipped[flow]) for flow in self._flows)

    def _facts(self, converged: float | None, problems: Sequence[str]) -> Facts:
        facts = Facts(
            rounds=self._rounds,
            execs=self._sessions.execs + self._canary_execs,
            converged_s=converged,
            enforcement=self._enforcement,
            problems=tuple(problems),
        )
        self._rounds = self._sessions.execs = self._canary_execs = 0
        return facts

    async def round(self, flows: Iterable[Flow]) -> dict[Flow, Observation]:
        """Try the flows once, with their controls, and judge."""
        self._rounds += 1
        chosen = tuple(flows)
        begun = asyncio.get_running_loop().time()
        alive = {
            target: by
            for target, (at, by) in self._alive.items()
            # A kernel accepts for a listener that is late; a datagram is answered by the listener alone.
            if target.protocol is Protocol.TCP and begun - at < self._pace.proof_s
        }
        batches = self._plan.batches(chosen, alive)
        self._progress.asked(sum(len(batch.targets) for batch in batches))
        answers = dict(await self._sessions.run(batches))
        # Rounds overlap: what another one has proven since this one began is proven in this one.
        old = {target: by for target, by in alive.items() if self._alive[target][0] < begun}
        doubted = self._doubted(chosen, answers, old)
        if doubted:
            answers |= await self._sessions.run(planning.controls(doubted))
            alive = {target: by for target, by in alive.items() if target not in {one[1] for one in doubted}}
        connected = [flow for flow in chosen if _connected(answers, self._plan.of[flow])]
        self._late |= {flow for flow in connected if self._is_late(flow, answers)}
        served = {self._plan.of[flow][1] for flow in connected}
        for flow in chosen:  # a control may knock at the very door that the flow asks for
            served |= {try_[1] for try_ in self._plan.path.get(flow, ()) if _connected(answers, try_)}
        self._served |= served
        controls = {self._plan.listener[flow] for flow in chosen if flow in self._plan.listener}
        now = asyncio.get_running_loop().time()
        self._alive |= dict.fromkeys(served, (now, "peer"))
        self._alive |= {
            one[1]: (now, "self") for one in controls if one in answers and _connected(answers, one)
        }
        return {flow: self._judge(flow, answers, served, alive) for flow in chosen}

    def _is_late(self, flow: Flow, answers: Answers) -> bool:
        """Of a flow that connected. Behind a Service's address somebody else may answer the next time."""
        return flow in self._plan.listener and answers[self._plan.of[flow]].asked_s >= self._trusting_s

    def _doubted(
        self, flows: Iterable[Flow], answers: Answers, alive: Mapping[Target, str]
    ) -> frozenset[Try]:
        """The controls of listeners that were alive a while ago, and that nobody reached in this round."""
        missed = {flow for flow in flows if answers[self._plan.of[flow]].outcome is not Outcome.CONNECTED}
        reached = {self._plan.of[flow][1] for flow in flows if flow not in missed}
        wanted = (self._plan.listener.get(flow) for flow in missed)
        return frozenset(one for one in wanted if one and one[1] in alive and one[1] not in reached)

    def _judge(
        self, flow: Flow, answers: Answers, served: Collection[Target], alive: Mapping[Target, str]
    ) -> Observation:
        answer = answers[self._plan.of[flow]]
        known_listener, known_path = self._known
        control = self._plan.listener.get(flow)
        listener = known_listener(flow) or alive.get(self._plan.of[flow][1])
        # A listener that we cannot ask ourselves: that somebody reached it in this run has to do.
        if self._plan.of[flow][1] in (self._served if control is None else served):
            listener = "peer"
        if control is not None and control in answers and _connected(answers, control):
            listener = "self"
        path = "baseline" if flow in self._proven else known_path(flow)
        pairs = self._plan.path.get(flow, ())
        if path is None and pairs and all(_connected(answers, pair) for pair in pairs):
            path = "pair"
        proof = Control(listener, path)
        verdict, reason = judgement.judge(answer.outcome, proof)
        return Observation(
            answer.outcome, verdict, proof, _detailed(reason, answer), latency_ms=answer.latency_ms
        )

    async def _prove(self) -> None:
        """Rounds without policies, of what did not connect yet; UDP and fresh listeners need some."""
        wanted: Sequence[Flow] = tuple(self._plan.of)
        for _ in range(1 + self._pace.retries):
            if not wanted:
                return
            seen = await self.round(wanted)
            self._proven |= {flow for flow, o in seen.items() if o.outcome is Outcome.CONNECTED}
            wanted = [
                flow
                for flow, o in seen.items()
                if o.outcome is not Outcome.CONNECTED
                and (flow in self._plan.listener or o.outcome is Outcome.EXEC_FAILED)
            ]

    async def _enforced(self) -> Enforcement:
        return overall(
            list(await asyncio.gather(*(watch.closed(self._pace.canary_s) for watch in self._watched)))
        )

    async def _watch(self, change: int) -> None:
        await self._unwatch()
        self._watches = AsyncExitStack()
        watches = [CanaryWatch(self._cluster, canary, change, self._pace) for canary in self._bench.canaries]
        for watch in watches:
            await self._watches.enter_async_context(watch)
        self._watched = tuple(watches)

    async def _unwatch(self) -> None:
        if self._watches is not None:
            await self._watches.aclose()
        self._canary_execs += sum(watch.execs for watch in self._watched)
        self._watches, self._watched = None, ()


def _connected(answers: Answers, one: Try) -> bool:
    return answers[one].outcome is Outcome.CONNECTED


def _detailed(reason: str | None, answer: Answer) -> str | None:
    """A reason that is about the probe itself says what the probe said."""
    if answer.text and answer.outcome in {Outcome.EXEC_FAILED, Outcome.NO_SUCH_NAME, Outcome.SKIPPED}:
        return f"{reason}: {answer.text}"
    return reason
