"""Results as a run might find them, without a run."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

from netprobe.conformance.baseline import ConformanceReport
from netprobe.conformance.case import Case
from netprobe.conformance.fixture_map import fictional_map
from netprobe.conformance.load import builtin
from netprobe.conformance.result import CaseResult, CaseStatus, Results, StepResult, attempts, overall
from netprobe.conformance.world import Cell
from netprobe.diff import Row, compare
from netprobe.model.matrix import Matrix
from netprobe.model.observation import Observation, Outcome
from netprobe.model.verdict import Verdict
from netprobe.run.record import ClusterInfo, RunInfo
from netprobe.simulate import Simulator

SITE = fictional_map(dual=False)
CASE = next(
    case for case in builtin() if case.name == "a podSelector admits pods of the policy's own namespace"
)
WRONG = Cell("y/a", "x/a", "80/TCP")
START = dt.datetime(2026, 11, 23, 6, 0, tzinfo=dt.UTC)
SEEN = {
    Verdict.ALLOW: Outcome.CONNECTED,
    Verdict.DENY: Outcome.TIMED_OUT,
    Verdict.UNKNOWN: Outcome.EXEC_FAILED,
}


_COMPARED: dict[tuple[str, frozenset[tuple[Cell, Verdict]]], tuple[Row, ...]] = {}


def rows(case: Case, other: Mapping[Cell, Verdict]) -> tuple[Row, ...]:
    """The first moment's comparison, everything as declared but for `other`: the same rows for the same."""
    key = case.name, frozenset(other.items())
    if key not in _COMPARED:
        _COMPARED[key] = _compared(case, other)
    return _COMPARED[key]


def _compared(case: Case, other: Mapping[Cell, Verdict]) -> tuple[Row, ...]:
    moment = case.steps[0]
    cells = [cell for cell in case.scope.cells() if "SCTP" not in cell.port]
    declared = SITE.declared(moment, cells)
    seen = [other.get(cell, verdict) for cell, verdict in zip(cells, declared.values(), strict=True)]
    observed = Matrix(
        (flow, Observation(SEEN[verdict], verdict, reason=None))
        for flow, verdict in zip(declared, seen, strict=True)
    )
    return tuple(compare(declared, Simulator(SITE.cluster(case, moment)).matrix(declared), observed))


def result(case: Case = CASE, *tries: Mapping[Cell, Verdict], converged_s: float = 0.1) -> CaseResult:
    """A case that was tried once for each mapping of what was other than declared."""
    every = [rows(case, one) for one in tries or ({},)]
    policies = SITE.cluster(case, case.steps[0]).policies
    moment = StepResult(every[-1], attempts(every), converged_s, policies)
    status, reason = overall(case, (moment,), None)
    return CaseResult(case, status, (moment,), reason, seconds=1.5)


FAILED = result(CASE, {WRONG: Verdict.ALLOW}, {WRONG: Verdict.ALLOW})
PASSED = result()
FLAKY = result(CASE, {WRONG: Verdict.ALLOW}, {}, {})
UNKNOWN = result(CASE, {WRONG: Verdict.UNKNOWN}, {WRONG: Verdict.UNKNOWN})
SKIPPED = CaseResult(builtin()[1], CaseStatus.SKIPPED, reason="no <SCTP> here")
UNTRIED = CaseResult(builtin()[3], CaseStatus.UNTRIED, reason="interrupted")
UNSCORED = CaseResult(builtin()[2], CaseStatus.UNSCORED, reason="the plugin's choice")


def report(*results: CaseResult) -> ConformanceReport:
    run = RunInfo(START, START + dt.timedelta(seconds=12.5), "abcd1234", "0.1.0")
    return ConformanceReport(Results(results), ClusterInfo("cluster", "kind-x", "v1.33.0", "Calico", 2), run)


def of(results: Sequence[CaseResult]) -> Results:
    return Results(tuple(results))
