"""All runs of a folder, and what changed in the last one of each suite and cluster."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from netprobe.conformance.history import PastRun, RunChanges, changes, runs
from netprobe.errors import InputError
from netprobe.history.diff import ReportDiff, difference
from netprobe.history.saved import SuiteRun, kind_of, suite_runs


@dataclass(frozen=True, slots=True)
class RunsOverTime:
    """The runs, the oldest first. `last`: what changed in the last run of each suite and cluster, by its key.

    `changes`: what changed in the last conformance run.
    """

    folder: Path
    suites: tuple[SuiteRun, ...]
    last: Mapping[tuple[str | None, ...], ReportDiff]
    conformance: tuple[PastRun, ...]
    changes: RunChanges

    @property
    def exit_status(self) -> int:
        """1 if a last run has new failures."""
        broke = any(change.broke for one in self.last.values() for change in one.flows)
        return 1 if self.changes.failures or broke else 0

    def newest(self, number: int) -> RunsOverTime:
        """With the newest runs only; the changes stay."""
        return replace(self, suites=self.suites[-number:], conformance=self.conformance[-number:])


def read_folder(folder: Path, skipped: Callable[[str], None] = lambda _: None) -> RunsOverTime:
    """Read the runs of suites and of conformance. InputError if there is none that can be read.

    `skipped` gets a sentence for each file that cannot be read.
    """
    suites = suite_runs(folder, skipped) if folder.is_dir() else ()
    conformance: tuple[PastRun, ...] = ()
    if not suites or any(kind_of(path) != "Report" for path in folder.glob("*.json")):
        try:
            conformance = runs(folder, skipped, leave_out="Report")
        except InputError as error:
            if not suites:
                raise
            for problem in error.problems:
                skipped(f"{problem}; it is skipped")
    last: dict[tuple[str | None, ...], ReportDiff] = {}
    for key in dict.fromkeys(run.key for run in suites):
        same = [run for run in suites if run.key == key]
        if len(same) > 1:
            last[key] = difference(same[-2].report, same[-1].report)
    changed = changes(conformance[:-1], conformance[-1]) if len(conformance) > 1 else RunChanges()
    return RunsOverTime(folder, suites, last, conformance, changed)
