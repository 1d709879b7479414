"""A deny-all policy, tried: paths that work before it, what it does to them, and that they come back.

A path counts as stopped if it was closed in two rounds in a row while its server could reach its own port
and the way back stayed open; as open if it still connects at the deadline. Everything else is unknown,
with the reason. Unlike a run, this waits for an expected result: it knows what the policy denies.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from netprobe.doctor.pods import ClockSkew, PodPair, PodPath, paths, server_clock, try_paths
from netprobe.errors import NotFoundError
from netprobe.model.objects import Object
from netprobe.model.observation import Control, Outcome
from netprobe.model.policy import Direction
from netprobe.model.verdict import Verdict
from netprobe.probe import judge
from netprobe.probe.bench import Bench
from netprobe.probe.deciding import key_of
from netprobe.probe.netcat import Answer
from netprobe.probe.session import Sessions

ROUNDS: Final = 2
"""A path that was closed in this many rounds in a row is stopped."""

PAUSE_S: Final = 0.2
NOT_CLOSED: Final = frozenset({Outcome.CONNECTED, Outcome.EXEC_FAILED, Outcome.SKIPPED})

TRIES: Final = 4
"""Rounds without a policy: fresh listeners and UDP may need several."""


@dataclass(frozen=True, slots=True)
class DenyAllResult:
    """What a deny-all did. `stopped`: seconds from the API's answer to the first round that found it closed.

    `lingering` paths did not come back when the policy was deleted; `collateral` paths are not denied by the
    policy and were closed under it. `observed`: answers of paths that are reported and not judged.
    """

    direction: Direction
    stopped: Mapping[PodPath, float]
    open: Sequence[PodPath] = ()
    unknown: Mapping[PodPath, str] = field(default_factory=dict)
    lingering: Sequence[PodPath] = ()
    collateral: Sequence[PodPath] = ()
    observed: Mapping[PodPath, Answer] = field(default_factory=dict)
    waited_s: float = 0.0

    @property
    def tried(self) -> int:
        return len(self.stopped) + len(self.open) + len(self.unknown)


async def baseline(sessions: Sessions, wanted: Collection[PodPath]) -> dict[PodPath, Answer]:
    """The last answer of each path while nothing denies it; one that connects is not tried again."""
    answers: dict[PodPath, Answer] = {}
    pending = list(wanted)
    for attempt in range(TRIES):
        if pending and attempt:
            await asyncio.sleep(PAUSE_S)
        answers |= await try_paths(sessions, pending)
        pending = [path for path in wanted if answers[path].outcome is not Outcome.CONNECTED]
        if not pending:
            break
    return answers


@dataclass(slots=True)
class DenyAllTest:
    """Applies policies to paths that are proven to work without them.

    `server_clock` is read from a policy's creation time.
    """

    bench: Bench
    sessions: Sessions
    pairs: Sequence[PodPair]
    proven: Sequence[PodPath]
    within_s: float
    server_clock: ClockSkew | None = None

    async def run(
        self, direction: Direction, policy: Object, observe: Sequence[PodPath] = ()
    ) -> DenyAllResult:
        """Apply the policy, see what it stops within `within_s`, delete it, and see everything come back.

        ClusterError if the policy is refused.
        """
        now = asyncio.get_running_loop().time
        ways_back = await self._ways_back()
        self.server_clock = await server_clock(lambda: self.bench.create(policy))
        begun = now()
        seen = await self._until_stopped(begun, ways_back)
        observed = await try_paths(self.sessions, observe) if observe else {}
        waited_s = now() - begun
        meta = policy["metadata"]
        try:
            await self.bench.delete(key_of(policy), meta["name"], meta.get("namespace"))
        except NotFoundError:
            return DenyAllResult(
                direction, {}, unknown=dict.fromkeys(self.proven, "the policy was deleted by something else")
            )
        lingering = await self._until_open(list(seen.since))
        return DenyAllResult(
            direction,
            stopped={path: seen.since[path] for path in self.proven if path in seen.settled},
            open=[p for p in self.proven if seen.last.get(p) is Verdict.ALLOW and p not in seen.settled],
            unknown={
                path: seen.reasons.get(path, "it was closed for less than two rounds")
                for path in self.proven
                if path not in seen.settled and seen.last.get(path) is not Verdict.ALLOW
            },
            lingering=lingering,
            collateral=seen.collateral,
            observed=observed,
            waited_s=waited_s,
        )

    async def _ways_back(self) -> list[PodPath]:
        """Paths from servers to clients that work: neither policy denies them."""
        back = paths([pair.server for pair in self.pairs], [pair.client for pair in self.pairs])
        ways_back = [p for p in back if any(p.source == q.to and p.to == q.source for q in self.proven)]
        return [p for p, answer in (await baseline(self.sessions, ways_back)).items() if _connected(answer)]

    async def _until_stopped(self, begun: float, ways_back: Sequence[PodPath]) -> _Rounds:
        now = asyncio.get_running_loop().time
        servers = [pair.server for pair in self.pairs]
        listeners = [path for path in paths(servers, servers) if path.source == path.to]
        seen = _Rounds()
        while True:
            round_s = now() - begun
            answers = await try_paths(self.sessions, [*self.proven, *ways_back, *listeners])
            seen.take(self.proven, ways_back, answers, round_s)
            if len(seen.settled) == len(self.proven) or now() - begun > self.within_s:
                return seen
            await asyncio.sleep(PAUSE_S)

    async def _until_open(self, closed: list[PodPath]) -> list[PodPath]:
        """The paths that do not connect again in time."""
        now = asyncio.get_running_loop().time
        end = now() + self.within_s
        while closed:
            answers = await try_paths(self.sessions, closed)
            closed = [path for path in closed if answers[path].outcome is not Outcome.CONNECTED]
            if now() > end:
                break
            await asyncio.sleep(PAUSE_S if closed else 0)
        return closed


@dataclass(slots=True)
class _Rounds:
    """The rounds under the policy. `closed`: rounds in a row; `since`: the time of the first, in seconds."""

    closed: Counter[PodPath] = field(default_factory=Counter)
    since: dict[PodPath, float] = field(default_factory=dict)
    last: dict[PodPath, Verdict] = field(default_factory=dict)
    reasons: dict[PodPath, str] = field(default_factory=dict)
    settled: set[PodPath] = field(default_factory=set)
    collateral: list[PodPath] = field(default_factory=list)

    def take(
        self,
        proven: Sequence[PodPath],
        ways_back: Sequence[PodPath],
        answers: Mapping[PodPath, Answer],
        round_s: float,
    ) -> None:
        live = {(p.to, p.target) for p, a in answers.items() if p.source == p.to and _connected(a)}
        for path in ways_back:
            self.closed[path] = 0 if answers[path].outcome in NOT_CLOSED else self.closed[path] + 1
        self.collateral = [path for path in ways_back if self.closed[path] >= ROUNDS]
        for path in proven:
            listener = "self" if (path.to, path.target) in live else None
            verdict, reason = judge.judge(answers[path].outcome, Control(listener, "baseline"))
            self.last[path] = verdict
            if verdict is Verdict.DENY:
                self.closed[path] += 1
                self.since.setdefault(path, round_s)
            else:
                self.closed[path] = 0
                self.since.pop(path, None)
            if reason is not None and verdict is Verdict.UNKNOWN:
                self.reasons[path] = f"{reason} {answers[path].text}".strip()
        self.settled = {path for path in proven if self.closed[path] >= ROUNDS}


def _connected(answer: Answer) -> bool:
    return answer.outcome is Outcome.CONNECTED
