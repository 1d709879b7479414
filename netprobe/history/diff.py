"""What differs between two reports: flows, and the policies behind them; as text and as plain data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from netprobe.model.verdict import Verdict
from netprobe.report.phrases import suite_on
from netprobe.report.saved import SavedFlow, SavedReport
from netprobe.report.style import BAD, BOLD, GOOD, Detail, Style, wrapped

if TYPE_CHECKING:
    from netprobe.history.saved import SuiteRun

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
    changes = tuple(
        FlowChange(
            old[key], flow, {name: how for name, how in policies.items() if name in _behind(old[key], flow)}
        )
        for key, flow in new.items()
        if key in old and old[key].outcome_key != flow.outcome_key
    )
    return ReportDiff(
        changes,
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


def _behind(*flows: SavedFlow) -> set[str]:
    return {f"{cause.kind} {cause.policy}" for flow in flows for cause in flow.because}


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
        "before": run_document(before),
        "after": run_document(after),
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
