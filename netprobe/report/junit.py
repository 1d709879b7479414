"""JUnit XML: a suite for each step, and a test case for each flow.

A case names the file and line of the policy that decides it. A mismatch is a failure and an unknown flow an
error; implementation-defined and skipped flows are skipped. `suite_xml` is shared with the other reports.
Their attributes are those that both schemas in use require, Ant's JUnit.xsd and Jenkins' junit-10.xsd, and
`file` and `line`, which GitLab and GitHub read.
"""

from __future__ import annotations

from collections import Counter
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


@dataclass(frozen=True, slots=True)
class JUnitCase:
    """A test case; without an outcome it passed. `at`: the file and line that it is about."""

    name: str
    classname: str
    outcome: JUnitOutcome | None = None
    seconds: float = 0
    at: tuple[str, int] | None = None

    def xml(self) -> str:
        attributes = {"name": self.name, "classname": self.classname, "time": f"{self.seconds:.6f}"}
        attributes |= {"file": self.at[0], "line": str(self.at[1])} if self.at is not None else {}
        opening, outcome = f"    <testcase {_attributes(attributes)}", self.outcome
        if outcome is None:
            return f"{opening}/>\n"
        if outcome.tag == "skipped":
            return f"{opening}><skipped {_attributes({'message': outcome.message})}/></testcase>\n"
        details = _attributes({"type": outcome.type, "message": outcome.message})
        body = "\n".join(map(xml, outcome.body.split("\n")))
        return f"{opening}><{outcome.tag} {details}>{body}</{outcome.tag}></testcase>\n"


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
        filter(None, (report.enforcement, *report.problems, *phrases.warnings(report))),
        counts={
            "tests": counts.flows,
            "failure": counts.mismatches,
            "error": counts.unknown,
            "skipped": counts.undefined + counts.skipped,
        },
        index=index,
        run=report.run,
        cluster=report.cluster,
        seconds=report.run.duration_s if len(report.steps) == 1 else step.converged_s or 0,
    )


def _case(row: Row, classname: str, families: bool, root: Path | None) -> JUnitCase:
    seconds = (row.observation.latency_ms or 0) / 1000 if row.observation else 0
    place = row.why.place
    at = (in_repository(place.file, root), place.line) if place is not None else None
    return JUnitCase(phrases.flow(row.flow, families), classname, _outcome(row), seconds, at)


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
    cases: Iterable[JUnitCase],
    problems: Iterable[str],
    *,
    counts: Mapping[str, int] | None = None,
    index: int = 0,
    seconds: float = 0,
    run: RunInfo | None = None,
    cluster: ClusterInfo | None = None,
) -> Iterator[str]:
    """A suite with its cases. `counts`: all cases as "tests", and those by the tag of their outcome.

    Without it the cases are counted, and must be a list. `run` and `cluster`: of suites that send packets.
    """
    if counts is None:
        tags = Counter(case.outcome.tag for case in cases if case.outcome is not None)
        counts = {"tests": sum(1 for _ in cases), **tags}
    attributes = {"id": str(index), "name": name, "package": "netprobe"}
    if run is not None:
        started = run.started.astimezone(UTC).replace(tzinfo=None)
        attributes["timestamp"] = started.isoformat(timespec="seconds")
    if cluster is not None:
        attributes["hostname"] = cluster.context or cluster.kind
    attributes |= {
        "tests": str(counts["tests"]),
        "failures": str(counts.get("failure", 0)),
        "errors": str(counts.get("error", 0)),
        "skipped": str(counts.get("skipped", 0)),
        "time": f"{seconds:.3f}",
    }
    yield f"  <testsuite {_attributes(attributes)}>\n    <properties>\n"
    if run is not None:
        for key, value in (("cluster", str(cluster)), ("run", run.id or "")):
            yield f"      <property {_attributes({'name': key, 'value': value})}/>\n"
    yield "    </properties>\n"
    yield from (case.xml() for case in cases)
    yield "    <system-out></system-out>\n"
    yield f"    <system-err>{xml(' '.join(problems))}</system-err>\n  </testsuite>\n"


def _attributes(values: dict[str, str]) -> str:
    return " ".join(f'{key}="{xml(value)}"' for key, value in values.items())
