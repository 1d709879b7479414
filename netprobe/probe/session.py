"""A shell in a pod that answers targets for as long as it lives; nothing is judged here.

Targets go in and answers come out as they come, so that a round costs no exec, slow targets hold up no
others, and rounds may overlap. Whatever ends the exec, each target that has no answer by then is EXEC_FAILED.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from netprobe.errors import ClusterError, NotFoundError
from netprobe.model.flow import Protocol
from netprobe.model.observation import Outcome
from netprobe.probe import netcat
from netprobe.probe.api import ClusterAPI, Execution
from netprobe.probe.netcat import Answer, Target
from netprobe.probe.pace import Pace
from netprobe.probe.plan import Batch, Station

MUTE: Final = 2
"""A pod in which so many commands came to their deadline without a word is not asked again in this run."""

Answers = Mapping[tuple[Station, Target], Answer]


class Starts:
    """How many tries a node starts at once: a try counts as started when it is answered, or after a while.

    A node whose processors are all busy starting nc leaves its listeners no time to accept, and their short
    backlogs overflow. The while follows what answers take: some milliseconds on a quiet node, up to `most_s`
    on a busy one, so that tries which nobody will answer hold up the others no longer than needed.
    """

    def __init__(self, count: int, most_s: float) -> None:
        self.slots = asyncio.Semaphore(count)
        self._most_s = most_s
        self._usual_s = most_s / 2

    @property
    def hold_s(self) -> float:
        return min(self._most_s, max(0.01, 2 * self._usual_s))

    def took(self, elapsed_s: float) -> None:
        """Learn from an answer (an exponential average over about ten)."""
        self._usual_s += (elapsed_s - self._usual_s) / 10


class Session:
    """One command in one pod. Use `opened`."""

    def __init__(self, execution: Execution, pace: Pace, starts: Starts) -> None:
        self._execution = execution
        self._starts = starts
        self._pace = pace
        self._window = asyncio.Semaphore(pace.window)
        self._waiting: dict[int, tuple[Target, float, asyncio.Future[Answer]]] = {}
        self._count = 0
        self._unsent: list[str] = []
        self._flush: asyncio.Task[None] | None = None
        self._fine_clock = False
        self.begun = False  # the command has said that it reads
        self.trouble: str | None = None
        """Why it answers no more; None while it lives."""

    @classmethod
    @asynccontextmanager
    async def opened(
        cls, cluster: ClusterAPI, station: Station, pace: Pace, starts: Starts
    ) -> AsyncIterator[Session]:
        """Start the command; ClusterError where it was not started. `starts`: see Pace."""
        async with AsyncExitStack() as stack:
            command = netcat.command(
                wait_s=pace.wait_s, timed=pace.timed, repeated=pace.repeated, bulk=pace.bulk
            )
            where = station.namespace, station.pod, station.container
            session = cls(await stack.enter_async_context(cluster.exec(*where, command)), pace, starts)
            reader = asyncio.create_task(
                session._read(), name=f"answers of {station.namespace}/{station.pod}"
            )
            try:
                yield session
            finally:
                session._fail("the probe was closed")
                tasks = [task for task in (reader, session._flush) if task is not None]
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def ask(self, targets: Iterable[Target], heard: Callable[[Target, Answer], None]) -> None:
        """Try each target and tell `heard` each answer; what goes wrong in the pod is one too."""
        if self._pace.bulk:
            waiting = tuple(targets)
            for at in range(0, len(waiting), self._pace.window):
                await self._together(waiting[at : at + self._pace.window], heard)
            return

        async def one(target: Target) -> None:
            heard(target, await self._try(target))

        await asyncio.gather(*map(one, targets))
        if not self._waiting:
            self._write(netcat.REAP)

    async def _together(self, targets: Iterable[Target], heard: Callable[[Target, Answer], None]) -> None:
        answers = [(target, self._put(target)) for target in targets]
        self._write(netcat.REAP)
        for target, answer in answers:
            heard(target, await answer)

    async def _try(self, target: Target) -> Answer:
        async with self._window:
            async with self._starts.slots:
                begun = asyncio.get_running_loop().time()
                first = self._put(target)
                await asyncio.wait({first}, timeout=self._starts.hold_s)
                if first.done() and first.result().outcome is Outcome.CONNECTED:
                    self._starts.took(asyncio.get_running_loop().time() - begun)
            hedge_s = self._pace.hedge_s
            if hedge_s is None or target.protocol is not Protocol.TCP:  # UDP asks again by itself
                return await first
            done, _ = await asyncio.wait({first}, timeout=hedge_s)
            if done:
                return first.result()
            pending = {first, self._put(target)}
            while pending:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                answer = done.pop().result()
                if answer.outcome is Outcome.CONNECTED:
                    break
            return answer

    def _put(self, target: Target) -> asyncio.Future[Answer]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        if self.trouble is not None:
            future.set_result(Answer(Outcome.EXEC_FAILED, None, self.trouble))
            return future
        self._count += 1
        self._waiting[self._count] = target, loop.time(), future
        self._write(netcat.line(self._count, target))
        return future

    def _write(self, line: str) -> None:
        """Lines that are written in one turn of the loop travel in one message."""
        self._unsent.append(line)
        if self._flush is None or self._flush.done():
            self._flush = asyncio.create_task(self._send())

    async def _send(self) -> None:
        try:
            while self._unsent:
                text, self._unsent = "".join(self._unsent), []
                await self._execution.send(text)
        except ClusterError as e:
            self._fail(str(e))

    async def _read(self) -> None:
        try:
            async for line in self._execution.lines():
                match netcat.read(line):
                    case netcat.Begin(_, fine_clock):
                        self.begun, self._fine_clock = True, fine_clock
                    case netcat.Said() as said if said.id in self._waiting:
                        target, asked_s, future = self._waiting.pop(said.id)
                        fine = self._fine_clock
                        answer = netcat.answer(target.protocol, said, fine_clock=fine, asked_s=asked_s)
                        future.set_result(answer)
        except ClusterError as e:
            self._fail(str(e))
        end = self._execution.finished
        said_last = " ".join((self._execution.stderr or (end.reason if end else "")).split())[:300]
        self._fail(f"the exec ended early: {said_last or 'no reason is known'}")

    def _fail(self, trouble: str) -> None:
        self.trouble = self.trouble or trouble
        for _, _, future in self._waiting.values():
            if not future.done():
                future.set_result(Answer(Outcome.EXEC_FAILED, None, self.trouble))
        self._waiting.clear()


@dataclass(slots=True)
class Sessions:
    """Runs batches at bounded concurrency, in sessions that are kept where there are not too many.

    `heard` is called for each answer as it comes. `execs` counts the commands that were started.
    """

    cluster: ClusterAPI
    pace: Pace
    keep: bool = True
    heard: Callable[[], None] = lambda: None
    execs: int = 0
    _mute: Counter[Station] = field(default_factory=Counter)
    _open: dict[Station, tuple[Session, AsyncExitStack]] = field(default_factory=dict)
    _locks: defaultdict[Station, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))
    _all: asyncio.Semaphore = field(init=False)
    _nodes: defaultdict[str | None, asyncio.Semaphore] = field(init=False)
    _starts: defaultdict[str | None, Starts] = field(init=False)

    def __post_init__(self) -> None:
        self._all = asyncio.Semaphore(self.pace.execs)
        self._nodes = defaultdict(lambda: asyncio.Semaphore(self.pace.execs_per_node))
        self._starts = defaultdict(lambda: Starts(self.pace.starts_per_node, self.pace.start_hold_s))

    async def run(self, batches: Iterable[Batch]) -> Answers:
        """Try all targets of all batches once. Every target has an answer: EXEC_FAILED where none came."""
        work = tuple(batches)
        results = await asyncio.gather(*map(self._batch, work))
        return {
            (batch.source, target): answer
            for batch, answers in zip(work, results, strict=True)
            for target, answer in answers.items()
        }

    async def close(self) -> None:
        stacks = [stack for _, stack in self._open.values()]
        self._open.clear()
        await asyncio.gather(*(stack.aclose() for stack in stacks), return_exceptions=True)

    async def _batch(self, batch: Batch) -> Mapping[Target, Answer]:
        """Answers as they come; when nothing comes any more, what is missing has failed."""
        loop, quiet_s = asyncio.get_running_loop(), self.pace.quiet_s
        trouble = f"its commands start, and nothing is heard of them within {quiet_s:g} s"
        answers: dict[Target, Answer] = {}
        async with self._nodes[batch.source.node], self._all:
            if self._mute[batch.source] >= MUTE:
                return self._filled(batch, answers, trouble)
            session = None
            try:
                async with asyncio.timeout(quiet_s) as clock, self._session(batch.source) as session:

                    def heard(target: Target, answer: Answer, clock: asyncio.Timeout = clock) -> None:
                        answers[target] = answer
                        if not clock.expired():
                            clock.reschedule(loop.time() + quiet_s)
                        self.heard()

                    await session.ask(batch.targets, heard)
            except TimeoutError:
                await self._drop(batch.source)
                if session is None or not session.begun:
                    self._mute[batch.source] += 1
                else:
                    trouble = f"no further answer within {quiet_s:g} s"
            except ClusterError as e:
                trouble = str(e)
        return self._filled(batch, answers, trouble)

    @staticmethod
    def _filled(batch: Batch, answers: Mapping[Target, Answer], trouble: str) -> Mapping[Target, Answer]:
        failed = Answer(Outcome.EXEC_FAILED, None, trouble)
        return {target: answers.get(target, failed) for target in batch.targets}

    @asynccontextmanager
    async def _session(self, station: Station) -> AsyncIterator[Session]:
        async with AsyncExitStack() as stack:
            if not self.keep:
                yield await self._start(station, stack)
                return
            async with self._locks[station]:
                session, _ = self._open.get(station, (None, None))
                if session is None or session.trouble is not None:
                    await self._drop(station)
                    session = await self._start(station, stack)
                    self._open[station] = session, stack.pop_all()
            yield session

    async def _start(self, station: Station, stack: AsyncExitStack) -> Session:
        """Open a session; tried again where nothing was started, except where the pod is gone."""
        for attempt in range(self.pace.retries):
            if attempt:
                await asyncio.sleep(self.pace.retry_s)
            try:
                starts = self._starts[station.node]
                opening = Session.opened(self.cluster, station, self.pace, starts)
                session = await stack.enter_async_context(opening)
            except NotFoundError:
                raise
            except ClusterError as e:
                failure = e
            else:
                self.execs += 1
                return session
        raise failure

    async def _drop(self, station: Station) -> None:
        _, stack = self._open.pop(station, (None, None))
        if stack is not None:
            await stack.aclose()
