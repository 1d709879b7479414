"""JUnit XML: a suite for each step, and a test case for each flow.

A case names the file and line of the policy that decides it. A mismatch is a failure and an unknown flow an
error; implementation-defined and skipped flows are skipped. `suite_xml` and `case_xml` are shared with the
other reports. Their attributes are those that both schemas in use require, Ant's JUnit.xsd and Jenkins'
junit-10.xsd, and `file` and `line`, which GitLab and GitHub read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path

from netprobe.diff import FlowCounts, FlowStatus, Row
from netprobe.report import phrases
from netprobe.report.escape import xml
from netprobe.report.style import PLAIN, Style, in_repository
from netprobe.run.record import ClusterInfo, Report, ReportStep, RunInfo

OPENING = '<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n'
CLOSING = "</testsuites>\n"


@dataclass(frozen=True, slots=True)
class JUnitOutcome:
    """Why a test case did not pass. `tag` is failure, error or skipped; `body` is not shown for skipped."""

    tag: str
    message: str
    type: str = ""
    body: str = ""


def junit(report: Report, style: Style = PLAIN) -> Iterator[str]:
    yield OPENING
    for index, step in enumerate(report.steps):
        yield from _step(report, index, step, style.root)
    yield CLOSING


def _step(report: Report, index: int, step: ReportStep, root: Path | None) -> Iterator[str]:
    counts = FlowCounts.of(step.rows) if isinstance(step.rows, tuple) else step.counts
    suite = report.suite or "netprobe"
    families = phrases.has_both_families(step.rows)
    yield from suite_xml(
        f"{suite}: {step.name}",
        (_case(row, f"{suite}.{step.name}", families, root) for row in step.rows),
        index=index,
        run=report.run,
        cluster=report.cluster,
        tests=counts.flows,
        tags={
            "failure": counts.mismatches,
            "error": counts.unknown,
            "skipped": counts.undefined + counts.skipped,
        },
        seconds=report.run.duration_s if len(report.steps) == 1 else step.converged_s or 0,
        problems=[
            *([report.enforcement] if report.enforcement else []),
            *report.problems,
            *phrases.warnings(report),
        ],
    )


def _case(row: Row, classname: str, families: bool, root: Path | None) -> str:
    seconds = (row.observation.latency_ms or 0) / 1000 if row.observation else 0
    place = row.why.place
    at = (in_repository(place.file, root), place.line) if place is not None else None
    return case_xml(phrases.flow(row.flow, families), classname, seconds, _outcome(row), at=at)


def _outcome(row: Row) -> JUnitOutcome | None:
    tables = phrases.tables(row)
    kind = row.kind.value if row.kind else row.status.value
    match row.status:
        case FlowStatus.AS_EXPECTED:
            return None
        case FlowStatus.MISMATCH:
            return JUnitOutcome("failure", tables, kind, f"{phrases.differing_tables(row)}. {row.why}")
        case FlowStatus.UNKNOWN:
            return JUnitOutcome("error", row.reason or "", kind, tables)
        case FlowStatus.UNDEFINED | FlowStatus.SKIPPED:
            return JUnitOutcome("skipped", f"{phrases.note(row)}; {tables}")


def suite_xml(
    name: str,
    cases: Iterable[str],
    *,
    tests: int,
    tags: Mapping[str, int],
    problems: Iterable[str],
    index: int = 0,
    seconds: float = 0,
    run: RunInfo | None = None,
    cluster: ClusterInfo | None = None,
) -> Iterator[str]:
    """A suite with its cases, each from `case_xml`. `tags` counts the cases by the tag of their outcome.

    `run` and `cluster`: of suites that send packets.
    """
    attributes = {"id": str(index), "name": name, "package": "netprobe"}
    if run is not None:
        started = run.started.astimezone(UTC).replace(tzinfo=None)
        attributes["timestamp"] = started.isoformat(timespec="seconds")
    if cluster is not None:
        attributes["hostname"] = cluster.context or cluster.kind
    attributes |= {
        "tests": str(tests),
        "failures": str(tags.get("failure", 0)),
        "errors": str(tags.get("error", 0)),
        "skipped": str(tags.get("skipped", 0)),
        "time": f"{seconds:.3f}",
    }
    yield f"  <testsuite {_attributes(attributes)}>\n    <properties>\n"
    if run is not None:
        for key, value in (("cluster", str(cluster)), ("run", run.id or "")):
            yield f"      <property {_attributes({'name': key, 'value': value})}/>\n"
    yield "    </properties>\n"
    yield from cases
    yield "    <system-out></system-out>\n"
    yield f"    <system-err>{xml(' '.join(problems))}</system-err>\n  </testsuite>\n"


def case_xml(
    name: str,
    classname: str,
    seconds: float,
    outcome: JUnitOutcome | None,
    *,
    at: tuple[str, int] | None,
) -> str:
    """A test case; without an outcome it passed. `at`: the file and line that it is about."""
    attributes = {"name": name, "classname": classname, "time": f"{seconds:.6f}"}
    attributes |= {"file": at[0], "line": str(at[1])} if at is not None else {}
    opening = f"    <testcase {_attributes(attributes)}"
    if outcome is None:
        return f"{opening}/>\n"
    if outcome.tag == "skipped":
        return f"{opening}><skipped {_attributes({'message': outcome.message})}/></testcase>\n"
    details = _attributes({"type": outcome.type, "message": outcome.message})
    body = "\n".join(map(xml, outcome.body.split("\n")))
    return f"{opening}><{outcome.tag} {details}>{body}</{outcome.tag}></testcase>\n"


def _attributes(values: dict[str, str]) -> str:
    return " ".join(f'{key}="{xml(value)}"' for key, value in values.items())
