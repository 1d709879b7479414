"""The report for pull requests and step summaries: the differences first, all flows folded away."""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.diff import FlowStatus
from netprobe.report import phrases
from netprobe.report.escape import markdown as escape
from netprobe.report.grouped import rows_or_groups, wrong
from netprobe.report.style import PLAIN, Style
from netprobe.report.tables import markdown_table
from netprobe.run.record import LONGEST, Report, ReportStep

_MARKS = {FlowStatus.MISMATCH: "❌", FlowStatus.UNKNOWN: "❔"}
MOST_REASONS = 50
MOST_FLOWS = 100
"""Flows that are listed with one reason."""


def markdown(report: Report, _style: Style = PLAIN) -> Iterator[str]:
    """A heading, the differences by their reason, and all flows under `<details>`."""
    mark = {0: "✅", 1: "❌"}.get(report.exit_status, "❔")
    yield f"### {mark} {escape(phrases.title(report))}\n\n"
    if report.enforcement:
        yield f"**{escape(report.enforcement)}**\n\n"
    yield f"{escape(phrases.closing(report))}\n"
    for problem in report.problems:
        yield f"\nProblem: {escape(problem)}\n"
    for sentence in phrases.in_place(report):
        yield f"\n{escape(sentence)}\n"
    for index, step in enumerate(report.steps):
        if len(report.steps) > 1:
            yield f"\n#### {escape(phrases.step_title(report, index))}\n"
        yield "\n"
        yield from _differences(step)
        yield from _all_flows(step)


def _differences(step: ReportStep) -> Iterator[str]:
    """Each reason once, above the flows that share it."""
    families = phrases.has_both_families(step.rows)
    header = ("", "From", "To", "Port", "Declared", "Simulated", "Observed")
    found = wrong(step)
    for one in found[:MOST_REASONS]:
        yield f"**{escape(one.summary)}**\n\n"
        yield from (f"- {escape(reason)}\n" for reason in one.reasons)
        yield "\n" if one.reasons else ""
        mark = _MARKS[one.status]
        rows = ((mark, *phrases.ends(r, families), *phrases.verdicts(r)) for r in one.rows[:MOST_FLOWS])
        yield from markdown_table(header, rows)
        if len(one.rows) > MOST_FLOWS:
            yield f"\nand {len(one.rows) - MOST_FLOWS:,} more flows\n"
        yield "\n"
    if len(found) > MOST_REASONS:
        yield f"and {len(found) - MOST_REASONS:,} more reasons\n\n"


def _all_flows(step: ReportStep) -> Iterator[str]:
    rows, groups = rows_or_groups(step)
    yield "<details><summary>All flows</summary>\n\n"
    if groups:
        header = ("From", "To", "Port", "Result", "Flows", "")
        yield from markdown_table(header, map(phrases.group, groups[:LONGEST]), right=(4,))
        if len(groups) > LONGEST:
            yield f"\nand {len(groups) - LONGEST:,} more rows\n"
    else:
        families = phrases.has_both_families(rows)
        yield from markdown_table(
            ("From", "To", "Port", "Result", ""),
            ((*phrases.ends(r, families), phrases.verdict(r.result), phrases.note(r)) for r in rows),
        )
    yield "\n</details>\n"
