"""The data of the conformance page: rules, and each case with its steps, matrices and policies.

A matrix is rows of characters, a row per source and a character per destination: `.` allow, `X` deny,
`?` unknown, `-` not tried, and a space for a cell that was not probed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import yaml

from netprobe.conformance.baseline import ConformanceReport
from netprobe.conformance.case import Case, CaseStep
from netprobe.conformance.load import rules
from netprobe.conformance.result import CaseResult, CaseStatus, StepResult
from netprobe.conformance.shard import cell_of
from netprobe.conformance.world import Cell
from netprobe.diff import FlowStatus, Row
from netprobe.explain.why import blame
from netprobe.model.text import plain
from netprobe.model.verdict import Verdict
from netprobe.report import conformance_text, phrases

Mark = Callable[[Row], str]
WRONG = {FlowStatus.MISMATCH: "!", FlowStatus.UNKNOWN: "?", FlowStatus.UNDEFINED: "i"}


def data(found: ConformanceReport) -> dict[str, Any]:
    """`cases` are in the order of the results; `rules` are those that any of the cases shows."""
    results = found.results.results
    shown = {rule for result in results for rule in result.case.rules}
    return {
        "rules": {rule.id: [rule.rule, rule.source] for rule in rules().values() if rule.id in shown},
        "cases": [_case(result) for result in results],
    }


def _case(result: CaseResult) -> dict[str, Any]:
    case = result.case
    return {
        "rules": list(case.rules),
        "tags": sorted(case.tags),
        "place": plain(case.place),
        "seconds": round(result.seconds, 2),
        "reason": _plain(result.reason),
        "standing": plain(conformance_text.known_status(result)),
        "moments": [
            _step(case, step, case_step) for step, case_step in zip(result.steps, case.steps, strict=False)
        ],
    }


def _step(case: Case, step: StepResult, case_step: CaseStep) -> dict[str, Any]:
    explain = blame(step.policies)
    rows = [*step.wrong, *step.unknown]
    return {
        "status": step.status.value,
        "converged": None if step.converged_s is None else round(step.converged_s, 3),
        "problem": _plain(step.problem),
        "changes": [plain(line) for line in _additions(case_step)],
        "flows": [
            [plain(text), [plain(sentence) for sentence in explain(row).sentences]]
            for row in rows[: conformance_text.MOST_FLOWS]
            for text in [conformance_text.flow_line(row)]
        ],
        "more": max(0, len(rows) - conformance_text.MOST_FLOWS),
        "tries": [
            [*cell_of(case, flow), ", ".join(map(phrases.verdict, seen))]
            for flow, seen in step.attempts.items()
            if len(set(seen)) > 1
        ],
        "matrices": _matrices(case, step.rows),
        "policies": "\n".join(map(plain, conformance_text.policies(case_step).splitlines())),
    }


def _additions(case_step: CaseStep) -> Iterator[str]:
    """Labels and pods besides the usual ones."""
    for name, labels in case_step.pods.items():
        yield f"pod {name} is created after the policies, with {_labels(labels)}"
    for name, labels in case_step.labels.items():
        kind = "pod" if "/" in name else "namespace"
        yield f"{kind} {name} is labelled {_labels(labels)}"


def _labels(labels: Any) -> str:
    return yaml.safe_dump(dict(labels), default_flow_style=True, width=1000).strip()


def _matrices(case: Case, rows: Sequence[Row]) -> dict[str, Any]:
    """The three tables of each port, and which cells are not as expected."""
    by_port: dict[str, dict[tuple[str, str], Row]] = {}
    for row in rows:
        cell = cell_of(case, row.flow)
        by_port.setdefault(cell.port, {})[cell.source, cell.destination] = row
    cells = [Cell(*pair, port) for port, some in by_port.items() for pair in some]
    down = sorted({cell.source for cell in cells}, key=_order)
    across = sorted({cell.destination for cell in cells}, key=_order)

    def drawn(port: str, mark: Mark) -> list[str]:
        some = by_port[port]
        return [
            "".join(mark(some[source, end]) if (source, end) in some else " " for end in across)
            for source in down
        ]

    tables: dict[str, Mark] = {
        "declared": lambda row: _mark(row.declared),
        "simulated": lambda row: _mark(row.simulated),
        "observed": lambda row: _mark(row.observed),
        "wrong": lambda row: WRONG.get(row.status, " "),
    }
    return {
        "down": [plain(end) for end in down],
        "across": [plain(end) for end in across],
        "ports": {
            port: {name: drawn(port, mark) for name, mark in tables.items()} for port in sorted(by_port)
        },
    }


def _order(end: str) -> tuple[bool, str]:
    """Pods before Services and hosts outside."""
    return ":" in end, end


def _mark(verdict: Verdict | None) -> str:
    return "-" if verdict is None else verdict.mark


def _plain(text: str | None) -> str | None:
    return None if text is None else plain(text)


def needs_attention(result: CaseResult) -> bool:
    """Whether a case is shown open when the page loads."""
    return result.status in {CaseStatus.FAILED, CaseStatus.FLAKY, CaseStatus.UNKNOWN} and not result.standing
