"""Markdown for pull requests and step summaries: the differences first, the whole matrix folded away."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from netprobe.diff import Row, Status
from netprobe.report import words
from netprobe.report.alike import grouped
from netprobe.report.escape import markdown as escape
from netprobe.report.style import PLAIN, Style
from netprobe.run.record import LONGEST, Report, Step

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
    for sentence in words.in_place(report):
        yield f"\n{escape(sentence)}\n"
    for index, step in enumerate(report.steps):
        if len(report.steps) > 1:
            yield f"\n#### {escape(words.step_title(report, index))}\n\n"
        yield "" if len(report.steps) > 1 else "\n"
        yield from _differing(step)
        yield from _all(step)


def _differing(step: Step) -> Iterator[str]:
    counts = step.counts
    if not (counts.mismatches or counts.unknown):
        return
    rows = (row for row in step.rows if row.status in _MARKS)
    opening = (
        "| | From | To | Port | Declared | Simulated | Observed | Why |\n|---|---|---|---|---|---|---|---|\n"
    )
    families = words.families(step.rows)
    for row in islice(rows, LONGEST):
        why = row.reason if row.status is Status.UNKNOWN else f"{words.blamed(row)}. {row.why}"
        cells = [
            *_ends(row, families),
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
    held, together = grouped(step)
    yield "<details><summary>All flows</summary>\n\n"
    if together:
        yield "| From | To | Port | Result | Flows | |\n|---|---|---|---|---:|---|\n"
        for g in together[:LONGEST]:
            cells = [g.source, g.destination, g.port, words.word(g.result), f"{g.flows:,}", g.note]
            yield _line(map(escape, cells))
        if len(together) > LONGEST:
            yield f"\nand {len(together) - LONGEST:,} rows more\n"
    else:
        yield "| From | To | Port | Result | |\n|---|---|---|---|---|\n"
        families = words.families(held)
        for row in held:
            yield _line(map(escape, [*_ends(row, families), words.word(row.result), words.note(row)]))
    yield "\n</details>\n"


def _ends(row: Row, families: bool) -> list[str]:
    return [str(row.flow.source), words.destination(row.flow), words.port(row.flow, families)]


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |\n"
