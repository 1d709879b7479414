"""A shell in a pod that tries targets for as long as it lives; nothing is judged here.

Targets go in and answers come out in any order, so a round costs no exec, slow targets delay no others, and
rounds may overlap. Whatever ends the exec, each target without an answer is EXEC_FAILED.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from netprobe.errors import ClusterError
from netprobe.model.flow import Protocol
from netprobe.model.observation import Outcome
from netprobe.probe import netcat
from netprobe.probe.api import Executes, Execution
from netprobe.probe.netcat import Answer, Target
from netprobe.probe.pace import Pace
from netprobe.probe.plan import Batch, Station

SILENT_COMMANDS: Final = 2
"""A pod in which this many commands printed nothing until their deadline is not probed again in this run."""

PODS: Final = 24
"""Pods probed at once, on all nodes together."""

Answers = Mapping[tuple[Station, Target], Answer]


class Starts:
    """Limits how many tries a node starts at once. A try counts until it is answered, or for `hold_s`.

    A node whose processors are all busy starting nc leaves its listeners no time to accept, and their short
    backlogs overflow. `hold_s` follows the time that answers take: milliseconds on a quiet node, up to
    `most_s` on a busy one, so that tries without an answer delay the others no longer than needed.
    """

    def __init__(self, count: int, most_s: float) -> None:
        self.slots = asyncio.Semaphore(count)
        self._most_s = most_s
        self._usual_s = most_s / 2

    @property
    def hold_s(self) -> float:
        return min(self._most_s, max(0.01, 2 * self._usual_s))

    def learn(self, elapsed_s: float) -> None:
        """Take an answer into account (an exponential average over about ten)."""
        self._usual_s += (elapsed_s - self._usual_s) / 10


class Session:
    """One command in one pod. Use `opened`."""

    def __init__(self, execution: Execution, pace: Pace, starts: Starts) -> None:
        self._execution = execution
        self._starts = starts
        self._pace = pace
        self._window = asyncio.Semaphore(pace.method.window)
        self._waiting: dict[int, tuple[Target, float, asyncio.Future[Answer]]] = {}
        self._count = 0
        self._unsent: list[str] = []
        self._flush: asyncio.Task[None] | None = None
        self._fine_clock = False
        self.begun = False  # the command has printed its first line
        self.failure: str | None = None
        """Why it answers no more; None while it lives."""

    @classmethod
    @asynccontextmanager
    async def opened(
        cls, cluster: Executes, station: Station, pace: Pace, starts: Starts
    ) -> AsyncIterator[Session]:
        """Start the command; ClusterError if it was not started."""
        async with AsyncExitStack() as stack:
            command = netcat.command(pace)
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

    async def try_all(self, targets: Iterable[Target], on_answer: Callable[[Target, Answer], None]) -> None:
        """Try each target and pass each answer on as it comes; a failure in the pod is an answer too."""
        if self._pace.method.bulk:
            waiting = tuple(targets)
            for at in range(0, len(waiting), self._pace.method.window):
                await self._try_bulk(waiting[at : at + self._pace.method.window], on_answer)
            return

        async def one(target: Target) -> None:
            on_answer(target, await self.try_once(target))

        await asyncio.gather(*map(one, targets))
        self.reap()

    def reap(self) -> None:
        """Let the shell wait for the processes that it started, unless some still run."""
        if not self._waiting:
            self._write(netcat.REAP)

    async def _try_bulk(self, targets: Iterable[Target], on_answer: Callable[[Target, Answer], None]) -> None:
        answers = [(target, self._put(target)) for target in targets]
        self._write(netcat.REAP)
        for target, answer in answers:
            on_answer(target, await answer)

    async def try_once(self, target: Target) -> Answer:
        """Try a target, with a second try if the method has one."""
        async with self._window:
            async with self._starts.slots:
                begun = asyncio.get_running_loop().time()
                first = self._put(target)
                await asyncio.wait({first}, timeout=self._starts.hold_s)
                if first.done() and first.result().outcome is Outcome.CONNECTED:
                    self._starts.learn(asyncio.get_running_loop().time() - begun)
            second_try_s = self._pace.second_try_s
            if second_try_s is None or target.protocol is not Protocol.TCP:  # datagrams are resent in the pod
                return await first
            done, _ = await asyncio.wait({first}, timeout=second_try_s)
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
        if self.failure is not None:
            future.set_result(Answer(Outcome.EXEC_FAILED, None, self.failure))
            return future
        self._count += 1
        self._waiting[self._count] = target, loop.time(), future
        self._write(netcat.line(self._count, target))
        return future

    def _write(self, line: str) -> None:
        """Lines written in one turn of the event loop travel in one message."""
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
                    case netcat.FirstLine(_, fine_clock):
                        self.begun, self._fine_clock = True, fine_clock
                    case netcat.AnswerLine() as result if result.id in self._waiting:
                        target, tried_s, future = self._waiting.pop(result.id)
                        fine = self._fine_clock
                        answer = netcat.answer(target.protocol, result, fine_clock=fine, tried_s=tried_s)
                        if not future.done():  # cancelled meanwhile
                            future.set_result(answer)
        except ClusterError as e:
            self._fail(str(e))
        end = self._execution.finished
        reason = " ".join((self._execution.stderr or (end.reason if end else "")).split())[:300]
        self._fail(f"the exec ended early: {reason or 'no reason is known'}")

    def _fail(self, failure: str) -> None:
        self.failure = self.failure or failure
        for _, _, future in self._waiting.values():
            if not future.done():
                future.set_result(Answer(Outcome.EXEC_FAILED, None, self.failure))
        self._waiting.clear()


@dataclass(slots=True)
class Sessions:
    """Runs batches at bounded concurrency, in sessions that are kept if there are not too many.

    `on_answer` is called for each answer as it comes. `execs` counts the commands that were started.
    """

    cluster: Executes
    pace: Pace
    keep: bool = True
    on_answer: Callable[[], None] = lambda: None
    execs: int = 0
    _silent: Counter[Station] = field(default_factory=Counter)
    _open: dict[Station, tuple[Session, AsyncExitStack]] = field(default_factory=dict)
    _locks: defaultdict[Station, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))
    _all: asyncio.Semaphore = field(init=False)
    _nodes: defaultdict[str | None, asyncio.Semaphore] = field(init=False)
    _starts: defaultdict[str | None, Starts] = field(init=False)

    def __post_init__(self) -> None:
        self._all = asyncio.Semaphore(PODS)
        self._nodes = defaultdict(lambda: asyncio.Semaphore(self.pace.method.pods_per_node))
        self._starts = defaultdict(
            lambda: Starts(self.pace.method.starts_per_node, self.pace.method.start_hold_s)
        )

    async def run(self, batches: Iterable[Batch]) -> Answers:
        """Try all targets of all batches once. Every target has an answer: EXEC_FAILED if none came."""
        work = tuple(batches)
        results = await asyncio.gather(*map(self._batch, work))
        return {
            (batch.source, target): answer
            for batch, answers in zip(work, results, strict=True)
            for target, answer in answers.items()
        }

    async def try_once(self, station: Station, target: Target) -> Answer:
        """Try one target in a kept session, which other tries may share."""
        try:
            async with self._session(station) as session:
                session.reap()
                return await session.try_once(target)
        except ClusterError as e:
            return Answer(Outcome.EXEC_FAILED, None, str(e))

    async def close(self) -> None:
        stacks = [stack for _, stack in self._open.values()]
        self._open.clear()
        await asyncio.gather(*(stack.aclose() for stack in stacks), return_exceptions=True)

    async def _batch(self, batch: Batch) -> Mapping[Target, Answer]:
        """Answers as they come; when no more come, the missing ones have failed."""
        loop, quiet_s = asyncio.get_running_loop(), self.pace.quiet_s
        failure = f"its commands start but print nothing within {quiet_s:g} s"
        answers: dict[Target, Answer] = {}
        async with self._nodes[batch.source.node], self._all:
            if self._silent[batch.source] >= SILENT_COMMANDS:
                return self._filled(batch, answers, failure)
            session = None
            try:
                async with asyncio.timeout(quiet_s) as clock, self._session(batch.source) as session:

                    def on_answer(target: Target, answer: Answer, clock: asyncio.Timeout = clock) -> None:
                        answers[target] = answer
                        if not clock.expired():
                            clock.reschedule(loop.time() + quiet_s)
                        self.on_answer()

                    await session.try_all(batch.targets, on_answer)
            except TimeoutError:
                await self._drop(batch.source)
                if session is None or not session.begun:
                    self._silent[batch.source] += 1
                else:
                    failure = f"no further answer within {quiet_s:g} s"
            except ClusterError as e:
                failure = str(e)
        return self._filled(batch, answers, failure)

    @staticmethod
    def _filled(batch: Batch, answers: Mapping[Target, Answer], failure: str) -> Mapping[Target, Answer]:
        failed = Answer(Outcome.EXEC_FAILED, None, failure)
        return {target: answers.get(target, failed) for target in batch.targets}

    @asynccontextmanager
    async def _session(self, station: Station) -> AsyncIterator[Session]:
        async with AsyncExitStack() as stack:
            if not self.keep:
                yield await self._start(station, stack)
                return
            async with self._locks[station]:
                session, _ = self._open.get(station, (None, None))
                if session is None or session.failure is not None:
                    await self._drop(station)
                    session = await self._start(station, stack)
                    self._open[station] = session, stack.pop_all()
            yield session

    async def _start(self, station: Station, stack: AsyncExitStack) -> Session:
        starts = self._starts[station.node]
        session = await stack.enter_async_context(Session.opened(self.cluster, station, self.pace, starts))
        self.execs += 1
        return session

    async def _drop(self, station: Station) -> None:
        _, stack = self._open.pop(station, (None, None))
        if stack is not None:
            await stack.aclose()
