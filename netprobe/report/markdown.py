"""The report for pull requests and step summaries: the differences first, all flows folded away."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from netprobe.diff import FlowStatus, Row
from netprobe.report import phrases
from netprobe.report.alike import rows_or_groups
from netprobe.report.escape import markdown as escape
from netprobe.report.style import PLAIN, Style
from netprobe.report.tables import markdown_table
from netprobe.run.record import LONGEST, Report, ReportStep

_MARKS = {FlowStatus.MISMATCH: "❌", FlowStatus.UNKNOWN: "❔"}


def markdown(report: Report, _style: Style = PLAIN) -> Iterator[str]:
    """A heading, a table of mismatches and unknown flows, and all flows under `<details>`."""
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
        if step.counts.mismatches or step.counts.unknown:
            yield from _differences(step)
        yield from _all_flows(step)


def _differences(step: ReportStep) -> Iterator[str]:
    families = phrases.has_both_families(step.rows)
    header = ("", "From", "To", "Port", "Declared", "Simulated", "Observed", "Why")
    rows = (row for row in step.rows if row.status in _MARKS)
    yield from markdown_table(header, (_difference(row, families) for row in islice(rows, LONGEST)))
    if more := sum(1 for _ in rows):
        yield f"\nand {more:,} more\n"
    yield "\n"


def _difference(row: Row, families: bool) -> tuple[str, ...]:
    why = row.reason if row.status is FlowStatus.UNKNOWN else f"{phrases.differing_tables(row)}. {row.why}"
    return (_MARKS[row.status], *phrases.ends(row, families), *phrases.verdicts(row), why or "")


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
