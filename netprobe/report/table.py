"""The report for a terminal: what is wrong first, then the flows.

`table` has the essentials. `wide` adds a matrix, and for each flow the three tables and why.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice

from netprobe.diff import FlowStatus, Row
from netprobe.report import alike, phrases
from netprobe.report.differences import OPEN, Difference, differences, wrong
from netprobe.report.matrix import matrix_lines
from netprobe.report.style import BAD, BOLD_BAD, GOOD, NOTE, UNSURE, Detail, Style
from netprobe.report.tables import aligned
from netprobe.report.text import framed, wrapped
from netprobe.run.record import FlowGroup, Report, ReportStep

MOST_ROWS = 40
"""Rows of a table; if there are more, flows that are as expected are counted by namespaces."""
MOST_GROUPS = 500
MOST_PAIRS = 60
MOST_REASONS = 50
"""Reasons that are shown; the other formats hold them all."""
PATCH = "`netprobe simulate SUITE --diff` prints these changes as a patch for `git apply`"
MOST_FLOWS = 8
"""Flows that are listed with one reason."""

_COLOURS = {
    FlowStatus.AS_EXPECTED: GOOD,
    FlowStatus.MISMATCH: BOLD_BAD,
    FlowStatus.UNKNOWN: UNSURE,
    FlowStatus.UNDEFINED: NOTE,
    FlowStatus.SKIPPED: NOTE,
}


def table(report: Report, style: Style) -> Iterator[str]:
    """Differences with their reasons; From, To, Port, Result, and how a flow differs."""
    return framed(report, style, lambda step: _step(step, style, wide=False))


def wide(report: Report, style: Style) -> Iterator[str]:
    """The same with declared, simulated, observed and why for each flow, and a matrix."""
    return framed(report, style, lambda step: _step(step, style, wide=True))


def _step(step: ReportStep, style: Style, *, wide: bool) -> Iterator[str]:
    rows, groups = alike.rows_or_groups(step, style.detail)
    long = len(rows) > MOST_ROWS and not wide and style.detail is Detail.AUTO
    if long and all(map(_expects_nothing, rows)):
        rows, groups = (), alike.groups(rows)
    found = wrong(step, rows)
    families = phrases.has_both_families(rows or step.rows)
    yield from _differences(found, families, style)
    if any(row.fix is not None for one in found for row in one.rows):
        yield wrapped(PATCH, style) + "\n"
    if found:
        yield "\n"
    if groups:
        yield from _groups(groups, style)
    elif not rows:
        yield "No flow to show.\n"
    elif not long:
        yield from _rows(rows, style, wide=wide)
        if wide:
            yield "\n"
            yield from (line + "\n" for line in matrix_lines(rows, style))
    else:
        yield from _by_namespaces(rows, style)
    if open_ := differences(rows, OPEN):
        yield "\n"
        yield from _differences(open_, families, style)


def _rows(rows: Sequence[Row], style: Style, *, wide: bool) -> Iterator[str]:
    families = phrases.has_both_families(rows)
    details = ("Declared", "Simulated", "Observed", "Why") if wide else ("Difference",)
    lines = [
        (
            *phrases.ends(row, families),
            phrases.verdict(row.result),
            *((*phrases.verdicts(row), _why(row)) if wide else (phrases.short_note(row),)),
        )
        for row in rows
    ]
    painted = (3,) if wide else (3, 4)
    colours = [{} if _expects_nothing(row) else dict.fromkeys(painted, _COLOURS[row.status]) for row in rows]
    header = ("From", "To", "Port", "Result", *details)
    return aligned(header, lines, colours, style, optional=not wide)


def _expects_nothing(row: Row) -> bool:
    """Whether only the policies say something about the flow, so that it cannot be as expected or not."""
    return row.declared is None and row.observed is None and row.status is FlowStatus.AS_EXPECTED


def _why(row: Row) -> str:
    reasons = (sentence for sentence in row.why.sentences if sentence != row.reason)
    return "; ".join(filter(None, (phrases.mark(row), *reasons)))


def _groups(groups: Sequence[FlowGroup], style: Style) -> Iterator[str]:
    shown = groups if style.detail is Detail.ALL else groups[:MOST_GROUPS]
    header = ("From", "To", "Port", "Result", "Flows", "Difference")
    yield "Pods that behave alike share a row:\n\n"
    colours = [dict.fromkeys((3, 5), _group_colour(group)) if group.note else {} for group in shown]
    yield from aligned(header, map(phrases.group, shown), colours, style, optional=True)
    if more := len(groups) - len(shown):
        yield f"and {more:,} more rows: select some with --from, --to and --port; -o json has every flow\n"


def _group_colour(group: FlowGroup) -> str:
    return BOLD_BAD if group.note == FlowStatus.MISMATCH.value else UNSURE


def _by_namespaces(rows: Sequence[Row], style: Style) -> Iterator[str]:
    """Flows that are as expected, counted by pairs of namespaces; the others are shown one by one."""
    pairs: dict[tuple[str, str], Counter[str]] = {}
    for row in rows:
        if row.status is FlowStatus.AS_EXPECTED:
            pair = phrases.namespace(row.flow.source), phrases.namespace(row.flow.destination)
            doubt = " (not certain)" if phrases.mark(row) else ""
            pairs.setdefault(pair, Counter())[phrases.verdict(row.result) + doubt] += 1
    if pairs:
        yield "As expected, by namespaces; --all shows every flow:\n\n"
        lines = [
            (*pair, f"{counts.total():,}", ", ".join(f"{n:,} {v}" for v, n in sorted(counts.items())))
            for pair, counts in islice(pairs.items(), MOST_PAIRS)
        ]
        yield from aligned(
            ("From", "To", "Flows", "Result"), lines, ({3: GOOD} for _ in lines), style, right=(2,)
        )
        if more := len(pairs) - len(lines):
            yield f"and {more:,} more pairs of namespaces\n"


def _differences(found: Sequence[Difference], families: bool, style: Style) -> Iterator[str]:
    """Each reason, below the flows that share it."""
    most = None if style.detail is Detail.ALL else MOST_FLOWS
    for one in found[:MOST_REASONS]:
        paint = {FlowStatus.MISMATCH: BAD, FlowStatus.UNKNOWN: UNSURE}.get(one.status, NOTE)
        label = {FlowStatus.MISMATCH: "MISMATCH ", FlowStatus.UNKNOWN: "UNKNOWN "}.get(one.status, "")
        for row in one.rows[:most]:
            tables = phrases.tables(row)
            line = f"{label}{phrases.flow(row.flow, families)}{f': {tables}' if tables else ''}"
            yield style.paint(wrapped(line, style), paint) + "\n"
        if most and len(one.rows) > most:
            yield style.paint(f"{label}and {len(one.rows) - most:,} more flows", paint) + "\n"
        for sentence in (one.summary, *one.reasons):
            yield wrapped(sentence, style, "  ") + "\n"
    if len(found) > MOST_REASONS:
        yield f"and {len(found) - MOST_REASONS:,} more reasons: -o json has every flow\n"
