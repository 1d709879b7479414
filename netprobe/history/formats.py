"""Runs over time as a table, JSON and a page."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from netprobe.diff import FlowStatus
from netprobe.history.diff import ReportDiff, run_document, title, what_changed
from netprobe.history.saved import RunsOverTime, SuiteRun
from netprobe.report import conformance_text
from netprobe.report.page import page
from netprobe.report.phrases import suite_on
from netprobe.report.style import BOLD, BOLD_BAD, PLAIN, Style, wrapped
from netprobe.report.trend import Trend, TrendRun, lines
from netprobe.report.write import Formats

HISTORY_FORMATS: Formats[RunsOverTime] = Formats(
    {
        "table": "netprobe.history.formats:table",
        "json": "netprobe.history.formats:as_json",
        "html": "netprobe.history.formats:html",
    }
)
HEADS = {
    FlowStatus.AS_EXPECTED: "as expected",
    FlowStatus.MISMATCH: "mismatch",
    FlowStatus.UNKNOWN: "unknown",
    FlowStatus.UNDEFINED: "undefined",
    FlowStatus.SKIPPED: "skipped",
}
MOST_FLOWS = 10
"""Flows that are listed as changed."""


def trend_of(runs: Sequence[SuiteRun]) -> Trend:
    """The flows of runs over time."""
    return Trend(
        [
            TrendRun(one.started, str(one.cluster), one.counts, one.seconds, one.converged_s, one.suite)
            for one in runs
        ],
        {status.value: head for status, head in HEADS.items()},
        [status.value for status in (FlowStatus.AS_EXPECTED, FlowStatus.UNDEFINED, FlowStatus.SKIPPED)],
    )


@dataclass(frozen=True, slots=True)
class LastChanges:
    """What changed in a last run: a summary and lines. `broke`: something is not as expected any more."""

    summary: str
    lines: Sequence[str] = ()
    broke: bool = False

    @property
    def colour(self) -> str:
        return BOLD_BAD if self.broke else BOLD if self.lines else ""


def table(found: RunsOverTime, style: Style = PLAIN) -> Iterator[str]:
    """A line for each run; then what changed in the last one of each suite and cluster."""
    if found.suites:
        yield from lines(trend_of(found.suites), style)
    for key, last in _last_changes(found).items():
        run = next(run for run in reversed(found.suites) if run.key == key)
        yield "\n" + style.paint(wrapped(f"{title(run)}: {last.summary}", style), last.colour) + "\n"
        yield from (wrapped(line, style, "  ") + "\n" for line in last.lines)
    if found.conformance:
        yield "\n" if found.suites else ""
        yield from lines(conformance_text.trend(found.conformance), style)
        changes = _conformance_changes(found)
        yield f"\n{changes.summary}\n" if changes.summary else ""
        yield from (wrapped(line, style, "  ") + "\n" for line in changes.lines)


def _last_changes(found: RunsOverTime) -> dict[tuple[str | None, ...], LastChanges]:
    """By suite and cluster: what changed in the last run, if that is among the runs."""
    return {run.key: _changes(found.last[run.key]) for run in found.suites if run.key in found.last}


def _changes(one: ReportDiff) -> LastChanges:
    if not one:
        return LastChanges("nothing changed")
    broke = sum(change.broke for change in one.flows)
    flows = "1 flow" if len(one.flows) == 1 else f"{len(one.flows):,} flows"
    alone = f"{len(one.appeared):,} new, {len(one.disappeared):,} gone"
    listed = [f"{change.after}: {what_changed(change)}" for change in one.flows[:MOST_FLOWS]]
    if len(one.flows) > MOST_FLOWS:
        listed.append(f"and {len(one.flows) - MOST_FLOWS:,} more")
    listed += [f"{how} {name}" for name, how in one.policies.items()]
    return LastChanges(f"{flows} changed, {alone}; {broke:,} not as expected any more", listed, bool(broke))


def _conformance_changes(found: RunsOverTime) -> LastChanges:
    changed = list(conformance_text.change_lines(found.changes))
    if changed:
        return LastChanges("In the last run:", changed, bool(found.changes.failures))
    return LastChanges("Nothing changed in the last run." if len(found.conformance) > 1 else "")


def as_json(found: RunsOverTime, _style: Style = PLAIN) -> Iterator[str]:
    """One document; with runs of both kinds, that of conformance is in the other one."""
    documents = [_conformance_document(found)] if found.conformance else []
    documents += [_suites_document(found)] if found.suites else []
    one = documents[0] if len(documents) == 1 else {**documents[1], "conformance": documents[0]}
    yield json.dumps(one, indent=2, ensure_ascii=False) + "\n"


def _suites_document(found: RunsOverTime) -> dict[str, Any]:
    files = {run.key: str(run.path) for run in found.suites}  # the last one of each
    return {
        "apiVersion": "netprobe/v1alpha1",
        "kind": "RunHistory",
        "runs": [run_document(one) for one in found.suites],
        "changes": [
            {
                "run": files[key],
                "broke": [change.after.name for change in one.flows if change.broke],
                "changed": [change.after.name for change in one.flows],
                "policies": [{"policy": name, "change": how} for name, how in one.policies.items()],
            }
            for key, one in found.last.items()
            if key in files
        ],
    }


def _conformance_document(found: RunsOverTime) -> dict[str, Any]:
    return {
        "apiVersion": "netprobe/v1alpha1",
        "kind": "ConformanceHistory",
        "runs": [
            {
                "started": one.started.isoformat(timespec="seconds"),
                "run": one.run,
                "cluster": one.cluster,
                "seconds": one.seconds,
                "converged_s": one.converged_s,
                "summary": {status.value: number for status, number in one.counts.items()},
            }
            for one in found.conformance
        ],
        "changes": asdict(found.changes),
    }


def html(found: RunsOverTime, _style: Style = PLAIN) -> Iterator[str]:
    """A page with a chart, a table and the last changes for each suite and cluster, and for conformance."""
    changes = _last_changes(found)
    parts = []
    for key in dict.fromkeys(run.key for run in found.suites):
        same = [run for run in found.suites if run.key == key]
        last = changes.get(key, LastChanges("There is no earlier run to compare with."))
        parts.append((suite_on(same[-1].report.suite, same[-1].cluster), trend_of(same), last))
    if found.conformance:
        trend = conformance_text.trend(found.conformance)
        parts.append(("Conformance", trend, _conformance_changes(found)))
    number = len(found.suites) + len(found.conformance)
    return page(
        "history.html",
        styles=("pages.css",),
        title=f"Runs in {found.folder}",
        closing="1 run" if number == 1 else f"{number:,} runs",
        parts=parts,
    )
