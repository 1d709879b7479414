"""A conformance report as a table, Markdown, GitHub annotations and JUnit XML; all formats in a folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from netprobe.conformance.baseline import ConformanceReport
from netprobe.conformance.result import CaseResult, CaseStatus, Triage
from netprobe.model.text import plain
from netprobe.report import CONFORMANCE_FORMATS, save
from netprobe.report import conformance_text as text
from netprobe.report.escape import markdown as escape
from netprobe.report.github import annotation
from netprobe.report.junit import CLOSING, OPENING, JUnitCase, JUnitOutcome, suite_xml
from netprobe.report.style import (
    BAD,
    BOLD,
    BOLD_BAD,
    BOLD_UNSURE,
    GOOD,
    PLAIN,
    UNSURE,
    Style,
    status_colour,
    wrapped,
)
from netprobe.report.tables import aligned, markdown_table

_COLOURS = {CaseStatus.FAILED: BOLD_BAD, CaseStatus.FLAKY: BOLD_UNSURE, CaseStatus.UNKNOWN: BOLD_UNSURE}
MOST_LISTED = 20
MOST_FOLDED = 30
MOST_ANNOTATED = 10
"""GitHub shows at most ten annotations of a kind, and cuts long ones."""
FILES = {
    "report.html": "html",
    "report.json": "json",
    "report.md": "markdown",
    "junit_conformance.xml": "junit",
}


def table(found: ConformanceReport, style: Style = PLAIN) -> Iterator[str]:
    """Features, each case that is not as expected, and a summary line."""
    results = found.results
    yield style.paint(wrapped(text.title(found), style), BOLD) + "\n"
    if results.enforcement:
        yield style.paint(wrapped(results.enforcement, style), BOLD_BAD) + "\n"
    yield "\n"
    head, lines = text.features(results)
    colours = [{1: _feature_colour(some)} for some in results.features().values()]
    yield from aligned(head, lines, colours, style, right=range(1, len(head)))
    asides = list(text.side_notes(results))
    yield "\n" if asides else ""
    yield from (wrapped(line, style) + "\n" for line in asides)
    noted = text.listed_results(results)
    for result in noted[:MOST_LISTED]:
        yield from _listed(result, style)
    if len(noted) > MOST_LISTED:
        yield f"\nand {len(noted) - MOST_LISTED} more cases that did not pass: `-o json` holds them all\n"
    changed = list(text.change_lines(found.changes))
    if changed:
        yield "\nSince the previous run:\n"
        yield from (wrapped(line, style, "  ") + "\n" for line in changed)
    yield "\n"
    for problem in results.problems:
        yield style.paint(wrapped(f"problem: {problem}", style), UNSURE) + "\n"
    closing = wrapped(text.closing(found), style)
    yield style.paint(closing, status_colour(found.exit_status)) + "\n"


def _feature_colour(results: Sequence[CaseResult]) -> str:
    scored = [result for result in results if result.status in text.SCORED]
    if all(result.status is CaseStatus.PASSED for result in scored):
        return GOOD
    return BAD if any(result.status is CaseStatus.FAILED for result in scored) else UNSURE


def _listed(result: CaseResult, style: Style) -> Iterator[str]:
    """A case and why it did not pass, with its matrix and policies if flows differ or for several reasons."""
    heading = f"{result.status.name} {text.heading(result)}"
    yield "\n" + style.paint(wrapped(heading, style), _COLOURS[result.status]) + "\n"
    yield wrapped(f"rules: {', '.join(result.case.rules)}; {result.case.place}", style, "  ") + "\n"
    unknown = [row.reason for step in result.steps for row in step.unknown]
    one_reason = result.status is CaseStatus.UNKNOWN and set(unknown) == {result.reason}
    if one_reason and len(unknown) > text.MOST_FLOWS:
        yield wrapped(f"{len(unknown)} flows: {result.reason}", style, "  ") + "\n"
        return
    for line in text.sentences(result):
        bare = line.lstrip()
        yield wrapped(bare, style, "  " + " " * (len(line) - len(bare))) + "\n"
    yield from (f"    {plain(line)}\n" for line in text.evidence(result))


def markdown(found: ConformanceReport, _style: Style = PLAIN) -> Iterator[str]:
    results = found.results
    yield f"## {escape(text.title(found))}\n\n**{escape(text.closing(found))}**\n\n"
    if results.enforcement:
        yield f"**{escape(results.enforcement)}**\n\n"
    head, lines = text.features(results)
    yield from markdown_table(head, lines)
    yield "\n"
    yield from (
        f"- {escape(line)}\n" for line in (*text.side_notes(results), *text.change_lines(found.changes))
    )
    for problem in results.problems:
        yield f"- problem: {escape(problem)}\n"
    listed = text.listed_results(results)
    for result in listed[:MOST_FOLDED]:
        yield from _folded(result)
    if len(listed) > MOST_FOLDED:
        yield f"\nand {len(listed) - MOST_FOLDED} more cases that did not pass\n"


def _folded(result: CaseResult) -> Iterator[str]:
    summary = f"{result.status.value}: {escape(text.heading(result))}"
    yield f"\n<details><summary>{summary}</summary>\n\n```text\n"
    yield f"rules: {', '.join(result.case.rules)}; {plain(result.case.place)}\n"
    lines = (*text.sentences(result), *text.evidence(result))
    yield from (f"{plain(line).replace('```', '` ` `')}\n" for line in lines)
    yield "```\n\n</details>\n"


def github(found: ConformanceReport, _style: Style = PLAIN) -> Iterator[str]:
    results = found.results
    if results.enforcement:
        yield annotation("error", "The cluster enforces no network policy", [results.enforcement])
    for problem in results.problems:
        level = "error" if results.counts[CaseStatus.UNTRIED] else "warning"
        yield annotation(level, "netprobe", [problem])
    for feature, some in results.features().items():
        failed = [result for result in some if result.counts_against]
        if failed:
            title = f"{feature}: not as NetworkPolicy says"
            yield annotation("error", title, [*map(_summary, failed)], most=MOST_ANNOTATED)
    moved = list(results.of(CaseStatus.FLAKY, CaseStatus.UNKNOWN))
    if moved:
        yield annotation("warning", "Unknown or flaky", [*map(_summary, moved)], most=MOST_ANNOTATED)
    yield f"netprobe: {plain(text.title(found))}: {text.closing(found)}\n"


def _summary(result: CaseResult) -> str:
    sentence = next(text.sentences(result), "")
    return f"{result.case.name}: {sentence}"


def junit(found: ConformanceReport, _style: Style = PLAIN) -> Iterator[str]:
    """A test suite per feature, a test case per case.

    A failure that is expected, or that the baseline had, is reported as skipped with that reason, so that it
    does not fail a pipeline. So is a case that was not tried; an error in a suite of its own says that there
    are such cases.
    """
    suites = {
        feature: [
            JUnitCase(result.case.name, f"conformance.{feature}", _outcome(result), result.seconds)
            for result in some
        ]
        for feature, some in found.results.features().items()
    }
    if found.results.counts[CaseStatus.UNTRIED]:
        suites["the run"] = [JUnitCase("every case was tried", "conformance.the run", _untried(found))]
    yield OPENING
    for index, (name, cases) in enumerate(suites.items()):
        yield from suite_xml(
            f"conformance: {name}",
            cases,
            filter(None, (found.results.enforcement, *found.results.problems)),
            index=index,
            run=found.run,
            cluster=found.cluster,
            seconds=sum(case.seconds for case in cases),
        )
    yield CLOSING


def _untried(found: ConformanceReport) -> JUnitOutcome:
    """The error that distinguishes a run that ended early from one that passed."""
    untried, every = found.results.counts[CaseStatus.UNTRIED], len(found.results.results)
    message = f"{untried} of {every} cases were not tried"
    body = " | ".join(found.results.problems) or message
    return JUnitOutcome("error", message, CaseStatus.UNTRIED.value, body)


def _outcome(result: CaseResult) -> JUnitOutcome | None:
    """None for a case that passed."""
    kind = _kind(result)
    if kind == "passed":
        return None
    if kind == "skipped":
        message = text.known_status(result) or result.reason or result.status.value
        return JUnitOutcome(kind, f"not tried: {message}" if result.status is CaseStatus.UNTRIED else message)
    lines = list(text.sentences(result))
    return JUnitOutcome(kind, lines[0] if lines else "", result.status.value, " | ".join(lines))


def _kind(result: CaseResult) -> str:
    match result.status:
        case CaseStatus.PASSED:
            return "passed"
        case CaseStatus.SKIPPED | CaseStatus.UNSCORED | CaseStatus.UNTRIED:
            return "skipped"
        case _ if result.standing in {Triage.EXPECTED, Triage.BEFORE}:
            return "skipped"
        case CaseStatus.FAILED:
            return "failure"
        case _:
            return "error"


def save_all(report: ConformanceReport, folder: Path) -> None:
    """Write every format into a folder, and at the end a file `done` with the folder's path.

    Sonobuoy waits for that file and collects what it names. NetprobeError if a file cannot be written.
    """
    for name, format_ in FILES.items():
        save(folder / name, CONFORMANCE_FORMATS.render(report, format_))
    save(folder / "done", [str(folder.resolve())])
