"""GitHub Actions: annotations at the lines of the policies that decide, and a summary line for the log.

GitHub shows at most ten annotations of a level for a step, so flows that one policy gets wrong share one.
The page of the workflow run gets the Markdown report (see `cli/emit.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from netprobe.diff import FlowStatus, MismatchKind, Row
from netprobe.model.policy import Place
from netprobe.model.text import plain
from netprobe.report import phrases
from netprobe.report.escape import workflow_data, workflow_property
from netprobe.report.grouped import Difference, differences
from netprobe.report.style import PLAIN, Style, in_repository
from netprobe.run.record import Report

MOST_LINES = 60
"""Lines of one annotation."""
MOST_FLOWS = 10
"""Flows that are listed with one reason."""

_TITLES = {
    MismatchKind.UNEXPECTED_ALLOW: "Flows are allowed that should be denied",
    MismatchKind.UNEXPECTED_DENY: "Flows are denied that should be allowed",
    MismatchKind.INCONCLUSIVE: "Could not tell whether flows are allowed",
}


def github(report: Report, style: Style = PLAIN) -> Iterator[str]:
    """Workflow commands, errors before warnings, then the summary line."""
    families = any(phrases.has_both_families(step.rows) for step in report.steps)
    found: dict[tuple[MismatchKind, Place | None], list[str]] = {}
    for step in report.steps:
        where = f"{step.name}: " if len(report.steps) > 1 else ""
        for one in differences(step.rows):
            for (kind, place), rows in _by_place(one, style.root).items():
                lines = [f"{where}{phrases.flow(row.flow, families)}: {phrases.tables(row)}" for row in rows]
                more = [f"and {len(lines) - MOST_FLOWS:,} more flows"] if len(lines) > MOST_FLOWS else []
                reason = [
                    f"{one.summary}{'.' if one.reasons else ''}",
                    *(f"  {text}" for text in one.reasons),
                ]
                found.setdefault((kind, place), []).extend([*lines[:MOST_FLOWS], *more, *reason])
    if report.enforcement:
        yield annotation("error", "The cluster enforces no network policy", [report.enforcement])
    for problem in (*report.problems, *phrases.warnings(report)):
        yield annotation("warning", "netprobe", [problem])
    for (kind, place), lines in sorted(
        found.items(), key=lambda item: item[0][0] is MismatchKind.INCONCLUSIVE
    ):
        level = "warning" if kind is MismatchKind.INCONCLUSIVE else "error"
        yield annotation(level, _TITLES[kind], lines, place)
    yield f"netprobe: {plain(phrases.title(report))}: {phrases.closing(report)}\n"  # cannot begin with "::"


def _by_place(one: Difference, root: Path | None) -> dict[tuple[MismatchKind, Place | None], list[Row]]:
    """The flows of a difference by kind and by the line that decides them, which a reason may share."""
    found: dict[tuple[MismatchKind, Place | None], list[Row]] = {}
    for row in one.rows:
        place = row.why.place if row.status is FlowStatus.MISMATCH else None
        if place is not None:
            place = replace(place, file=in_repository(place.file, root))
        found.setdefault((row.kind or MismatchKind.INCONCLUSIVE, place), []).append(row)
    return found


def annotation(
    level: str, title: str, lines: Sequence[str], place: Place | None = None, most: int = MOST_LINES
) -> str:
    """One workflow command; `level` is error, warning or notice. At most `most` lines are shown."""
    where = f"file={workflow_property(place.file)},line={place.line},col={place.column}," if place else ""
    more = [f"and {len(lines) - most} more"] if len(lines) > most else []
    message = workflow_data("\n".join([*lines[:most], *more]))
    return f"::{level} {where}title={workflow_property(title)}::{message}\n"
