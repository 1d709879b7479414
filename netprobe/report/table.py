"""Tables for a terminal: `table` with the four columns people know, `wide` with all that is known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from tabulate import tabulate

from netprobe.diff import Row, Status
from netprobe.model.verdict import Verdict
from netprobe.report import words
from netprobe.report.alike import grouped
from netprobe.report.escape import plain
from netprobe.report.matrix import matrices
from netprobe.report.style import Style
from netprobe.run.record import Group, Report, Step

MOST_GROUPS = 500
MOST_TOLD = 50  # mismatches explained below the table; the formats for programs hold them all
NARROWEST_NOTE = 24

_COLOURS = {Verdict.ALLOW: "32", Verdict.DENY: "31", Verdict.UNKNOWN: "33"}


def table(report: Report, style: Style) -> Iterator[str]:
    """From, To, Port, Result, and a note where a flow is not simply as expected."""
    yield from _frame(report, style, wide=False)


def wide(report: Report, style: Style) -> Iterator[str]:
    """The same with declared, simulated, observed and why, and a matrix for each port."""
    yield from _frame(report, style, wide=True)


def _frame(report: Report, style: Style, *, wide: bool) -> Iterator[str]:
    yield style.paint(plain(words.title(report)), "1") + "\n"
    if report.enforcement:
        yield style.paint(plain(report.enforcement), "1;31") + "\n"
    for index, step in enumerate(report.steps):
        yield "\n"
        if len(report.steps) > 1:
            yield style.paint(plain(words.step_title(report, index)), "1") + "\n\n"
        yield from _step(step, style, wide=wide)
    yield "\n"
    yield from (plain(sentence) + "\n" for sentence in words.in_place(report))
    for problem in report.problems:
        yield style.paint(f"problem: {plain(problem)}", "33") + "\n"
    colour = {1: "1;31", 3: "1;33"}.get(report.exit_status, "32")
    yield style.paint(words.closing(report), colour) + "\n"


def _step(step: Step, style: Style, *, wide: bool) -> Iterator[str]:
    held, together = grouped(step)
    if together:
        yield from _groups(together, style)
    elif not held:
        yield "No flow to show.\n"
    else:
        yield from _rows(held, style, wide=wide)
        if wide:
            yield "\n"
            yield from (line + "\n" for line in matrices(held))
    if step.counts.mismatches:
        rows = step.rows if together else held
        yield from _explained(step, (row for row in rows if row.status is Status.MISMATCH), style)


def _rows(rows: Sequence[Row], style: Style, *, wide: bool) -> Iterator[str]:
    families = words.families(rows)
    header = ["From", "To", "Port", "Result"]
    header += ["Declared", "Simulated", "Observed", "Why"] if wide else [""]
    lines = []
    for row in rows:
        ends = [plain(str(row.flow.source)), plain(words.destination(row.flow))]
        cells = [*ends, words.port(row.flow, families), words.word(row.result)]
        if wide:
            told = [sentence for sentence in row.why.sentences if sentence != row.reason]
            why = "; ".join(filter(None, (words.mark(row), *told)))
            cells += [words.word(row.declared), words.word(row.simulated), words.observed(row), plain(why)]
        else:
            cells.append(plain(words.note(row)))
        lines.append(cells)
    if not wide and not any(cells[-1] for cells in lines):
        header, lines = header[:-1], [cells[:-1] for cells in lines]
    results = [row.result for row in rows]
    marked = [row.status is Status.MISMATCH for row in rows]
    yield from _draw(header, lines, results, marked, style)


def _draw(
    header: Sequence[str],
    lines: Sequence[list[str]],
    results: Sequence[Verdict],
    marked: Sequence[bool],
    style: Style,
) -> Iterator[str]:
    """The table, its last column cut where the terminal ends, its results coloured."""
    if style.width and len(header) > 4:
        # tabulate pads a heading by two, and puts two between columns.
        widths = [
            max(len(header[i]) + 2, *(len(cells[i]) for cells in lines)) for i in range(len(header) - 1)
        ]
        fixed = sum(widths) + 2 * len(widths)
        room = max(style.width - fixed, NARROWEST_NOTE)
        for cells in lines:
            cells[-1] = cells[-1] if len(cells[-1]) <= room else cells[-1][: room - 1] + "…"
    for cells, result, mark in zip(lines, results, marked, strict=True):
        cells[3] = style.paint(cells[3], _COLOURS[result])
        if mark and len(cells) > 4:
            cells[-1] = style.paint(cells[-1], "1;31")
    drawn = tabulate(lines, header, tablefmt="simple", disable_numparse=True)
    yield from (line.rstrip() + "\n" for line in drawn.splitlines())


def _groups(rows: Sequence[Group], style: Style) -> Iterator[str]:
    lines = [[g.source, g.destination, g.port, words.word(g.result), f"{g.flows:,}", g.note] for g in rows]
    header = ["From", "To", "Port", "Result", "Flows", ""]
    if not any(g.note for g in rows):
        header, lines = header[:-1], [cells[:-1] for cells in lines]
    yield "Pods that behave alike share a row.\n"
    results, marked = [g.result for g in rows[:MOST_GROUPS]], [bool(g.note) for g in rows[:MOST_GROUPS]]
    yield from _draw(header, lines[:MOST_GROUPS], results, marked, style)
    if len(rows) > MOST_GROUPS:
        more = f"and {len(rows) - MOST_GROUPS:,} rows more"
        yield f"{more}: --from, --to and --port narrow it, `-o json` holds every flow\n"


def _explained(step: Step, rows: Iterable[Row], style: Style) -> Iterator[str]:
    """Each mismatch with the policy, rule, peer and side that decide it."""
    rows = iter(rows)
    told = list(islice(rows, MOST_TOLD))
    yield "\n" if told else ""
    families = words.families(step.rows)
    for row in told:
        mismatch = f"MISMATCH {words.flow(row.flow, families)}: {words.tables(row)}"
        yield style.paint(plain(mismatch), "31") + "\n"
        yield f"  {words.blamed(row)}\n"
        yield from (f"  {plain(sentence)}\n" for sentence in row.why.sentences)
    if rest := sum(1 for _ in rows):
        yield f"and {rest:,} more mismatches: `-o json` holds them all\n"
