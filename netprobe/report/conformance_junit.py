"""JUnit XML: a test suite per feature, a test case per case.

A failure that is expected, or that the baseline had, is reported as skipped with that reason, so that it does
not fail a pipeline. So is a case that was not tried; an error in its own suite says that there are such
cases.
"""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.conformance.baseline import ConformanceReport
from netprobe.conformance.result import CaseResult, CaseStatus, Triage
from netprobe.report import conformance_text
from netprobe.report.junit import CLOSING, OPENING, JUnitCase, JUnitOutcome, suite_xml
from netprobe.report.style import PLAIN, Style


def junit(found: ConformanceReport, _style: Style = PLAIN) -> Iterator[str]:
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
        message = conformance_text.known_status(result) or result.reason or result.status.value
        return JUnitOutcome(kind, f"not tried: {message}" if result.status is CaseStatus.UNTRIED else message)
    lines = list(conformance_text.sentences(result))
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
