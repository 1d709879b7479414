"""The matrix of a report: sources down, destinations and their ports across, one character a cell.

Each column has its name above it, on its own line:

                  | backend/api 8080
                  |  | database/pg 5432
    frontend/web  .  X!

It is never wider than the terminal. If there are too many columns, namespaces stand for their pods, then for
their ports too; columns that still do not fit follow below.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from netprobe.diff import FlowStatus, Row
from netprobe.model.flow import Via
from netprobe.model.text import plain
from netprobe.report import phrases
from netprobe.report.style import BOLD_BAD, PLAIN, UNSURE, Style
from netprobe.report.text import framed, wrapped
from netprobe.run.record import Report, ReportStep, port_text

WIDTH = 120
"""Columns of a matrix in a file or a pipe."""
MIXED = "*"
LEGEND = "Sources down, destinations across: . allow, X deny, ? unknown, ! not as expected"
COLLAPSED = "* differs from pod to pod"


def matrix(report: Report, style: Style = PLAIN) -> Iterator[str]:
    """A matrix for each step."""

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
        """Of the lines of these columns."""
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
    mark, wrong = row.result.mark, row.status in {FlowStatus.MISMATCH, FlowStatus.UNKNOWN}
    if before is not None:
        mark = mark if before[0] == mark else MIXED
        wrong = wrong or before.endswith("!")
    return mark + "!" * wrong


def _port(row: Row, families: bool) -> str:
    flow = row.flow
    way = f" by {flow.via.value}" if flow.via in {Via.DNS, Via.NODE_PORT} else ""
    return port_text(flow, families) + way + phrases.placement(flow)
