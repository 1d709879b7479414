"""For pull requests and the pages of workflow runs: the table of features, and what did not pass, folded."""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.conformance.result import CaseStatus, Result
from netprobe.report import conformance_text
from netprobe.report.conformance import Conformance
from netprobe.report.escape import markdown as escape
from netprobe.report.escape import plain
from netprobe.report.style import PLAIN, Style

MOST_TOLD = 30


def markdown(found: Conformance, _style: Style = PLAIN) -> Iterator[str]:
    results = found.results
    yield f"## {escape(conformance_text.title(found))}\n\n**{escape(conformance_text.closing(found))}**\n\n"
    if results.enforcement:
        yield f"**{escape(results.enforcement)}**\n\n"
    head, lines = conformance_text.features(results)
    yield f"| {' | '.join(head)} |\n|{' --- |' * len(head)}\n"
    yield from (f"| {' | '.join(map(escape, line))} |\n" for line in lines)
    yield "\n"
    yield from (
        f"- {escape(line)}\n"
        for line in (*conformance_text.asides(results), *conformance_text.changed(found))
    )
    for problem in results.problems:
        yield f"- problem: {escape(problem)}\n"
    noted = conformance_text.noted(results)
    for result in noted[:MOST_TOLD]:
        yield from _case(result)
    if len(noted) > MOST_TOLD:
        yield f"\nand {len(noted) - MOST_TOLD} more cases that did not pass\n"


def _case(result: Result) -> Iterator[str]:
    standing = conformance_text.standing(result)
    known = f" ({escape(standing)})" if standing else ""
    summary = f"{result.status.value}: {escape(result.case.name)}{known}"
    yield f"\n<details><summary>{summary}</summary>\n\n```text\n"
    yield f"rules: {', '.join(result.case.rules)}; {plain(result.case.place)}\n"
    lines = list(conformance_text.sentences(result))
    for number, moment in enumerate(result.moments):
        if moment.status is not CaseStatus.PASSED:
            lines += [
                *conformance_text.matrix(moment),
                *conformance_text.policies(result.case, number).splitlines(),
            ]
    yield from (f"{plain(line).replace('```', '` ` `')}\n" for line in lines)
    yield "```\n\n</details>\n"
