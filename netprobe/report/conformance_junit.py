"""JUnit XML: a test suite per feature, a test case per case.

A failure that is expected, or that the baseline had, is reported as skipped with that reason, so that it does
not fail a pipeline. So is a case that was not tried; an error in a suite of its own says that there are such
cases.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC

from netprobe.conformance.baseline import ConformanceReport
from netprobe.conformance.result import CaseStatus, Result, Triage
from netprobe.report import conformance_text
from netprobe.report.escape import xml
from netprobe.report.style import PLAIN, Style


def junit(found: ConformanceReport, _style: Style = PLAIN) -> Iterator[str]:
    yield '<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n'
    features = found.results.features()
    for index, (feature, some) in enumerate(features.items()):
        kinds = Counter(_kind(result) for result in some)
        seconds = sum(result.seconds for result in some)
        cases = [_case(feature, result) for result in some]
        yield from _suite(found, index, feature, cases, kinds=kinds, seconds=seconds)
    if found.results.counts[CaseStatus.UNTRIED]:
        cases = [_untried(found)]
        yield from _suite(found, len(features), "the run", cases, kinds=Counter(["error"]), seconds=0.0)
    yield "</testsuites>\n"


def _suite(
    found: ConformanceReport,
    index: int,
    name: str,
    cases: Sequence[str],
    *,
    kinds: Counter[str],
    seconds: float,
) -> Iterator[str]:
    started = found.run.started.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds")
    attributes = {
        "id": str(index),
        "name": f"conformance: {name}",
        "package": "netprobe",
        "timestamp": started,
        "hostname": found.cluster.context or found.cluster.kind,
        "tests": str(len(cases)),
        "failures": str(kinds["failure"]),
        "errors": str(kinds["error"]),
        "skipped": str(kinds["skipped"]),
        "time": f"{seconds:.3f}",
    }
    yield f"  <testsuite {_attributes(attributes)}>\n    <properties>\n"
    for key, value in (("cluster", str(found.cluster)), ("run", found.run.id or "")):
        yield f"      <property {_attributes({'name': key, 'value': value})}/>\n"
    yield "    </properties>\n"
    yield from cases
    details = " ".join(filter(None, (found.results.enforcement, *found.results.problems)))
    yield f"    <system-out></system-out>\n    <system-err>{xml(details)}</system-err>\n  </testsuite>\n"


def _untried(found: ConformanceReport) -> str:
    """The error that distinguishes a run that ended early from one that passed."""
    untried, every = found.results.counts[CaseStatus.UNTRIED], len(found.results.results)
    message = f"{untried} of {every} cases were not tried"
    attributes = {"name": "every case was tried", "classname": "conformance.the run", "time": "0.000"}
    details = _attributes({"type": CaseStatus.UNTRIED.value, "message": message})
    why = xml(" | ".join(found.results.problems) or message)
    return f"    <testcase {_attributes(attributes)}><error {details}>{why}</error></testcase>\n"


def _kind(result: Result) -> str:
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


def _case(feature: str, result: Result) -> str:
    attributes = {
        "name": result.case.name,
        "classname": f"conformance.{feature}",
        "time": f"{result.seconds:.3f}",
    }
    opening = f"    <testcase {_attributes(attributes)}"
    kind = _kind(result)
    if kind == "passed":
        return f"{opening}/>\n"
    lines = list(conformance_text.sentences(result))
    if kind == "skipped":
        message = conformance_text.standing(result) or result.reason or result.status.value
        if result.status is CaseStatus.UNTRIED:
            message = f"not tried: {message}"
        return f"{opening}><skipped {_attributes({'message': message})}/></testcase>\n"
    details = _attributes({"type": result.status.value, "message": lines[0] if lines else ""})
    return f"{opening}><{kind} {details}>{xml(' | '.join(lines))}</{kind}></testcase>\n"


def _attributes(values: dict[str, str]) -> str:
    return " ".join(f'{key}="{xml(value)}"' for key, value in values.items())
