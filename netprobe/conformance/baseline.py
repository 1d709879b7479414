"""What is known about a cluster: expected failures, the baseline and past runs; results become a report.

The file of expected failures has a reason and an end date for each case:

- case: "ingress: port 53-80/*"      a case's name, or a pattern with a shell's wildcards
  reason: the plugin supports endPort from version 2 on
  until: 2027-03-01                  from this day on the failure counts again
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, RootModel

from netprobe.conformance import history
from netprobe.conformance.case import Case, has_name, suggestion
from netprobe.conformance.history import PastRun, RunChanges
from netprobe.conformance.load import ListReader, text_of
from netprobe.conformance.result import CaseResult, CaseStatus, Results, Triage
from netprobe.errors import InputError, NetprobeError
from netprobe.run.record import ClusterInfo, RunInfo


class ExpectedFailure(BaseModel):
    """One entry. `case`: a name or pattern; `until`: the first day on which the failure counts again."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    case: str = Field(min_length=1)
    reason: str = Field(min_length=1)
    until: dt.date

    def holds(self, case: Case) -> bool:
        return has_name(case, self.case)


class ExpectedFailures(RootModel[list[ExpectedFailure]]):
    """A list of entries, each a mapping of `case`, `reason` and `until`."""


def load_expected_failures(
    path: str | os.PathLike[str], cases: Iterable[Case]
) -> tuple[ExpectedFailure, ...]:
    """Read a file of expected failures. InputError with all problems, such as a name that no case has."""
    reader = ListReader(str(path))
    known = reader.entries(text_of(path), ExpectedFailures)
    every = list(cases)
    for index, one in enumerate(known):
        if not any(map(one.holds, every)):
            hint = "`netprobe conformance --list` shows the names"
            near = suggestion(one.case, [case.name for case in every], cutoff=0.7, otherwise=hint)
            reader.complain(f"[{index}].case", f"no case is named {one.case!r}{near}")
    reader.finish()
    return tuple(known)


def triage(results: Results, known: Sequence[ExpectedFailure], today: dt.date) -> Results:
    """The results, each compared with its entry; the first entry that matches a case counts."""
    return replace(results, results=tuple(_judged(result, known, today) for result in results.results))


def _judged(result: CaseResult, known: Sequence[ExpectedFailure], today: dt.date) -> CaseResult:
    entry = next((one for one in known if one.holds(result.case)), None)
    if entry is None:
        return result
    remark = f"{entry.reason} (until {entry.until})"
    match result.status:
        case CaseStatus.FAILED | CaseStatus.FLAKY | CaseStatus.UNKNOWN:
            standing = Triage.EXPECTED if today < entry.until else Triage.EXPIRED
            return replace(result, standing=standing, remark=remark)
        case CaseStatus.PASSED:
            return replace(result, standing=Triage.FIXED, remark=remark)
        case _:
            return result


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
            except NetprobeError as error:  # the results are still reported
                results = replace(results, problems=(*results.problems, str(error)))
        before = baseline or past
        changes = history.changes(before, now) if before else None
        return ConformanceReport(results, cluster, run, changes, past)
