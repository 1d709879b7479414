"""What is known about a cluster: expected failures, the baseline and past runs; results become a report.

The file of expected failures has a reason and an end date for each case:

- case: "ingress: port 53-80/*"      a case's name, or a pattern with a shell's wildcards
  reason: the plugin supports endPort from version 2 on
  until: 2027-03-01                  from this day on the failure counts again

Past runs are one small file each in a folder, with the status of each case and the seconds until its slowest
change was in force. A file is named after the time at which the run started, so files sort by time. Runs that
ended early or tried some cases only are kept too: the last known status of a case is that of the last run
that tried it.
"""

from __future__ import annotations

import datetime as dt
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, RootModel

from netprobe.conformance.case import Case, has_name, suggestion
from netprobe.conformance.load import ListReader, text_of
from netprobe.conformance.result import CaseResult, CaseStatus, Results, Triage
from netprobe.errors import InputError, NetprobeError, Problem
from netprobe.run.record import ClusterInfo, RunInfo

API_VERSION: Final = "netprobe/v1alpha1"
KIND: Final = "ConformanceRun"
REPORT: Final = "ConformanceReport"
"""The kind of `-o json`, which contains everything that a history file does."""
SLOWER_BY_S: Final = 0.5
SLOWER_BY: Final = 2.0
"""A case is slower to converge if it takes SLOWER_BY_S seconds longer and SLOWER_BY times as long."""
NOT_TRIED: Final = frozenset({CaseStatus.SKIPPED, CaseStatus.UNTRIED})
"""Statuses that say nothing about a case."""


@dataclass(frozen=True, slots=True)
class PastCase:
    """One case of a past run."""

    status: CaseStatus
    converged_s: float | None = None


@dataclass(frozen=True, slots=True)
class PastRun:
    """One run, as its file describes it; `cluster` is a phrase, "" if unknown; `seconds` is the whole run."""

    started: datetime
    cluster: str
    seconds: float
    cases: Mapping[str, PastCase]
    netprobe: str = ""
    run: str = ""

    @classmethod
    def of(cls, results: Results, cluster: ClusterInfo, run: RunInfo) -> PastRun:
        cases = {r.case.name: PastCase(r.status, r.converged_s) for r in results.results}
        started = run.started.astimezone(UTC)
        return cls(started, str(cluster), run.duration_s, cases, run.netprobe, run.id or "")

    @property
    def counts(self) -> Counter[CaseStatus]:
        return Counter(entry.status for entry in self.cases.values())

    @property
    def converged_s(self) -> float | None:
        """The median of the cases' convergence times."""
        times = sorted(e.converged_s for e in self.cases.values() if e.converged_s is not None)
        return times[len(times) // 2] if times else None


@dataclass(frozen=True, slots=True)
class RunChanges:
    """What changed between two runs, by names of cases. `slower`: (name, seconds before, seconds now).

    `other_cluster`: the cluster of the previous run if it was another one, or another version of it.
    """

    failures: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()
    flaky: tuple[str, ...] = ()
    slower: tuple[tuple[str, float, float], ...] = ()
    appeared: tuple[str, ...] = ()
    disappeared: tuple[str, ...] = ()
    other_cluster: str = ""


def save_run(folder: Path, one: PastRun) -> Path:
    """Write a run into a folder, created if needed; returns the path. NetprobeError on failure."""
    path = folder / f"{one.started:%Y%m%dT%H%M%SZ}-{one.run or 'run'}.json"
    document = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "started": one.started.isoformat(timespec="seconds"),
        "cluster": one.cluster,
        "seconds": round(one.seconds, 1),
        "netprobe": one.netprobe,
        "run": one.run,
        "cases": {
            name: [e.status.value, None if e.converged_s is None else round(e.converged_s, 3)]
            for name, e in one.cases.items()
        },
    }
    text = json.dumps(document, indent=0, ensure_ascii=False)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with draft.open("w", encoding="utf-8") as file:
            file.write(f"{text}\n")
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        with suppress(OSError):
            draft.unlink()
        raise NetprobeError(f"cannot write {path}: {error.strerror}") from error
    return path


