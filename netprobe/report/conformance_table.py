"""The report of a conformance run for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from netprobe.conformance.baseline import ConformanceReport
from netprobe.conformance.result import CaseResult, CaseStatus
from netprobe.model.text import plain
from netprobe.report import conformance_text
from netprobe.report.style import BAD, BOLD, BOLD_BAD, BOLD_UNSURE, GOOD, PLAIN, UNSURE, Style, status_colour
from netprobe.report.tables import aligned
from netprobe.report.text import wrapped

_COLOURS = {CaseStatus.FAILED: BOLD_BAD, CaseStatus.FLAKY: BOLD_UNSURE, CaseStatus.UNKNOWN: BOLD_UNSURE}
MOST_CASES = 20


def table(found: ConformanceReport, style: Style = PLAIN) -> Iterator[str]:
    """Features, each case that is not as expected, and a summary line."""
    results = found.results
    yield style.paint(wrapped(conformance_text.title(found), style), BOLD) + "\n"
    if results.enforcement:
        yield style.paint(wrapped(results.enforcement, style), BOLD_BAD) + "\n"
    yield "\n"
    head, lines = conformance_text.features(results)
    colours = [{1: _feature_colour(some)} for some in results.features().values()]
    yield from aligned(head, lines, colours, style, right=range(1, len(head)))
    asides = list(conformance_text.side_notes(results))
    yield "\n" if asides else ""
    yield from (wrapped(line, style) + "\n" for line in asides)
    noted = conformance_text.listed_results(results)
    for result in noted[:MOST_CASES]:
        yield from _case(result, style)
    if len(noted) > MOST_CASES:
        yield f"\nand {len(noted) - MOST_CASES} more cases that did not pass: `-o json` holds them all\n"
    changed = list(conformance_text.changed(found))
    if changed:
        yield "\nSince the previous run:\n"
        yield from (wrapped(line, style, "  ") + "\n" for line in changed)
    yield "\n"
    for problem in results.problems:
        yield style.paint(wrapped(f"problem: {problem}", style), UNSURE) + "\n"
    closing = wrapped(conformance_text.closing(found), style)
    yield style.paint(closing, status_colour(found.exit_status)) + "\n"


def _feature_colour(results: Sequence[CaseResult]) -> str:
    scored = [result for result in results if result.status in conformance_text.SCORED]
    if all(result.status is CaseStatus.PASSED for result in scored):
        return GOOD
    return BAD if any(result.status is CaseStatus.FAILED for result in scored) else UNSURE


def _case(result: CaseResult, style: Style) -> Iterator[str]:
    """A case and why it did not pass, with its matrix and policies if flows differ or for several reasons."""
    heading = f"{result.status.name} {conformance_text.heading(result)}"
    yield "\n" + style.paint(wrapped(heading, style), _COLOURS[result.status]) + "\n"
    yield wrapped(f"rules: {', '.join(result.case.rules)}; {result.case.place}", style, "  ") + "\n"
    unknown = [row.reason for step in result.steps for row in step.unknown]
    one_reason = result.status is CaseStatus.UNKNOWN and set(unknown) == {result.reason}
    if one_reason and len(unknown) > conformance_text.MOST_FLOWS:
        yield wrapped(f"{len(unknown)} flows: {result.reason}", style, "  ") + "\n"
        return
    for line in conformance_text.sentences(result):
        bare = line.lstrip()
        yield wrapped(bare, style, "  " + " " * (len(line) - len(bare))) + "\n"
    yield from (f"    {plain(line)}\n" for line in conformance_text.evidence(result))
