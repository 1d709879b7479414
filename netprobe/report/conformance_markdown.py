"""Markdown for pull requests and workflow summaries, and GitHub's annotations."""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.conformance.baseline import ConformanceReport
from netprobe.conformance.result import CaseResult, CaseStatus
from netprobe.model.text import plain
from netprobe.report import conformance_text
from netprobe.report.escape import markdown as escape
from netprobe.report.github import annotation
from netprobe.report.style import PLAIN, Style
from netprobe.report.tables import markdown_table

MOST_CASES = 30
MOST_ANNOTATED = 10
"""GitHub shows at most ten annotations of a kind, and cuts long ones."""


def markdown(found: ConformanceReport, _style: Style = PLAIN) -> Iterator[str]:
    results = found.results
    yield f"## {escape(conformance_text.title(found))}\n\n**{escape(conformance_text.closing(found))}**\n\n"
    if results.enforcement:
        yield f"**{escape(results.enforcement)}**\n\n"
    head, lines = conformance_text.features(results)
    yield from markdown_table(head, lines)
    yield "\n"
    yield from (
        f"- {escape(line)}\n"
        for line in (*conformance_text.side_notes(results), *conformance_text.changed(found))
    )
    for problem in results.problems:
        yield f"- problem: {escape(problem)}\n"
    listed = conformance_text.listed_results(results)
    for result in listed[:MOST_CASES]:
        yield from _case(result)
    if len(listed) > MOST_CASES:
        yield f"\nand {len(listed) - MOST_CASES} more cases that did not pass\n"


def _case(result: CaseResult) -> Iterator[str]:
    summary = f"{result.status.value}: {escape(conformance_text.heading(result))}"
    yield f"\n<details><summary>{summary}</summary>\n\n```text\n"
    yield f"rules: {', '.join(result.case.rules)}; {plain(result.case.place)}\n"
    lines = (*conformance_text.sentences(result), *conformance_text.evidence(result))
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
            yield annotation(
                "error",
                f"{feature}: not as NetworkPolicy says",
                [*map(_summary, failed)],
                most=MOST_ANNOTATED,
            )
    moved = list(results.of(CaseStatus.FLAKY, CaseStatus.UNKNOWN))
    if moved:
        yield annotation("warning", "Unknown or flaky", [*map(_summary, moved)], most=MOST_ANNOTATED)
    yield f"netprobe: {plain(conformance_text.title(found))}: {conformance_text.closing(found)}\n"


def _summary(result: CaseResult) -> str:
    sentence = next(conformance_text.sentences(result), "")
    return f"{result.case.name}: {sentence}"
