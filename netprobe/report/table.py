"""The report for a terminal: a table with what is wrong first, or a matrix.

`table` has the essentials. `wide` adds the matrix, and for each flow the three tables and why. `matrix` has
sources down, destinations and their ports across, one character a cell. Each column has its name above it, on
its own line:

                  | backend/api 8080
                  |  | database/pg 5432
    frontend/web  .  X!

It is never wider than the terminal. If there are too many columns, a namespace is one row and column, first
with its ports, then without; columns that still do not fit follow below.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

from netprobe.diff import WRONG, FlowStatus, Row
from netprobe.model.flow import Via
from netprobe.model.text import plain
from netprobe.report import grouped, phrases
from netprobe.report.grouped import OPEN, Difference, differences, wrong
from netprobe.report.style import (
    BAD,
    BOLD,
    BOLD_BAD,
    GOOD,
    NOTE,
    PLAIN,
    UNSURE,
    Detail,
    Style,
    status_colour,
    wrapped,
)
from netprobe.report.tables import aligned
from netprobe.run.record import FlowGroup, Report, ReportStep, port_text

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
WIDTH = 120
"""Columns of a matrix in a file or a pipe."""
MIXED = "*"
LEGEND = "Sources down, destinations across: . allow, X deny, ? unknown, ! not as expected"
COLLAPSED = "* differs from pod to pod"


def table(report: Report, style: Style) -> Iterator[str]:
    """Differences with their reasons; From, To, Port, Result, and how a flow differs."""
    return framed(report, style, lambda step: _step(step, style, wide=False))


def wide(report: Report, style: Style) -> Iterator[str]:
    """The same with declared, simulated, observed and why for each flow, and a matrix."""
    return framed(report, style, lambda step: _step(step, style, wide=True))


def _step(step: ReportStep, style: Style, *, wide: bool) -> Iterator[str]:
    rows, groups = grouped.rows_or_groups(step, style.detail)
    long = len(rows) > MOST_ROWS and not wide and style.detail is Detail.AUTO
    if long and all(map(_expects_nothing, rows)):
        rows, groups = (), grouped.groups(rows)
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
    colours = [
        dict.fromkeys((3, 5), BOLD_BAD if group.note == FlowStatus.MISMATCH.value else UNSURE)
        if group.note
        else {}
        for group in shown
    ]
    yield from aligned(header, map(phrases.group, shown), colours, style, optional=True)
    if more := len(groups) - len(shown):
        yield f"and {more:,} more rows: select some with --from, --to and --port; -o json has every flow\n"


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


def framed(report: Report, style: Style, body: Callable[[ReportStep], Iterable[str]]) -> Iterator[str]:
    """The text of each step, between the title and the summary."""
    yield style.paint(wrapped(phrases.title(report), style), BOLD) + "\n"
    if report.enforcement:
        yield style.paint(wrapped(report.enforcement, style), BOLD_BAD) + "\n"
    for index, step in enumerate(report.steps):
        yield "\n"
        if len(report.steps) > 1:
            yield style.paint(wrapped(phrases.step_title(report, index), style), BOLD) + "\n\n"
        yield from body(step)
    yield "\n"
    yield from (wrapped(sentence, style) + "\n" for sentence in phrases.in_place(report))
    for problem in report.problems:
        yield style.paint(wrapped(f"problem: {problem}", style), UNSURE) + "\n"
    yield style.paint(wrapped(phrases.closing(report), style), status_colour(report.exit_status)) + "\n"


def matrix(report: Report, style: Style = PLAIN) -> Iterator[str]:
    def body(step: ReportStep) -> Iterator[str]:
        rows = tuple(step.rows)
        yield from (line + "\n" for line in matrix_lines(rows, style)) if rows else ("No flow to show.\n",)

    return framed(report, style, body)


def matrix_lines(rows: Sequence[Row], style: Style = PLAIN) -> Iterator[str]:
    """The legend, and the matrix in as much detail as fits."""
    families = phrases.has_both_families(rows)
    width = style.width or WIDTH
    for by_namespace, ports in ((False, True), (True, True), (True, False)):
        grid = _Grid(rows, by_namespace=by_namespace, ports=ports, families=families)
        if grid.width(grid.columns) <= width:
            break
    mixed = any(mark.startswith(MIXED) for mark in grid.cells.values())
    yield wrapped(f"{LEGEND}, {COLLAPSED}" if mixed else LEGEND, style)
    for columns in grid.bands(width):
        yield ""
        yield from grid.lines(columns, style)


class _Grid:
    """Cells by source and column. `columns`: the names above them, in the order of the ends."""

    def __init__(self, rows: Sequence[Row], *, by_namespace: bool, ports: bool, families: bool) -> None:
        ends = dict.fromkeys(end for row in rows for end in (row.flow.source, row.flow.destination))
        name = phrases.namespace if by_namespace else str
        order = {name: number for number, name in enumerate(dict.fromkeys(map(name, ends)))}
        cells: dict[tuple[str, str], str] = {}
        columns: dict[str, int] = {}
        for row in rows:
            destination = name(row.flow.destination)
            column = f"{destination} {_port(row, families)}" if ports else destination
            columns.setdefault(column, order[destination])
            key = name(row.flow.source), column
            cells[key] = _joined(cells.get(key), row)
        sources = {name(row.flow.source) for row in rows}
        self.sources = [source for source in order if source in sources]
        self.columns = sorted(columns, key=columns.__getitem__)
        self.cells = cells
        self._pitch = 3 if any(mark.endswith("!") for mark in cells.values()) else 2
        self._left = max(len(plain(source)) for source in self.sources) + 2

    def width(self, columns: Sequence[str]) -> int:
        """The width of the lines with these columns."""
        names = (self._pitch * number + 2 + len(plain(name)) for number, name in enumerate(columns))
        return self._left + max(names, default=0)

    def bands(self, width: int) -> Iterator[list[str]]:
        """The columns, as many at a time as fit."""
        band: list[str] = []
        for column in self.columns:
            if band and self.width([*band, column]) > width:
                yield band
                band = []
            band.append(column)
        yield band

    def lines(self, columns: Sequence[str], style: Style) -> Iterator[str]:
        bar = f"{'|':{self._pitch}}"
        for number, column in enumerate(columns):
            yield f"{'':{self._left}}{bar * number}| {plain(column)}"
        for source in self.sources:
            cells = "".join(self._cell(source, column, style) for column in columns)
            yield f"{plain(source):{self._left}}{cells}".rstrip()

    def _cell(self, source: str, column: str, style: Style) -> str:
        mark = self.cells.get((source, column), "")
        painted = style.paint(mark, UNSURE if mark[0] == "?" else BOLD_BAD) if mark.endswith("!") else mark
        return painted + " " * (self._pitch - len(mark))


def _joined(before: str | None, row: Row) -> str:
    """The mark of a cell with one more flow in it."""
    mark, wrong = row.result.mark, row.status in WRONG
    if before is not None:
        mark = mark if before[0] == mark else MIXED
        wrong = wrong or before.endswith("!")
    return mark + "!" * wrong


def _port(row: Row, families: bool) -> str:
    flow = row.flow
    way = f" by {flow.via.value}" if flow.via in {Via.DNS, Via.NODE_PORT} else ""
    return port_text(flow, families) + way + phrases.placement(flow)
