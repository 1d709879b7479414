"""GitHub Actions: an annotation at the line of the policy that decides, for each place that differs.

GitHub shows ten annotations of a kind for a step, so that the flows which one policy gets wrong share one.
The page of the run (`$GITHUB_STEP_SUMMARY`) gets the Markdown report, which the CLI appends.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from netprobe.diff import Kind, Status
from netprobe.model.policy import Place
from netprobe.report import words
from netprobe.report.escape import plain, workflow_data, workflow_property
from netprobe.report.style import PLAIN, Style
from netprobe.run.record import Report

MOST_FLOWS = 20  # named in one annotation

_TITLES = {
    Kind.UNEXPECTED_ALLOW: "Flows pass that should be denied",
    Kind.UNEXPECTED_DENY: "Flows are denied that should pass",
    Kind.INCONCLUSIVE: "Could not tell whether flows pass",
}


def github(report: Report, style: Style = PLAIN) -> Iterator[str]:
    """Workflow commands, errors before warnings, and the summary line for the log."""
    found: dict[tuple[Kind, Place | None], list[str]] = {}
    families = any(words.families(step.rows) for step in report.steps)
    for step, row in report.rows():
        if row.kind is None:
            continue
        why = row.why
        flow = words.flow(row.flow, families)
        told = (
            row.reason if row.status is Status.UNKNOWN else f"{words.blamed(row)}: {words.tables(row)}. {why}"
        )
        where = f"{step.name}: " if len(report.steps) > 1 else ""
        place = _in_repository(why.place, style.root) if row.status is Status.MISMATCH else None
        found.setdefault((row.kind, place), []).append(f"{where}{flow}: {told}")
    if report.enforcement:
        yield _command("error", "The cluster enforces no network policy", [report.enforcement], None)
    for problem in report.problems:
        yield _command("warning", "netprobe", [problem], None)
    for (kind, place), flows in sorted(found.items(), key=lambda item: item[0][0] is Kind.INCONCLUSIVE):
        level = "warning" if kind is Kind.INCONCLUSIVE else "error"
        yield _command(level, _TITLES[kind], flows, place)
    yield f"netprobe: {plain(words.title(report))}: {words.closing(report)}\n"  # never begins with "::"


def _in_repository(place: Place | None, root: Path | None) -> Place | None:
    """GitHub knows files by their path from the repository's folder, wherever the step runs."""
    if place is None or root is None:
        return place
    path = Path(place.file).resolve()
    return replace(place, file=str(path.relative_to(root))) if path.is_relative_to(root) else place


def _command(level: str, title: str, lines: list[str], place: Place | None) -> str:
    where = f"file={workflow_property(place.file)},line={place.line},col={place.column}," if place else ""
    more = [f"and {len(lines) - MOST_FLOWS} more"] if len(lines) > MOST_FLOWS else []
    message = workflow_data("\n".join([*lines[:MOST_FLOWS], *more]))
    return f"::{level} {where}title={workflow_property(title)}::{message}\n"
