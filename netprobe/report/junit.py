"""JUnit XML: one test case a flow, a suite a step.

A mismatch is a failure, an unknown an error, implementation-defined and skipped flows are skipped. The
attributes are those that both schemas in use require (Ant's JUnit.xsd and Jenkins' junit-10.xsd).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC

from netprobe.diff import Row, Status
from netprobe.report import words
from netprobe.report.escape import xml
from netprobe.report.style import PLAIN, Style
from netprobe.run.record import Report, Step


def junit(report: Report, _style: Style = PLAIN) -> Iterator[str]:
    yield '<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n'
    for index, step in enumerate(report.steps):
        yield from _suite(report, index, step)
    yield "</testsuites>\n"


def _suite(report: Report, index: int, step: Step) -> Iterator[str]:
    counts = step.counts
    name = f"{report.suite or 'netprobe'}: {step.name}"
    started = report.run.started.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds")
    attributes = {
        "id": str(index),
        "name": name,
        "package": "netprobe",
        "timestamp": started,
        "hostname": report.cluster.context or report.cluster.kind,
        "tests": str(counts.flows),
        "failures": str(counts.mismatches),
        "errors": str(counts.unknown),
        "skipped": str(counts.undefined + counts.skipped),
        "time": f"{report.run.duration_s if len(report.steps) == 1 else step.converged_s or 0:.3f}",
    }
    yield f"  <testsuite {_attributes(attributes)}>\n    <properties>\n"
    for key, value in (("cluster", str(report.cluster)), ("run", report.run.id or "")):
        yield f"      <property {_attributes({'name': key, 'value': value})}/>\n"
    yield "    </properties>\n"
    families = words.families(step.rows)
    for row in step.rows:
        yield _case(report, step, row, families)
    notes = [report.enforcement] if report.enforcement else []
    yield "    <system-out></system-out>\n"
    yield f"    <system-err>{xml(' '.join([*notes, *report.problems]))}</system-err>\n  </testsuite>\n"


def _case(report: Report, step: Step, row: Row, families: bool) -> str:
    seconds = (row.observation.latency_ms or 0) / 1000 if row.observation else 0
    attributes = {
        "name": words.flow(row.flow, families),
        "classname": f"{report.suite or 'netprobe'}.{step.name}",
        "time": f"{seconds:.6f}",
    }
    opening = f"    <testcase {_attributes(attributes)}"
    kind = row.kind.value if row.kind else row.status.value
    match row.status:
        case Status.AS_EXPECTED:
            return f"{opening}/>\n"
        case Status.MISMATCH:
            said = _attributes({"type": kind, "message": words.tables(row)})
            body = f"<failure {said}>{xml(f'{words.blamed(row)}. {row.why}')}</failure>"
        case Status.UNKNOWN:
            said = _attributes({"type": kind, "message": row.reason or ""})
            body = f"<error {said}>{xml(words.tables(row))}</error>"
        case Status.UNDEFINED | Status.SKIPPED:
            body = f"<skipped {_attributes({'message': f'{words.note(row)}; {words.tables(row)}'})}/>"
    return f"{opening}>{body}</testcase>\n"


def _attributes(values: dict[str, str]) -> str:
    return " ".join(f'{key}="{xml(value)}"' for key, value in values.items())
