"""Expected failures, the baseline and past runs: what turns results into a report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from netprobe.conformance import history
from netprobe.conformance.expected_failures import ExpectedFailure, triage
from netprobe.conformance.history import PastRun, RunChanges
from netprobe.conformance.result import Results
from netprobe.errors import InputError, NetprobeError
from netprobe.run.record import ClusterInfo, RunInfo


@dataclass(frozen=True, slots=True)
class ConformanceReport:
    """Everything that one run found.

    `changes`: since the previous run, None if there is none. `past`: earlier runs, the oldest first.
    """

    results: Results
    cluster: ClusterInfo
    run: RunInfo
    changes: RunChanges | None = None
    past: Sequence[PastRun] = ()

    @property
    def exit_status(self) -> int:
        return self.results.exit_status


@dataclass(frozen=True, slots=True)
class Baseline:
    """Expected failures, the runs to compare with, and the folder that keeps the run.

    Everything is read before the run, so that a mistake in a file does not cost a night.
    """

    expected: Sequence[ExpectedFailure] = ()
    runs: Sequence[PastRun] = ()
    folder: Path | None = None
    past: Sequence[PastRun] = ()

    @classmethod
    def read(
        cls,
        expected: Sequence[ExpectedFailure],
        baseline: Path | None,
        folder: Path | None,
        skipped: Callable[[str], None] = lambda _: None,
    ) -> Baseline:
        """`folder` exists. InputError if the baseline is not a run.

        `skipped` gets a sentence for each file of a folder that is not a run.
        """
        past: Sequence[PastRun] = ()
        if folder is not None and any(folder.glob("*.json")):
            try:
                past = history.runs(folder, skipped)
            except InputError as error:  # the run is worth more than what is left of earlier ones
                skipped(f"{error}; no earlier run can be read")
        if baseline is None:
            return cls(expected, (), folder, past)
        same = folder is not None and baseline.resolve() == folder.resolve()
        return cls(expected, past if same else history.baseline(baseline, skipped), folder, past)

    def report(self, results: Results, cluster: ClusterInfo, run: RunInfo) -> ConformanceReport:
        """Compare the results with what is known, and add the run to the history.

        A run that is in the history already, because its shards are joined again, is replaced.
        """
        past = tuple(one for one in self.past if one.run != run.id)
        baseline = past if self.runs is self.past else self.runs
        results = triage(results, self.expected, run.started.date())
        if baseline:
            results = history.against(results, baseline)
        now = PastRun.of(results, cluster, run)
        if self.folder is not None:
            try:
                history.save(self.folder, now)
            except NetprobeError as error:  # the results are reported all the same
                results = replace(results, problems=(*results.problems, str(error)))
        before = baseline or past
        changes = history.changes(before, now) if before else None
        return ConformanceReport(results, cluster, run, changes, past)
