"""One round: every batch in its pod, at bounded concurrency, with a deadline; nothing is judged here."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from netprobe.errors import ClusterError, NetprobeError, NotFoundError
from netprobe.model.observation import Outcome
from netprobe.probe import netcat
from netprobe.probe.api import ClusterAPI
from netprobe.probe.netcat import Answer, Target
from netprobe.probe.pace import Pace
from netprobe.probe.plan import Batch, Station

Answers = Mapping[tuple[Station, Target], Answer]


@dataclass(slots=True)
class Prodder:
    """Runs batches. `execs` counts the commands that were started, `lost` the pods that are gone."""

    cluster: ClusterAPI
    pace: Pace
    execs: int = 0
    lost: set[Station] = field(default_factory=set)
    _all: asyncio.Semaphore = field(init=False)
    _nodes: defaultdict[str | None, asyncio.Semaphore] = field(init=False)

    def __post_init__(self) -> None:
        self._all = asyncio.Semaphore(self.pace.execs)
        self._nodes = defaultdict(lambda: asyncio.Semaphore(self.pace.execs_per_node))

    async def run(self, batches: Iterable[Batch]) -> Answers:
        """Try all targets of all batches once. Every target has an answer: EXEC_FAILED where none came."""
        results = await asyncio.gather(*(self._batch(batch) for batch in batches))
        return {key: answer for result in results for key, answer in result.items()}

    async def _batch(self, batch: Batch) -> Answers:
        reader = netcat.Reader(batch.targets)
        trouble = ""
        async with self._nodes[batch.source.node], self._all:
            deadline_s = self.pace.exec_s(len(batch.targets))
            try:
                async with asyncio.timeout(deadline_s):
                    trouble = await self._exec(batch, reader)
            except TimeoutError:
                trouble = f"no end after {deadline_s:g} s"
            except NotFoundError as e:
                self.lost.add(batch.source)
                trouble = str(e)
            except NetprobeError as e:
                trouble = str(e)
        answers = reader.reply().answers
        missing = Answer(Outcome.EXEC_FAILED, None, trouble or "the probe ended without an answer")
        return {
            (batch.source, target): answers.get(index, missing) for index, target in enumerate(batch.targets)
        }

    async def _exec(self, batch: Batch, reader: netcat.Reader) -> str:
        """Run one command; what went wrong, "" where its sentinel arrived."""
        where = batch.source.namespace, batch.source.pod, batch.source.container
        command = netcat.command(wait_s=self.pace.wait_s, workers=self.pace.workers)
        async with AsyncExitStack() as stack:
            for attempt in range(1, self.pace.retries + 1):
                try:
                    execution = await stack.enter_async_context(self.cluster.exec(*where, command))
                    break
                except NotFoundError:
                    raise
                except ClusterError:  # nothing was started, so it may be tried again
                    if attempt == self.pace.retries:
                        raise
                    await asyncio.sleep(self.pace.retry_s)
            self.execs += 1
            await execution.send(netcat.stdin(batch.targets))
            async for line in execution.lines():
                if reader.feed(line):
                    return ""
            end = execution.finished
            said = " ".join((execution.stderr or (end.reason if end else "")).split())[:300]
            return f"the exec ended early: {said or 'no reason is known'}"
