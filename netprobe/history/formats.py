"""What differs between two reports as text and plain data; runs over time as a table, JSON and a page."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from netprobe.diff import FlowStatus
from netprobe.history.runs import TABLES, FlowChange, ReportDiff, RunsOverTime, SuiteRun
from netprobe.report import conformance_text
from netprobe.report.page import page
from netprobe.report.phrases import suite_on, verdict
from netprobe.report.saved import SavedFlow
from netprobe.report.style import BAD, BOLD, BOLD_BAD, GOOD, PLAIN, Detail, Style, wrapped
from netprobe.report.trend import Trend, TrendRun, lines
from netprobe.report.write import Formats

MOST_FLOWS = 10
"""Flows that are listed with one change."""
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


def diff_lines(found: ReportDiff, before: SuiteRun, after: SuiteRun, style: Style) -> Iterator[str]:
    """Which flows changed, each change once with its flows, and why."""
    for label, run in (("A", before), ("B", after)):
        yield style.paint(wrapped(f"{label}: {title(run)}", style), BOLD) + "\n"
    if before.key[1:] != after.key[1:]:
        yield wrapped("These are two different clusters.", style) + "\n"
    yield "\n"
    yield from _changed(found, style)
    yield from _alone(found, style)
    if found:
        yield "\n"
    for name, how in found.policies.items():
        yield wrapped(f"{how} {name}", style) + "\n"
    changed = len(found.flows)
    count = "1 flow changed" if changed == 1 else f"{changed:,} flows changed"
    yield style.paint(f"{count}, {len(found.appeared):,} new, {len(found.disappeared):,} gone", BOLD) + "\n"


def _changed(found: ReportDiff, style: Style) -> Iterator[str]:
    by_change: dict[tuple[object, ...], list[FlowChange]] = {}
    for change in found.flows:
        key = (tuple(change.tables.items()), change.after.status, tuple(change.policies.items()))
        by_change.setdefault(key, []).append(change)
    most = None if style.detail is Detail.ALL else MOST_FLOWS
    for some in by_change.values():
        for one in some[:most]:
            colour = BAD if one.broke else GOOD if one.after.status == "as_expected" else BOLD
            yield style.paint(wrapped(f"{one.after}: {what_changed(one)}", style), colour) + "\n"
        if most and len(some) > most:
            yield f"and {len(some) - most:,} more flows with this change; --all shows them\n"
        yield from (wrapped(sentence, style, "  ") + "\n" for sentence in _why(some[0]))


def _alone(found: ReportDiff, style: Style) -> Iterator[str]:
    most = None if style.detail is Detail.ALL else MOST_FLOWS
    for sign, flows in (("only in A", found.disappeared), ("only in B", found.appeared)):
        for flow in flows[:most]:
            yield wrapped(f"{flow}: {sign}", style) + "\n"
        if most and len(flows) > most:
            yield f"and {len(flows) - most:,} more {sign}\n"


def title(run: SuiteRun) -> str:
    return f"{suite_on(run.report.suite, run.cluster)}, {run.started:%Y-%m-%d %H:%M}"


def what_changed(change: FlowChange) -> str:
    """ "simulated DENY -> ALLOW; was as expected, now a mismatch"."""
    words = [f"{name} {verdict(old)} -> {verdict(new)}" for name, (old, new) in change.tables.items()]
    if change.before.status != change.after.status:
        words.append(f"{_status_text(change.before.status)} -> {_status_text(change.after.status)}")
    return ", ".join(words)


def _why(change: FlowChange) -> Iterator[str]:
    for name, how in change.policies.items():
        yield f"{how}: {name}"
    for when, flow in (("before", change.before), ("now", change.after)):
        causes = [f"{c.direction.value}: {c.policy} {c.effect.value}" for c in flow.because]
        yield f"{when}: {'; '.join(causes) or flow.reason or 'no policy applies'}"
    if not change.policies and "observed" in change.tables and "simulated" not in change.tables:
        yield "the policies say the same: the cluster behaves differently"


def _status_text(status: str | None) -> str:
    return (status or "unknown").replace("_", " ")


def diff_document(found: ReportDiff, before: SuiteRun, after: SuiteRun) -> dict[str, Any]:
    return {
        "apiVersion": "netprobe/v1alpha1",
        "kind": "ReportDiff",
        "before": run_document(before),
        "after": run_document(after),
        "same_cluster": before.key[1:] == after.key[1:],
        "policies": _policies(found.policies),
        "flows": [
            {
                **change.after.name,
                "step": change.after.step,
                "before": _before_or_after(change.before),
                "after": _before_or_after(change.after),
                "policies": _policies(change.policies),
            }
            for change in found.flows
        ],
        "appeared": [flow.name for flow in found.appeared],
        "disappeared": [flow.name for flow in found.disappeared],
    }


def _policies(changed: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"policy": name, "change": how} for name, how in changed.items()]


def _before_or_after(flow: SavedFlow) -> dict[str, Any]:
    return {
        **{name: cell.value if (cell := getattr(flow, name)) else None for name in TABLES},
        "status": flow.status,
        "because": [cause.model_dump(mode="json") for cause in flow.because],
    }


def run_document(run: SuiteRun) -> dict[str, Any]:
    return {
        "file": str(run.path),
        "suite": run.suite,
        "cluster": str(run.cluster),
        "cluster_id": run.cluster.id,
        "started": run.started.isoformat(timespec="seconds"),
        "seconds": run.seconds,
        "converged_s": run.converged_s,
        "summary": dict(run.counts),
    }


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
                "policies": _policies(one.policies),
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
