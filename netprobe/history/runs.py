"""A folder that `--history` fills: the runs of suites and of conformance, and what changed between two."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from netprobe.conformance.baseline import PastRun, RunChanges, changes_since, read_runs
from netprobe.diff import FlowStatus
from netprobe.errors import InputError, NetprobeError, Problem
from netprobe.model.verdict import Verdict
from netprobe.report import FORMATS, save
from netprobe.report.saved import SavedFlow, SavedReport, read_report
from netprobe.run.record import ClusterInfo, Report

TABLES = ("declared", "simulated", "observed")


@dataclass(frozen=True, slots=True)
class FlowChange:
    """A flow before and after. `policies`: those behind it that were "changed", "added" or "removed"."""

    before: SavedFlow
    after: SavedFlow
    policies: Mapping[str, str]

    @property
    def tables(self) -> dict[str, tuple[Verdict | None, Verdict | None]]:
        """The verdicts that differ, by the name of their table."""
        pairs = {name: (getattr(self.before, name), getattr(self.after, name)) for name in TABLES}
        return {name: pair for name, pair in pairs.items() if pair[0] is not pair[1]}

    @property
    def broke(self) -> bool:
        """Whether it was as expected and is not any more."""
        return self.before.status == "as_expected" and self.after.status in {"mismatch", "unknown"}


@dataclass(frozen=True, slots=True)
class ReportDiff:
    """`policies`: all that differ. `appeared`, `disappeared`: flows of one report only."""

    flows: tuple[FlowChange, ...]
    policies: Mapping[str, str]
    appeared: tuple[SavedFlow, ...] = ()
    disappeared: tuple[SavedFlow, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.flows or self.appeared or self.disappeared)


def difference(before: SavedReport, after: SavedReport) -> ReportDiff:
    """Flows whose verdicts or status differ, in the order of the second report."""
    policies = dict(_policies(before, after))
    old, new = {one.key: one for one in before.flows}, {one.key: one for one in after.flows}
    changes = []
    for key, flow in new.items():
        if key in old and old[key].outcome_key != flow.outcome_key:
            causes = (*old[key].because, *flow.because)
            behind = {f"{cause.kind} {cause.policy}" for cause in causes}
            changed = {name: how for name, how in policies.items() if name in behind}
            changes.append(FlowChange(old[key], flow, changed))
    return ReportDiff(
        tuple(changes),
        policies,
        tuple(flow for key, flow in new.items() if key not in old),
        tuple(flow for key, flow in old.items() if key not in new),
    )


def _policies(before: SavedReport, after: SavedReport) -> Iterator[tuple[str, str]]:
    old, new = ({(one.kind, one.name): one.digest for one in report.policies} for report in (before, after))
    for kind, name in dict.fromkeys((*old, *new)):
        if (kind, name) not in new:
            yield f"{kind} {name}", "removed"
        elif (kind, name) not in old:
            yield f"{kind} {name}", "added"
        elif old[kind, name] != new[kind, name]:
            yield f"{kind} {name}", "changed"


@dataclass(frozen=True, slots=True)
class SuiteRun:
    """One run of a suite. `counts`: flows by status. `seconds`: the whole run."""

    path: Path
    report: SavedReport
    cluster: ClusterInfo
    started: datetime
    seconds: float
    counts: Mapping[str, int]
    converged_s: float | None

    @property
    def suite(self) -> str:
        return self.report.suite or "no suite"

    @property
    def key(self) -> tuple[str, str, str | None, str | None]:
        """Runs with one key can be compared: the same suite on the same cluster."""
        return self.suite, self.cluster.kind, self.cluster.context, self.cluster.id


def keep(folder: Path, report: Report) -> Path:
    """Write a report into a folder, created if needed; returns the path. NetprobeError on failure."""
    path = folder / f"{report.run.started.astimezone(UTC):%Y%m%dT%H%M%SZ}-{report.run.id or 'run'}.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NetprobeError(f"cannot write {path}: {error.strerror}") from error
    save(path, FORMATS.render(report, "json"))
    return path


def read_run(path: Path) -> SuiteRun:
    """The run of a report. InputError if the file is not one."""
    report = read_report(path)
    cluster, run, counts = report.cluster or {}, report.run or {}, report.summary or {}
    try:
        return SuiteRun(
            path,
            report,
            ClusterInfo(
                str(cluster["kind"]),
                *(cluster.get(key) for key in ("context", "server_version", "cni", "nodes", "id")),
            ),
            datetime.fromisoformat(run["started"]),
            float(counts["duration_s"]),
            {
                status.value: int(counts["mismatches" if status is FlowStatus.MISMATCH else status.value])
                for status in FlowStatus
            },
            counts.get("converged_s"),
        )
    except (KeyError, TypeError, ValueError) as error:
        why = f": {error} is missing" if isinstance(error, KeyError) else ""
        raise InputError([Problem(str(path), "", f"is not a report of `netprobe run`{why}")]) from error


def kind_of(path: Path) -> str:
    """The `kind` of a JSON file; "" if it has none."""
    try:
        document: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return ""
    return str(document.get("kind", "")) if isinstance(document, dict) else ""


def suite_runs(folder: Path, skipped: Callable[[str], None] = lambda _: None) -> tuple[SuiteRun, ...]:
    """The runs of suites in a folder, the oldest first; files of other kinds are left out.

    `skipped` gets a sentence for each report that cannot be read.
    """
    found: list[SuiteRun] = []
    for path in (path for path in sorted(folder.glob("*.json")) if kind_of(path) == "Report"):
        try:
            found.append(read_run(path))
        except InputError as error:
            skipped(f"{error}; it is skipped")
    return tuple(sorted(found, key=lambda one: one.started))


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
            conformance = read_runs(folder, skipped, leave_out="Report")
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
    changed = changes_since(conformance[:-1], conformance[-1]) if len(conformance) > 1 else RunChanges()
    return RunsOverTime(folder, suites, last, conformance, changed)