def read_run(path: Path) -> PastRun:
    """Read a run from its file. InputError if it is not one."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["kind"] == REPORT:
            return _of_report(document)
        kinds = {KIND: document["cases"]}
        return PastRun(
            started=datetime.fromisoformat(document["started"]),
            cluster=document["cluster"],
            seconds=float(document["seconds"]),
            cases={
                name: PastCase(CaseStatus(status), at)
                for name, (status, at) in kinds[document["kind"]].items()
            },
            netprobe=document.get("netprobe", ""),
            run=document.get("run", ""),
        )
    except OSError as error:
        raise InputError([Problem(str(path), "", f"cannot be read: {error.strerror}")]) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        why = f": {error} is missing" if isinstance(error, KeyError) else ""
        raise InputError([Problem(str(path), "", f"is not a run of `netprobe conformance`{why}")]) from error


def _of_report(document: Mapping[str, Any]) -> PastRun:
    run = document["run"]
    started, finished = (datetime.fromisoformat(run[key]) for key in ("started", "finished"))
    cases = {}
    for case in document["cases"]:
        times = [m["converged_s"] for m in case["moments"] if m["converged_s"] is not None]
        cases[case["name"]] = PastCase(CaseStatus(case["status"]), max(times, default=None))
    seconds = (finished - started).total_seconds()
    return PastRun(started, "", seconds, cases, run["netprobe"], run["id"] or "")


def read_runs(
    folder: Path, skipped: Callable[[str], None] = lambda _: None, *, leave_out: str = ""
) -> tuple[PastRun, ...]:
    """All runs of a folder, the oldest first. InputError if there are none that can be read.

    `skipped` gets a sentence for each file that is not a run: one that was cut off spoils no others.
    `leave_out`: a kind of files that are expected too.
    """
    if not folder.is_dir():
        raise InputError([Problem(str(folder), "", "is not a folder")])
    problems: list[Problem] = []
    found: list[PastRun] = []
    for path in sorted(folder.glob("*.json")):
        try:
            found.append(read_run(path))
        except InputError as error:
            problems += [] if leave_out and _is(leave_out, path) else error.problems
    if not found:
        nothing = "contains no runs: `netprobe conformance --history` writes them"
        raise InputError(problems or [Problem(str(folder), "", nothing)])
    for problem in problems:
        skipped(f"{problem}; it is skipped")
    return tuple(sorted(found, key=lambda one: one.started))


def _is(kind: str, path: Path) -> bool:
    try:
        return bool(json.loads(path.read_text(encoding="utf-8"))["kind"] == kind)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def runs_of(path: Path, skipped: Callable[[str], None] = lambda _: None) -> tuple[PastRun, ...]:
    """The run of a file, or those of a folder. InputError as in `read_run` and `read_runs`."""
    return read_runs(path, skipped) if path.is_dir() else (read_run(path),)


def last_known(before: Sequence[PastRun]) -> Mapping[str, PastCase]:
    """Each case, from the last run that tried it."""
    found: dict[str, PastCase] = {}
    for one in before:
        found |= {name: e for name, e in one.cases.items() if name not in found or e.status not in NOT_TRIED}
    return found


def changes_since(before: Sequence[PastRun], now: PastRun) -> RunChanges:
    """What is different now; `before` is not empty. An untried case is neither failing nor fixed."""
    known, last = last_known(before), before[-1]
    both = [(name, known[name], entry) for name, entry in now.cases.items() if name in known]

    def became(status: CaseStatus, *others: CaseStatus) -> tuple[str, ...]:
        return tuple(name for name, old, new in both if new.status is status and old.status in others)

    bad = (CaseStatus.FAILED, CaseStatus.FLAKY, CaseStatus.UNKNOWN)
    slower = [
        (name, old.converged_s, new.converged_s)
        for name, old, new in both
        if old.converged_s is not None and new.converged_s is not None
        if new.converged_s - old.converged_s > SLOWER_BY_S and new.converged_s > SLOWER_BY * old.converged_s
    ]
    return RunChanges(
        failures=became(CaseStatus.FAILED, *(s for s in CaseStatus if s is not CaseStatus.FAILED)),
        fixed=became(CaseStatus.PASSED, *bad),
        flaky=became(CaseStatus.FLAKY, *(s for s in CaseStatus if s is not CaseStatus.FLAKY)),
        slower=tuple(slower),
        appeared=tuple(name for name in now.cases if name not in known),
        disappeared=tuple(name for name in last.cases if name not in now.cases),
        other_cluster=last.cluster if last.cluster != now.cluster else "",
    )


def with_known_failures(results: Results, before: Sequence[PastRun]) -> Results:
    """The results, with every failure marked that the earlier runs had too."""
    known = last_known(before)
    return replace(results, results=tuple(_against(r, known.get(r.case.name)) for r in results.results))


def _against(result: CaseResult, before: PastCase | None) -> CaseResult:
    if before is None or result.standing is not None:
        return result
    if (
        result.status in {CaseStatus.FAILED, CaseStatus.FLAKY, CaseStatus.UNKNOWN}
        and before.status is result.status
    ):
        return replace(result, standing=Triage.BEFORE)
    return result


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

    Everything is read before the run, so that a mistake in a file is found at once.
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
                past = read_runs(folder, skipped)
            except InputError as error:  # unreadable earlier runs do not stop this one
                skipped(f"{error}; no earlier run can be read")
        if baseline is None:
            return cls(expected, (), folder, past)
        same = folder is not None and baseline.resolve() == folder.resolve()
        return cls(expected, past if same else runs_of(baseline, skipped), folder, past)

    def report(self, results: Results, cluster: ClusterInfo, run: RunInfo) -> ConformanceReport:
        """Compare the results with what is known, and add the run to the history.

        A run that is in the history already, because its shards are joined again, is replaced.
        """
        past = tuple(one for one in self.past if one.run != run.id)
        baseline = past if self.runs is self.past else self.runs
        results = triage(results, self.expected, run.started.date())
        if baseline:
            results = with_known_failures(results, baseline)
        now = PastRun.of(results, cluster, run)
        if self.folder is not None:
            try:
                save_run(self.folder, now)
            except NetprobeError as error:  # the results are still reported
                results = replace(results, problems=(*results.problems, str(error)))
        before = baseline or past
        changes = changes_since(before, now) if before else None
        return ConformanceReport(results, cluster, run, changes, past)
