"""Markdown for pull requests and step summaries: the differences first, the whole matrix folded away."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from netprobe.diff import Row, Status
from netprobe.report import words
from netprobe.report.escape import markdown as escape
from netprobe.report.record import Report, Step
from netprobe.report.style import PLAIN, Style
from netprobe.report.table import LONGEST, groups

_MARKS = {Status.MISMATCH: "❌", Status.UNKNOWN: "❔"}


def markdown(report: Report, _style: Style = PLAIN) -> Iterator[str]:
    """A heading, a table of what differs or could not be told, and all flows under `<details>`."""
    mark = {0: "✅", 1: "❌"}.get(report.exit_status, "❔")
    yield f"### {mark} {escape(words.title(report))}\n\n"
    if report.enforcement:
        yield f"**{escape(report.enforcement)}**\n\n"
    yield f"{escape(words.closing(report))}\n"
    for problem in report.problems:
        yield f"\nProblem: {escape(problem)}\n"
    for index, step in enumerate(report.steps):
        if len(report.steps) > 1:
            yield f"\n#### {escape(words.step_title(report, index))}\n\n"
        yield "" if len(report.steps) > 1 else "\n"
        yield from _differing(step)
        yield from _all(step)


def _differing(step: Step) -> Iterator[str]:
    rows = (row for row in step.differences if row.status in _MARKS)
    opening = (
        "| | From | To | Port | Declared | Simulated | Observed | Why |\n|---|---|---|---|---|---|---|---|\n"
    )
    for row in islice(rows, LONGEST):
        why = row.reason if row.status is Status.UNKNOWN else f"{words.blamed(row)}. {step.why(row)}"
        cells = [
            *_ends(row),
            words.word(row.declared),
            words.word(row.simulated),
            words.observed(row),
            why or "",
        ]
        yield opening + _line([_MARKS[row.status], *map(escape, cells)])
        opening = ""
    if rest := sum(1 for _ in rows):
        yield f"\nand {rest:,} more\n"
    if not opening:
        yield "\n"


def _all(step: Step) -> Iterator[str]:
    held = list(islice(step.differences, LONGEST + 1))
    yield "<details><summary>All flows</summary>\n\n"
    if len(held) > LONGEST:
        yield "| From | To | Port | Result | Flows | |\n|---|---|---|---|---:|---|\n"
        for g in groups(step.differences.rows):
            cells = [g.source, g.destination, g.port, words.word(g.result), f"{g.flows:,}", g.note]
            yield _line(map(escape, cells))
    else:
        yield "| From | To | Port | Result | |\n|---|---|---|---|---|\n"
        for row in held:
            yield _line(map(escape, [*_ends(row), words.word(row.result), words.note(row)]))
    yield "\n</details>\n"


def _ends(row: Row) -> list[str]:
    return [str(row.flow.source), words.destination(row.flow), words.port(row.flow, families=True)]


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |\n"
