"""One run of the cases on the cluster of a command; however it ends, its finished cases are kept."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from netprobe.conformance.case import Case
from netprobe.conformance.result import CaseResult, CaseStatus, Results
from netprobe.conformance.runner import Runner
from netprobe.run.cluster import Progress, RunOptions, open_cluster
from netprobe.run.record import ClusterInfo, RunInfo

LAB_FIXTURES = 8
CLUSTER_FIXTURES = 4


@dataclass(slots=True)
class ConformanceRun:
    """The cases to run, and where. `fixtures`: how many cases run at once, None for the default."""

    cases: Sequence[Case]
    options: RunOptions
    fixtures: int | None = None
    full: bool = False
    shard: tuple[int, int] | None = None
    cluster: ClusterInfo = field(default_factory=ClusterInfo, init=False)
    _started: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC), init=False)
    _runner: Runner | None = field(default=None, init=False)

    @property
    def info(self) -> RunInfo:
        """The run until now."""
        return RunInfo.since(self._started, self._runner.run if self._runner else None)

    async def results(self, progress: Progress, on_result: Callable[[CaseResult], None]) -> Results:
        """Run the cases and remove everything that was created.

        After a cancellation, the results of the finished cases. NetprobeError if the cluster cannot be used
        or is lost: `finished` has the results until then.
        """
        self._started = dt.datetime.now(dt.UTC)
        try:
            async with open_cluster(self.options, progress) as opened:
                self.cluster = opened.info
                self._runner = Runner(
                    opened.api,
                    self.cases,
                    fixtures=self.fixtures or (LAB_FIXTURES if opened.is_lab else CLUSTER_FIXTURES),
                    full=self.full,
                    lab=opened.is_lab,
                    disposable=self.options.target.is_ephemeral_lab,
                    profile=self.options.profile,
                    options=self.options.pods,
                    deadlines=self.options.deadlines,
                    pace=opened.pace(self.options.pace),
                    progress=progress,
                    on_result=on_result,
                )
                results = await self._runner.results()
        except asyncio.CancelledError as error:  # by a signal, and everything is removed
            return self.finished(error, interrupted=True)
        return replace(results, shard=self.shard)

    def finished(
        self, error: BaseException, *, interrupted: bool = False, problems: Sequence[str] = ()
    ) -> Results:
        """The cases that finished before `error` ended the run. Raises `error` if there are none."""
        runner = self._runner
        if runner is None or not runner.tried:
            raise error
        ended = "interrupted" if interrupted else "the run ended early"
        results = runner.so_far(ended)
        problems = [*problems, *getattr(error, "__notes__", ())]  # notes: what could not be removed
        if results.counts[CaseStatus.UNTRIED] or interrupted:
            problems.insert(0, f"{ended}: {runner.tried} of {len(runner.cases)} cases were tried")
        return replace(results, problems=tuple(problems), interrupted=interrupted, shard=self.shard)
