"""The difference between two reports, and runs over time, as text and as plain data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from netprobe.diff import FlowStatus
from netprobe.history.diff import FlowChange, ReportDiff
from netprobe.history.saved import SuiteRun
from netprobe.model.verdict import Verdict
from netprobe.report.style import BAD, BOLD, BOLD_BAD, GOOD, Detail, Style
from netprobe.report.tables import aligned
from netprobe.report.text import wrapped

MOST_FLOWS = 10
"""Flows that are listed with one change."""


def diff_lines(found: ReportDiff, before: SuiteRun, after: SuiteRun, style: Style) -> Iterator[str]:
    """Which flows changed, each change once with its flows, and why."""
    for label, run in (("A", before), ("B", after)):
        yield style.paint(wrapped(f"{label}: {title(run)}", style), BOLD) + "\n"
    if before.key[1:] != after.key[1:]:
        yield wrapped("These are two different clusters.", style) + "\n"
    yield "\n"
    yield from _changes(found, style)
    yield from _alone(found, style)
    if found:
        yield "\n"
    for name, how in found.policies.items():
        yield wrapped(f"{how} {name}", style) + "\n"
    changed = len(found.flows)
    count = "1 flow changed" if changed == 1 else f"{changed:,} flows changed"
    yield style.paint(f"{count}, {len(found.appeared):,} new, {len(found.disappeared):,} gone", BOLD) + "\n"


def _changes(found: ReportDiff, style: Style) -> Iterator[str]:
    by_change: dict[tuple[object, ...], list[FlowChange]] = {}
    for change in found.flows:
        key = (tuple(change.tables.items()), change.after.status, tuple(change.policies.items()))
        by_change.setdefault(key, []).append(change)
    most = None if style.detail is Detail.ALL else MOST_FLOWS
    for some in by_change.values():
        for one in some[:most]:
            colour = BAD if one.broke else GOOD if one.after.status == "as_expected" else BOLD
            yield style.paint(wrapped(f"{one.after}: {_what(one)}", style), colour) + "\n"
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
    return f"{run.suite} on {run.cluster}, {run.started:%Y-%m-%d %H:%M}"


def _what(change: FlowChange) -> str:
    """ "simulated DENY -> ALLOW; was as expected, now a mismatch"."""
    words = [f"{name} {_word(old)} -> {_word(new)}" for name, (old, new) in change.tables.items()]
    if change.before.status != change.after.status:
        words.append(f"{_status(change.before.status)} -> {_status(change.after.status)}")
    return ", ".join(words)


def _why(change: FlowChange) -> Iterator[str]:
    for name, how in change.policies.items():
        yield f"{how}: {name}"
    for when, flow in (("before", change.before), ("now", change.after)):
        causes = [f"{c.direction.value}: {c.policy} {c.effect.value}" for c in flow.because]
        yield f"{when}: {'; '.join(causes) or flow.reason or 'no policy applies'}"
    if not change.policies and "observed" in change.tables and "simulated" not in change.tables:
        yield "the policies say the same: the cluster behaves differently"


def _word(verdict: Verdict | None) -> str:
    return verdict.value.upper() if verdict else "-"


def _status(status: str | None) -> str:
    return (status or "unknown").replace("_", " ")


def diff_document(found: ReportDiff, before: SuiteRun, after: SuiteRun) -> dict[str, Any]:
    """The difference as plain data."""
    return {
        "apiVersion": "netprobe/v1alpha1",
        "kind": "ReportDiff",
        "before": _run(before),
        "after": _run(after),
        "same_cluster": before.key[1:] == after.key[1:],
        "policies": [{"policy": name, "change": how} for name, how in found.policies.items()],
        "flows": [
            {
                **change.after.name,
                "step": change.after.step,
                "before": _side(change.before),
                "after": _side(change.after),
                "policies": [{"policy": name, "change": how} for name, how in change.policies.items()],
            }
            for change in found.flows
        ],
        "appeared": [flow.name for flow in found.appeared],
        "disappeared": [flow.name for flow in found.disappeared],
    }


def _side(flow: Any) -> dict[str, Any]:
    verdicts = {
        name: v.value if (v := getattr(flow, name)) else None
        for name in ("declared", "simulated", "observed")
    }
    return {
        **verdicts,
        "status": flow.status,
        "because": [cause.model_dump(mode="json") for cause in flow.because],
    }


def _run(run: SuiteRun) -> dict[str, Any]:
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


def history_document(runs: Sequence[SuiteRun], found: Mapping[str, ReportDiff]) -> dict[str, Any]:
    """The runs, and the flows that changed in the last run of each suite and cluster."""
    return {
        "apiVersion": "netprobe/v1alpha1",
        "kind": "RunHistory",
        "runs": [_run(one) for one in runs],
        "changes": [
            {
                "run": file,
                "broke": [change.after.name for change in one.flows if change.broke],
                "changed": [change.after.name for change in one.flows],
                "policies": [{"policy": name, "change": how} for name, how in one.policies.items()],
            }
            for file, one in found.items()
        ],
    }


def history_lines(runs: Sequence[SuiteRun], found: Mapping[str, ReportDiff], style: Style) -> Iterator[str]:
    """A line for each run; then what changed in the last run of each suite and cluster."""
    heads = {
        FlowStatus.AS_EXPECTED: "as expected",
        FlowStatus.MISMATCH: "mismatch",
        FlowStatus.UNKNOWN: "unknown",
        FlowStatus.UNDEFINED: "undefined",
        FlowStatus.SKIPPED: "skipped",
    }
    used = [status for status in heads if any(run.counts[status.value] for run in runs)]
    header = ("Run", "Suite", *(heads[one] for one in used), "seconds", "converged", "Cluster")
    lines = [
        (
            f"{run.started:%Y-%m-%d %H:%M}",
            run.suite,
            *(str(run.counts[one.value] or "") for one in used),
            f"{run.seconds:.1f}",
            "" if run.converged_s is None else f"{run.converged_s:.2f} s",
            str(run.cluster),
        )
        for run in runs
    ]
    colours = ({len(header) - 1: ""} for _ in runs)
    yield from aligned(header, lines, colours, style, right=range(2, len(header) - 1))
    for file, one in found.items():
        run = next(run for run in runs if str(run.path) == file)
        yield "\n"
        if not one:
            yield wrapped(f"{title(run)}: nothing changed", style) + "\n"
            continue
        broke = sum(change.broke for change in one.flows)
        text = f"{title(run)}: {len(one.flows)} flows changed, {broke} of them are not as expected any more"
        yield style.paint(wrapped(text, style), BOLD_BAD if broke else BOLD) + "\n"
        for change in one.flows[:MOST_FLOWS]:
            yield wrapped(f"{change.after}: {_what(change)}", style, "  ") + "\n"
        if len(one.flows) > MOST_FLOWS:
            yield f"  and {len(one.flows) - MOST_FLOWS} more\n"
        yield from (wrapped(f"{how} {name}", style, "  ") + "\n" for name, how in one.policies.items())
