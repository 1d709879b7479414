"""The conformance report for a terminal: features, each case that is not as expected, and a summary line."""

from __future__ import annotations

from collections.abc import Iterator

from tabulate import tabulate

from netprobe.conformance.baseline import ConformanceReport
from netprobe.conformance.result import CaseStatus, Result
from netprobe.report import conformance_text
from netprobe.report.escape import plain
from netprobe.report.style import PLAIN, Style

_COLOURS = {CaseStatus.FAILED: "1;31", CaseStatus.FLAKY: "1;33", CaseStatus.UNKNOWN: "1;33"}
MOST_TOLD = 20


def table(found: ConformanceReport, style: Style = PLAIN) -> Iterator[str]:
    results = found.results
    yield style.paint(plain(conformance_text.title(found)), "1") + "\n"
    if results.enforcement:
        yield style.paint(plain(results.enforcement), "1;31") + "\n"
    yield "\n"
    head, lines = conformance_text.features(results)
    right = ("left", *("right" for _ in head[1:]))
    for cells, some in zip(lines, results.features().values(), strict=True):
        passed, _, scored = cells[1].partition("/")
        failed = any(result.status is CaseStatus.FAILED for result in some)
        colour = "32" if passed == scored else "31" if failed else "33"
        cells[1] = style.paint(cells[1], colour) if scored else cells[1]
    yield tabulate(lines, head, tablefmt="simple", disable_numparse=True, colalign=right) + "\n"
    asides = list(conformance_text.asides(results))
    yield "\n" if asides else ""
    yield from (f"{plain(line)}\n" for line in asides)
    noted = conformance_text.noted(results)
    for result in noted[:MOST_TOLD]:
        yield from _case(result, style)
    if len(noted) > MOST_TOLD:
        yield f"\nand {len(noted) - MOST_TOLD} more cases that did not pass: `-o json` holds them all\n"
    changed = list(conformance_text.changed(found))
    if changed:
        yield "\nSince the previous run:\n"
        yield from (f"  {plain(line)}\n" for line in changed)
    yield "\n"
    for problem in results.problems:
        yield style.paint(f"problem: {plain(problem)}", "33") + "\n"
    colour = {0: "32", 1: "1;31"}.get(found.exit_status, "1;33")
    yield style.paint(conformance_text.closing(found), colour) + "\n"


def _case(result: Result, style: Style) -> Iterator[str]:
    standing = conformance_text.standing(result)
    known = f" ({standing})" if standing else ""
    said = f"{result.status.name} {result.case.name}{known}"
    yield "\n" + style.paint(plain(said), _COLOURS[result.status]) + "\n"
    yield f"  rules: {', '.join(result.case.rules)}; {plain(result.case.place)}\n"
    yield from (f"  {plain(line)}\n" for line in conformance_text.sentences(result))
    for number, step in enumerate(result.steps):
        if step.status is CaseStatus.PASSED:
            continue
        yield from (f"    {plain(line)}\n" for line in conformance_text.matrix(step))
        yield from (
            f"    {plain(line)}\n" for line in conformance_text.policies(result.case, number).splitlines()
        )
