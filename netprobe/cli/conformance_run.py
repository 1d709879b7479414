"""One run of the conformance suite, from cases to a report that is written."""

from __future__ import annotations

import datetime as dt
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from netprobe.campaign.target import Narrate
from netprobe.campaign.terms import Terms
from netprobe.cli.options import ReportFile
from netprobe.conformance import history
from netprobe.conformance.case import Case
from netprobe.conformance.history import Past
from netprobe.conformance.known import Known, judged
from netprobe.conformance.record import Result, Results, Status
from netprobe.conformance.runner import Suite
from netprobe.errors import NetprobeError
from netprobe.report import ClusterInfo, RunInfo, Style, save
from netprobe.report.conformance import Conformance, render_conformance


@dataclass(frozen=True, slots=True)
class Ledger:
    """What is known beside a run: failures that are expected, a run whose failures are no news, past runs."""

    known: Sequence[Known] = ()
    baseline: Past | None = None
    history: Path | None = None

    def enter(self, results: Results, info: ClusterInfo, run: RunInfo) -> Conformance:
        """Judge the results by it, and keep the run in the history. NetprobeError where that cannot be."""
        before = _runs(self.history)
        results = judged(results, self.known, run.started.date())
        if self.baseline is not None:
            results = history.against(results, self.baseline)
        now = history.past(
            results,
            started=run.started,
            cluster=str(info),
            seconds=run.duration_s,
            netprobe=run.netprobe,
            run=run.id or "",
        )
        if self.history is not None:
            history.save(self.history, now)
        compared = self.baseline or (before[-1] if before else None)
        changes = history.changes(compared, now) if compared is not None else None
        return Conformance(results, info, run, changes, before)


@dataclass(frozen=True, slots=True)
class Night:
    """What is to be tried, and where."""

    cases: Sequence[Case]
    terms: Terms
    fixtures: int | None
    full: bool
    shard: tuple[int, int] | None = None

    async def run(self) -> tuple[Results, ClusterInfo, RunInfo]:
        """Try the cases. NetprobeError where that cannot be; nothing is left on the cluster."""
        started = dt.datetime.now(dt.UTC)
        with _progress(len(self.cases)) as (narrate, told):
            async with self.terms.opened(narrate) as there:
                suite = Suite(
                    there.cluster,
                    self.cases,
                    fixtures=self.fixtures or (8 if there.is_lab else 4),
                    full=self.full,
                    lab=there.is_lab,
                    disposable=self.terms.target.is_ephemeral_lab,
                    profile=self.terms.profile,
                    options=self.terms.pods,
                    deadlines=self.terms.deadlines,
                    pace=self.terms.pace_on(there),
                    progress=narrate,
                    told=told,
                )
                results = await suite.results()
                info = there.info
        return replace(results, shard=self.shard), info, RunInfo.since(started, suite.run)


def joined(paths: Sequence[Path], cases: Sequence[Case]) -> tuple[Results, ClusterInfo, RunInfo]:
    """What several runs found, as one. InputError where they cannot be joined."""
    from netprobe.conformance.part import join

    found = join(paths, cases)
    run = RunInfo(found.started, found.finished, found.id, found.netprobe)
    return found.results, ClusterInfo(**found.cluster), run


def _runs(folder: Path | None) -> tuple[Past, ...]:
    """The runs before this one, the oldest first; none where the folder is new."""
    if folder is None or not folder.is_dir() or not any(folder.glob("*.json")):
        return ()
    return history.runs(folder)


def baseline_of(path: str | None, folder: str | None) -> Past | None:
    """The run that --baseline names. InputError where there is none, but in the first night of a history."""
    if path is None or (path == folder and not _runs(Path(path))):
        return None
    return history.latest(Path(path))


RESULTS = {"report.html": "html", "report.json": "json", "report.md": "markdown", "junit.xml": "junit"}
DONE = "done"


def written(found: Conformance, folder: str | None) -> None:
    """Write every form of the report into a folder, and `done` with the path of the JUnit file at the end.

    Sonobuoy waits for such a file in its results folder. NetprobeError where it cannot be written.
    """
    if folder is None:
        return
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        for name, format_ in RESULTS.items():
            save(Path(folder, name), render_conformance(found, format_))
        save(Path(folder, DONE), [str(Path(folder, "junit.xml").resolve())])
    except OSError as error:
        raise NetprobeError(f"cannot write results to {folder}: {error.strerror}") from error


def emit(found: Conformance, output: str, reports: Sequence[ReportFile]) -> int:
    """Write a report to standard output and to files; its exit status. NetprobeError where it cannot."""
    style = Style.of(sys.stdout, os.environ)
    for one in reports:
        if one.path is None:
            continue
        try:
            save(one.path, render_conformance(found, one.format))
        except OSError as error:
            raise NetprobeError(f"cannot write {one.path}: {error.strerror}") from error
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary and "github" in {output, *(one.format for one in reports)}:
        try:
            with Path(summary).open("a", encoding="utf-8") as page:
                page.writelines(render_conformance(found, "markdown"))
        except OSError as error:
            raise NetprobeError(f"cannot write $GITHUB_STEP_SUMMARY: {error.strerror}") from error
    for format_ in (output, *(one.format for one in reports if one.path is None)):
        sys.stdout.writelines(render_conformance(found, format_, style))
    return found.exit_status


class _Told:
    """Counts the results that are in, and names what fails now."""

    def __init__(self) -> None:
        self.failing: list[str] = []

    def line(self, result: Result) -> str:
        if result.status in {Status.FAILED, Status.FLAKY, Status.UNKNOWN}:
            self.failing.append(result.case.name)
        if not self.failing:
            return "cases"
        return f"{len(self.failing)} not passed, last: {self.failing[-1]}"


@contextmanager
def _progress(total: int) -> Iterator[tuple[Narrate, Callable[[Result], None]]]:
    """Yields what tells of the preparations, and of each result: a bar on a terminal, else nothing."""
    if not sys.stderr.isatty():
        yield lambda _: None, lambda _: None
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = MofNCompleteColumn(), BarColumn(), TimeElapsedColumn(), TextColumn("{task.description}")
    counter = _Told()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("starting", total=total)
        yield (
            lambda text: progress.update(task, description=escape(text)),
            lambda result: progress.update(task, advance=1, description=escape(counter.line(result))),
        )
