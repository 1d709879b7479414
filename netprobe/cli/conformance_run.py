"""One run of the conformance suite, from cases to a report that is written."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from netprobe.cli.conformance_progress import progress
from netprobe.cli.emit import write
from netprobe.cli.main import say
from netprobe.cli.options import ReportFile
from netprobe.cli.progress import run_async
from netprobe.conformance import history
from netprobe.conformance.case import Case
from netprobe.conformance.expected_failures import ExpectedFailure, triage
from netprobe.conformance.history import PastRun
from netprobe.conformance.result import CaseStatus, Results
from netprobe.conformance.runner import Runner
from netprobe.errors import NetprobeError, UsageError
from netprobe.report import save
from netprobe.report.conformance import CONFORMANCE_FORMATS, Conformance
from netprobe.run.cluster import open_cluster
from netprobe.run.options import RunOptions
from netprobe.run.record import ClusterInfo, RunInfo

LEFT_BEHIND = "the cleanup was not waited for: `netprobe clean` removes what is left"


@dataclass(frozen=True, slots=True)
class Baseline:
    """What is known beside a run: failures that are expected, runs whose failures are no news, past runs.

    `history`: where the run is kept. All is read before the run, so that no mistake in it costs a night.
    """

    known: Sequence[ExpectedFailure] = ()
    baseline: Sequence[PastRun] = ()
    history: Path | None = None
    past: Sequence[PastRun] = ()

    @classmethod
    def opened(cls, known: Sequence[ExpectedFailure], baseline: str | None, folder: str | None) -> Baseline:
        """InputError where a file is none; UsageError where the folder cannot be written to."""
        kept = Path(folder) if folder is not None else None
        past: tuple[PastRun, ...] = ()
        if kept is not None:
            writable(kept, "--history")
            past = history.runs(kept) if any(kept.glob("*.json")) else ()  # none in the first night
        if baseline is None:
            return cls(known, (), kept, past)
        same = kept is not None and Path(baseline).resolve() == kept.resolve()
        return cls(known, past if same else history.baseline(Path(baseline)), kept, past)

    def enter(self, results: Results, info: ClusterInfo, run: RunInfo) -> Conformance:
        """Judge the results by it, and keep the run in the history.

        A run that is there already, since its parts are joined once more, is triage as it was before.
        """
        past = tuple(one for one in self.past if one.run != run.id)
        baseline = past if self.baseline is self.past else self.baseline
        results = triage(results, self.known, run.started.date())
        if baseline:
            results = history.against(results, baseline)
        now = history.past(
            results,
            started=run.started,
            cluster=str(info),
            seconds=run.duration_s,
            netprobe=run.netprobe,
            run=run.id or "",
        )
        if self.history is not None:
            try:
                history.save(self.history, now)
            except NetprobeError as error:  # what was found is told all the same
                results = replace(results, problems=(*results.problems, str(error)))
        before = baseline or past
        changes = history.changes(before, now) if before else None
        return Conformance(results, info, run, changes, past)


@dataclass(slots=True)
class ConformanceRun:
    """What is to be tried, and where."""

    cases: Sequence[Case]
    terms: RunOptions
    fixtures: int | None
    full: bool
    shard: tuple[int, int] | None = None
    _started: dt.datetime = field(init=False)
    _suite: Runner | None = field(default=None, init=False)
    _info: ClusterInfo = field(default_factory=ClusterInfo, init=False)

    def found(self) -> tuple[Results, ClusterInfo, RunInfo]:
        """Try the cases; nothing is left on the cluster.

        What ends the run early, a signal or a cluster that is lost, ends it with what was found by then.
        Where that is nothing it is raised: KeyboardInterrupt, or a NetprobeError.
        """
        self._started = dt.datetime.now(dt.UTC)
        try:
            results = run_async(self._tried())
        except KeyboardInterrupt as error:
            left = "" if self.terms.target.is_ephemeral_lab else LEFT_BEHIND
            results = self._half(error, interrupted=True, problems=filter(None, (left,)))
        except NetprobeError as error:
            results = self._half(error, problems=(str(error),))
        if results.interrupted or results.counts[CaseStatus.UNTRIED]:
            for line in results.problems:
                say(line)
        run = self._suite.run if self._suite else None
        return replace(results, shard=self.shard), self._info, RunInfo.since(self._started, run)

    async def _tried(self) -> Results:
        with progress(len(self.cases)) as (narrate, told):
            try:
                async with open_cluster(self.terms, narrate) as there:
                    self._info = there.info
                    self._suite = Runner(
                        there.api,
                        self.cases,
                        fixtures=self.fixtures or (8 if there.is_lab else 4),
                        full=self.full,
                        lab=there.is_lab,
                        disposable=self.terms.target.is_ephemeral_lab,
                        profile=self.terms.profile,
                        options=self.terms.pods,
                        deadlines=self.terms.deadlines,
                        pace=there.pace(self.terms.pace),
                        progress=narrate,
                        on_result=told,
                    )
                    return await self._suite.results()
            except asyncio.CancelledError as error:  # by a signal, and all is cleaned up
                return self._half(error, interrupted=True)

    def _half(
        self, error: BaseException, *, interrupted: bool = False, problems: Iterable[str] = ()
    ) -> Results:
        """What was found when `error` ended the run, and why it ended; raises it where that is nothing."""
        suite = self._suite
        if suite is None or not suite.tried:
            raise error
        ended = "interrupted" if interrupted else "the run ended early"
        results = suite.so_far(ended)
        told = [*problems, *getattr(error, "__notes__", ())]  # notes: what could not be removed
        if results.counts[CaseStatus.UNTRIED] or interrupted:
            told.insert(0, f"{ended}: {suite.tried} of {len(suite.cases)} cases were tried")
        return replace(results, problems=tuple(told), interrupted=interrupted)


def joined(paths: Sequence[Path], cases: Sequence[Case]) -> tuple[Results, ClusterInfo, RunInfo]:
    """What several runs found, as one. InputError where they cannot be joined."""
    from netprobe.conformance.shard import join

    found = join(paths, cases)
    run = RunInfo(found.started, found.finished, found.id, found.netprobe)
    return found.results, ClusterInfo(**found.cluster), run


def writable(folder: Path, option: str) -> None:
    """Make a folder that is asked for. UsageError where nothing can be written to it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{option}: {folder} cannot be made: {error.strerror}") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(f"{option}: {folder} cannot be written to")


RESULTS = {"report.html": "html", "report.json": "json", "report.md": "markdown", "junit.xml": "junit"}
DONE = "done"


def written(found: Conformance, folder: str | None) -> None:
    """Write every form of the report into a folder, and `done` with the folder's path at the end.

    Sonobuoy waits for such a file, and takes along what it names. NetprobeError where it cannot be written.
    """
    if folder is None:
        return
    for name, format_ in RESULTS.items():
        save(Path(folder, name), CONFORMANCE_FORMATS.render(found, format_))
    save(Path(folder, DONE), [str(Path(folder).resolve())])


def emit(found: Conformance, output: str, reports: Sequence[ReportFile]) -> int:
    """Write a report to standard output and to files; its exit status. NetprobeError where it cannot."""
    write(CONFORMANCE_FORMATS.of(found), output, reports)
    return found.exit_status
