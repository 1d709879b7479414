"""GitHub Actions: an annotation for each feature that has failures. The page gets the Markdown form."""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.conformance.result import CaseStatus, Result
from netprobe.report import conformance_text
from netprobe.report.conformance import Conformance
from netprobe.report.escape import plain, workflow_data, workflow_property
from netprobe.report.style import PLAIN, Style

MOST_CASES = 10  # GitHub shows no more than ten annotations of a kind, and cuts long ones


def github(found: Conformance, _style: Style = PLAIN) -> Iterator[str]:
    results = found.results
    if results.enforcement:
        yield _command("error", "The cluster enforces no network policy", [results.enforcement])
    for problem in results.problems:
        level = "error" if results.counts[CaseStatus.UNTRIED] else "warning"
        yield _command(level, "netprobe", [problem])
    for feature, some in results.features().items():
        failed = [result for result in some if result.counts_against]
        if failed:
            yield _command("error", f"{feature}: not as NetworkPolicy says", map(_told, failed))
    moved = list(results.of(CaseStatus.FLAKY, CaseStatus.UNKNOWN))
    if moved:
        yield _command("warning", "Could not tell, or flaky", map(_told, moved))
    yield f"netprobe: {plain(conformance_text.title(found))}: {conformance_text.closing(found)}\n"


def _told(result: Result) -> str:
    told = next(conformance_text.sentences(result), "")
    return f"{result.case.name}: {told}"


def _command(level: str, title: str, lines: Iterator[str] | list[str]) -> str:
    every = list(lines)
    more = [f"and {len(every) - MOST_CASES} more"] if len(every) > MOST_CASES else []
    message = workflow_data("\n".join([*every[:MOST_CASES], *more]))
    return f"::{level} title={workflow_property(title)}::{message}\n"
