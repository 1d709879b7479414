"""Sentences that all readable formats of a conformance report share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import yaml

from netprobe.conformance.baseline import ConformanceReport, PastRun, RunChanges
from netprobe.conformance.case import CaseStep
from netprobe.conformance.result import CaseResult, CaseStatus, Results, StepResult, Triage
from netprobe.diff import WRONG, FlowStatus, Row
from netprobe.explain.why import blame
from netprobe.report import phrases
from netprobe.report.trend import Trend, TrendRun
from netprobe.run.record import port_text

MOST_FLOWS = 5  # flows of a case with their reasons; the matrix shows the rest
MOST_POLICIES = 4
MOST_FIXED = 3  # names of cases that pass although one entry expects them to fail
SCORED = (CaseStatus.PASSED, CaseStatus.FAILED, CaseStatus.FLAKY, CaseStatus.UNKNOWN, CaseStatus.UNTRIED)
"""The cases that a pass rate counts: a case that was not tried has not passed."""
NOTED = (CaseStatus.FAILED, CaseStatus.FLAKY, CaseStatus.UNKNOWN)
KNOWN = (Triage.EXPECTED, Triage.BEFORE)
MOST_NAMES = 10
"""Names per kind of change."""
HEADS = {
    CaseStatus.PASSED: "passed",
    CaseStatus.FAILED: "failed",
    CaseStatus.FLAKY: "flaky",
    CaseStatus.UNKNOWN: "unknown",
    CaseStatus.UNSCORED: "not scored",
    CaseStatus.SKIPPED: "skipped",
    CaseStatus.UNTRIED: "not tried",
}


def trend(runs: Sequence[PastRun]) -> Trend:
    """The cases of past runs over time."""
    return Trend(
        [
            TrendRun(
                one.started,
                one.cluster,
                {status.value: number for status, number in one.counts.items()},
                one.seconds,
                one.converged_s,
            )
            for one in runs
        ],
        {status.value: head for status, head in HEADS.items()},
        [status.value for status in (CaseStatus.PASSED, CaseStatus.UNSCORED, CaseStatus.SKIPPED)],
    )


def title(found: ConformanceReport) -> str:
    return f"NetworkPolicy conformance of {found.cluster}"


def features(results: Results) -> tuple[list[str], list[list[str]]]:
    """A header, and a line per feature: the pass rate of scored cases, then the number of each status."""
    used = [status for status in CaseStatus if results.counts[status]]
    head = ["Feature", "", *(HEADS[status] for status in used)]
    lines = []
    for feature, some in results.features().items():
        counts = Counter(result.status for result in some)
        scored = sum(counts[status] for status in SCORED)
        mark = f"{counts[CaseStatus.PASSED]}/{scored}" if scored else "-"
        lines.append([feature, mark, *(str(counts[status] or "") for status in used)])
    return head, lines


def closing(found: ConformanceReport) -> str:
    """ "375 cases: 371 passed, 1 skipped (92.1 s, 0.25 s a case)"."""
    results = found.results
    counts = results.counts
    known = Counter(result.status for result in results.results if result.standing in KNOWN)
    counted = ", ".join(
        f"{counts[status]} {HEADS[status]}{f' ({known[status]} known)' if known[status] else ''}"
        for status in CaseStatus
        if counts[status]
    )
    number = len(results.results)
    tried = number - counts[CaseStatus.SKIPPED] - counts[CaseStatus.UNTRIED]
    pace = f", {found.run.duration_s / tried:.2f} s a case" if tried else ""
    return f"{'1 case' if number == 1 else f'{number} cases'}: {counted} ({found.run.duration_s:.1f} s{pace})"


def heading(result: CaseResult) -> str:
    """The name of a case, with its standing in parentheses if it has one."""
    known = known_status(result)
    return f"{result.case.name} ({known})" if known else result.case.name


def known_status(result: CaseResult) -> str:
    """How a result relates to what is known about this cluster, as in "expected: REASON"; or ""."""
    match result.standing:
        case None:
            return ""
        case Triage.EXPECTED:
            return f"expected: {result.remark}"
        case Triage.EXPIRED:
            return f"expected failure has expired: {result.remark}"
        case Triage.FIXED:
            return f"passes, although a failure is expected: {result.remark}"
        case Triage.BEFORE:
            return "as in the baseline"


def side_notes(results: Results) -> Iterator[str]:
    """Notes that are not failures: skipped cases by reason, cases that are not scored, fixed ones."""
    for status in (CaseStatus.SKIPPED, CaseStatus.UNTRIED):
        reasons = Counter(result.reason or "" for result in results.of(status))
        yield from (f"{number} {HEADS[status]}: {reason}" for reason, number in reasons.items())
    for result in results.of(CaseStatus.UNSCORED):
        yield f"implementation-defined: {result.case.name}: {unscored(result)}"
    fixed: dict[str, list[CaseResult]] = {}
    for result in results.results:
        if result.standing is Triage.FIXED:
            fixed.setdefault(known_status(result), []).append(result)
    for remark, some in fixed.items():
        more = f" and {len(some) - MOST_FIXED} more" if len(some) > MOST_FIXED else ""
        yield f"{', '.join(result.case.name for result in some[:MOST_FIXED])}{more}: {remark}"


def unscored(result: CaseResult) -> str:
    """What the cluster does in cases that NetworkPolicy leaves open, compared with the prediction."""
    rows = [row for step in result.steps for row in step.rows]
    other = [row for row in rows if row.observed is not None and row.simulated is not row.observed]
    if not other:
        return f"as predicted ({result.reason})"
    names = ", ".join(f"{phrases.flow(row.flow, False)} {phrases.verdict(row.observed)}" for row in other[:3])
    more = f" and {len(other) - 3} more" if len(other) > 3 else ""
    return f"differs from the prediction: {names}{more} ({result.reason})"


def listed_results(results: Results) -> tuple[CaseResult, ...]:
    """The cases that are listed one by one, failures first."""
    return tuple(result for status in NOTED for result in results.of(status))


def sentences(result: CaseResult) -> Iterator[str]:
    """Why a case has its status: flows with verdicts and reasons, and all tries of flaky flows."""
    if result.reason:
        yield result.reason
    for number, step in enumerate(result.steps, 1):
        if step.status is CaseStatus.PASSED:
            continue
        where = f"step {number}: " if len(result.steps) > 1 else ""
        explain = blame(step.policies)
        rows = [*step.wrong, *step.unknown]
        for row in rows[:MOST_FLOWS]:
            yield f"{where}{flow_line(row)}"
            yield from (f"  {sentence}" for sentence in explain(row).sentences)
        if len(rows) > MOST_FLOWS:
            yield f"{where}and {len(rows) - MOST_FLOWS} more flows"
        moved = {flow: seen for flow, seen in step.attempts.items() if len(set(seen)) > 1}
        for flow, seen in list(moved.items())[:MOST_FLOWS]:
            tries = ", ".join(phrases.verdict(verdict) for verdict in seen)
            yield f"{where}{phrases.flow(flow, False)}: successive tries: {tries}"
        if len(moved) > MOST_FLOWS:
            yield f"{where}and {len(moved) - MOST_FLOWS} more flaky flows"


def flow_line(row: Row) -> str:
    """A flow that is not as expected, with its verdicts or the reason why it is unknown."""
    details = row.reason if row.status is FlowStatus.UNKNOWN else phrases.tables(row)
    return f"{phrases.flow(row.flow, False)}: {details}"


def evidence(result: CaseResult) -> Iterator[str]:
    """The matrix and the policies of each step that did not pass."""
    for step, case_step in zip(result.steps, result.case.steps, strict=False):
        if step.status is not CaseStatus.PASSED:
            yield from matrix(step)
            yield from policies(case_step).splitlines()


def policies(step: CaseStep) -> str:
    """The policies of a step as YAML, as written in the case."""
    every = step.policies
    text = yaml.safe_dump_all(
        [dict(p) for p in every[:MOST_POLICIES]], sort_keys=False, default_flow_style=None
    )
    more = f"# and {len(every) - MOST_POLICIES} more\n" if len(every) > MOST_POLICIES else ""
    return f"{text}{more}"


def matrix(step: StepResult) -> Iterator[str]:
    """The observed matrix, one per port; an exclamation mark follows each cell that is not as expected."""
    by_port: dict[str, list[Row]] = {}
    for row in step.rows:
        by_port.setdefault(port_text(row.flow, True), []).append(row)
    yield "Sources down, destinations across: . allow, X deny, ? unknown; ! not as expected"
    for port, rows in by_port.items():
        if not any(row.status in WRONG for row in rows):
            yield f"Port {port}: as expected"
            continue
        yield f"Port {port}"
        yield from _grid(rows)


def _grid(rows: Sequence[Row]) -> Iterator[str]:
    cells = {
        (row.flow.source, row.flow.destination): f"{row.result.mark}{'!' if row.status in WRONG else ''}"
        for row in rows
    }
    across = sorted({row.flow.destination for row in rows}, key=str)
    down = sorted({row.flow.source for row in rows}, key=str)
    width = max(len(str(end)) for end in down)
    widths = [max(3, len(str(end))) for end in across]
    yield f"{'':{width}} {_line(map(str, across), widths)}".rstrip()
    for source in down:
        line = _line((cells.get((source, end), "") for end in across), widths)
        yield f"{source!s:{width}} {line}".rstrip()


def _line(texts: Iterable[str], widths: Sequence[int]) -> str:
    return " ".join(f"{text:^{width}}" for text, width in zip(texts, widths, strict=True))


def change_groups(changes: RunChanges) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Changes by kind: name for one, name for several, and their lines. Empty kinds are left out."""
    slower = sorted(changes.slower, key=lambda one: -one[2] / max(one[1], 0.001))
    for one, several, lines in (
        ("new failure", "new failures", changes.failures),
        ("newly flaky", "newly flaky", changes.flaky),
        ("fixed", "fixed", changes.fixed),
        (
            "slower to converge",
            "slower to converge",
            tuple(f"{name}: {before:.2f} s, now {now:.2f} s" for name, before, now in slower),
        ),
        ("new case", "new cases", changes.appeared),
        ("not among the cases", "not among the cases", changes.disappeared),
    ):
        if lines:
            yield one, several, lines


def change_lines(changes: RunChanges | None) -> Iterator[str]:
    """The most important changes since the previous run, a line each; JSON has all of them."""
    if changes is None:
        return
    if changes.other_cluster:
        yield other_cluster(changes)
    for one, several, lines in change_groups(changes):
        yield from (f"{one}: {line}" for line in lines[:MOST_NAMES])
        if len(lines) > MOST_NAMES:
            yield f"and {len(lines) - MOST_NAMES} more {several}"


def other_cluster(changes: RunChanges) -> str:
    return f"The previous run was on another cluster: {changes.other_cluster}"
