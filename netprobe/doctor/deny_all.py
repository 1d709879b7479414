"""A deny-all, tried: paths that work before it, what becomes of them under it, and that they come back.

A path counts as stopped where it was seen shut in two rounds on end, its listener answering the server itself
and its way back open all the while; as open where it still connects when the time is over. Everything else
is unknown, with the reason. Polled, because what is waited for is known here.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from netprobe.doctor.pod_facts import Skew, stamped
from netprobe.doctor.pod_pairs import Knocker, Pair, Path, paths
from netprobe.errors import NotFoundError
from netprobe.model.objects import Object
from netprobe.model.observation import Control, Outcome
from netprobe.model.policy import Direction
from netprobe.model.verdict import Verdict
from netprobe.probe import judge
from netprobe.probe.api import ClusterAPI
from netprobe.probe.netcat import Answer

ROUNDS: Final = 2
"""A path that was shut in so many rounds on end is stopped."""

PAUSE_S: Final = 0.2
NOT_SHUT: Final = frozenset({Outcome.CONNECTED, Outcome.EXEC_FAILED, Outcome.SKIPPED})

TRIES: Final = 4
"""Rounds without a policy: fresh listeners, and UDP, need some."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What a deny-all did. `stopped`: seconds from the API's answer to the round that first saw it shut.

    `lingering` paths did not come back when the policy was deleted; `collateral` paths are not forbidden by
    the policy and were shut under it. `beside`: what became of paths that were only looked at.
    """

    direction: Direction
    stopped: Mapping[Path, float]
    open: Sequence[Path] = ()
    unknown: Mapping[Path, str] = field(default_factory=dict)
    lingering: Sequence[Path] = ()
    collateral: Sequence[Path] = ()
    beside: Mapping[Path, Answer] = field(default_factory=dict)
    waited_s: float = 0.0

    @property
    def tried(self) -> int:
        return len(self.stopped) + len(self.open) + len(self.unknown)


async def baseline(knocker: Knocker, wanted: Collection[Path]) -> dict[Path, Answer]:
    """The last answer of each path while nothing forbids it; one that connects is not asked again."""
    answers: dict[Path, Answer] = {}
    pending = list(wanted)
    for attempt in range(TRIES):
        if pending and attempt:
            await asyncio.sleep(PAUSE_S)
        answers |= await knocker.ask(pending)
        pending = [path for path in wanted if answers[path].outcome is not Outcome.CONNECTED]
        if not pending:
            break
    return answers


@dataclass(slots=True)
class Experiment:
    """Tries policies on paths that are proven to work without them.

    `server_clock` is read off a policy when it is made.
    """

    cluster: ClusterAPI
    knocker: Knocker
    pairs: Sequence[Pair]
    proven: Sequence[Path]
    within_s: float
    server_clock: Skew | None = None

    async def run(self, direction: Direction, policy: Object, beside: Sequence[Path] = ()) -> Trial:
        """Apply the policy, see what it stops within `within_s`, delete it, and see all come back.

        ClusterError where the policy is refused.
        """
        now = asyncio.get_running_loop().time
        kept = await self._kept()
        self.server_clock = await stamped(lambda: self.cluster.create(policy))
        begun = now()
        seen = await self._until_stopped(begun, kept)
        looked = await self.knocker.ask(beside) if beside else {}
        waited_s = now() - begun
        meta = policy["metadata"]
        try:
            await self.cluster.delete("NetworkPolicy", meta["name"], meta["namespace"])
        except NotFoundError:
            return Trial(direction, {}, unknown=dict.fromkeys(self.proven, "somebody deleted the policy"))
        lingering = await self._until_open(list(seen.since))
        return Trial(
            direction,
            stopped={path: seen.since[path] for path in self.proven if path in seen.settled},
            open=[p for p in self.proven if seen.last.get(p) is Verdict.ALLOW and p not in seen.settled],
            unknown={
                path: seen.reasons.get(path, "it was shut for less than two rounds")
                for path in self.proven
                if path not in seen.settled and seen.last.get(path) is not Verdict.ALLOW
            },
            lingering=lingering,
            collateral=seen.collateral,
            beside=looked,
            waited_s=waited_s,
        )

    async def _kept(self) -> list[Path]:
        """The ways back, from servers to clients, that work: neither policy forbids them."""
        back = paths([pair.server for pair in self.pairs], [pair.client for pair in self.pairs])
        kept = [p for p in back if any(p.source == q.to and p.to == q.source for q in self.proven)]
        return [p for p, answer in (await baseline(self.knocker, kept)).items() if _connected(answer)]

    async def _until_stopped(self, begun: float, kept: Sequence[Path]) -> _Seen:
        now = asyncio.get_running_loop().time
        servers = [pair.server for pair in self.pairs]
        listeners = [path for path in paths(servers, servers) if path.source == path.to]
        seen = _Seen()
        while True:
            round_s = now() - begun
            answers = await self.knocker.ask([*self.proven, *kept, *listeners])
            seen.take(self.proven, kept, answers, round_s)
            if len(seen.settled) == len(self.proven) or now() - begun > self.within_s:
                return seen
            await asyncio.sleep(PAUSE_S)

    async def _until_open(self, shut: list[Path]) -> list[Path]:
        """Those of the paths that do not connect again in time."""
        now = asyncio.get_running_loop().time
        end = now() + self.within_s
        while shut:
            answers = await self.knocker.ask(shut)
            shut = [path for path in shut if answers[path].outcome is not Outcome.CONNECTED]
            if now() > end:
                break
            await asyncio.sleep(PAUSE_S if shut else 0)
        return shut


@dataclass(slots=True)
class _Seen:
    """Rounds under the policy. `shut`: rounds on end; `since`: when they began, in seconds."""

    shut: Counter[Path] = field(default_factory=Counter)
    since: dict[Path, float] = field(default_factory=dict)
    last: dict[Path, Verdict] = field(default_factory=dict)
    reasons: dict[Path, str] = field(default_factory=dict)
    settled: set[Path] = field(default_factory=set)
    collateral: list[Path] = field(default_factory=list)

    def take(
        self,
        proven: Sequence[Path],
        kept: Sequence[Path],
        answers: Mapping[Path, Answer],
        round_s: float,
    ) -> None:
        live = {(p.to, p.target) for p, a in answers.items() if p.source == p.to and _connected(a)}
        for path in kept:
            self.shut[path] = 0 if answers[path].outcome in NOT_SHUT else self.shut[path] + 1
        self.collateral = [path for path in kept if self.shut[path] >= ROUNDS]
        for path in proven:
            listener = "self" if (path.to, path.target) in live else None
            verdict, reason = judge.judge(answers[path].outcome, Control(listener, "baseline"))
            self.last[path] = verdict
            if verdict is Verdict.DENY:
                self.shut[path] += 1
                self.since.setdefault(path, round_s)
            else:
                self.shut[path] = 0
                self.since.pop(path, None)
            if reason is not None and verdict is Verdict.UNKNOWN:
                self.reasons[path] = f"{reason} {answers[path].text}".strip()
        self.settled = {path for path in proven if self.shut[path] >= ROUNDS}


def _connected(answer: Answer) -> bool:
    return answer.outcome is Outcome.CONNECTED
