"""The HTML page of a conformance run: features, cases and their matrices, convergence, history.

Everything that can be read without a script is in the template; the script adds what a case holds when it is
opened, from the page's data (`page_data`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any, Final

import yaml

from netprobe.conformance.baseline import ConformanceReport, PastRun
from netprobe.conformance.case import Case, CaseStep
from netprobe.conformance.load import rules
from netprobe.conformance.result import CaseResult, CaseStatus, Results, StepResult
from netprobe.conformance.shard import cell_of
from netprobe.diff import FlowStatus, Row
from netprobe.explain.why import blame
from netprobe.model.text import plain
from netprobe.report import conformance_text, phrases
from netprobe.report.page import page
from netprobe.report.style import PLAIN, Style

MOST_PAST = 8
"""Columns of past runs in the table of features."""
MOST_OPEN = 5
"""Cases that are open when the page is: the first ones that are not as expected."""

EDGES: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds between the bars of the histogram."""
BARS: Final = (
    *("< 10 ms", "10–20 ms", "20–50 ms", "50–100 ms", "100–200 ms", "200–500 ms"),  # noqa: RUF001
    *("0.5–1 s", "1–2 s", "2–5 s", "> 5 s"),  # noqa: RUF001
)

SIGNS: Final = {
    "yes": ("✓", "every case passed"),
    "part": ("◐", "some cases failed"),
    "no": ("✗", "every case failed"),
    "open": ("?", "could not tell, flaky, or not all tried"),
    "later": ("…", "not tried"),
    "none": ("–", "not scored, or skipped"),  # noqa: RUF001
}
MARKS: Final = {FlowStatus.MISMATCH: "!", FlowStatus.UNKNOWN: "?", FlowStatus.UNDEFINED: "i"}


def html(found: ConformanceReport, _style: Style = PLAIN) -> Iterator[str]:
    results, past = found.results, found.past[-MOST_PAST:]
    numbers = {status: results.counts[status] for status in CaseStatus if results.counts[status]}
    features = [_feature(name, some, past) for name, some in results.features().items()]
    every = list(enumerate(results.results))
    noted = [each for status in conformance_text.NOTED for each in every if each[1].status is status]
    runs = (*found.past, PastRun.of(results, found.cluster, found.run)) if found.past else ()
    return page(
        "conformance.html",
        styles=("pages.css", "conformance.css"),
        script="conformance.js",
        data=page_data(results),
        title=conformance_text.title(found),
        text=conformance_text,
        found=found,
        past=past,
        counts=list(zip(numbers, numbers.values(), accumulate(numbers.values(), initial=0), strict=False)),
        features=features,
        signs=SIGNS,
        statuses=CaseStatus,
        used={kind for feature in features for kind, _ in (*feature["before"], feature["now"])},
        unexpected=noted,
        opened=[index for index, result in noted if not result.standing][:MOST_OPEN],
        others=[each for each in every if each[1].status not in conformance_text.NOTED],
        **_times(results),
        trend=conformance_text.trend(runs) if runs else None,
    )


def _feature(name: str, some: Sequence[CaseResult], past: Sequence[PastRun]) -> dict[str, Any]:
    now = Counter(result.status for result in some)
    before = [
        Counter(run.cases[result.case.name].status for result in some if result.case.name in run.cases)
        for run in past
    ]
    return {"name": name, "before": list(map(_support, before)), "now": _support(now), "counts": now}


def _support(counts: Mapping[CaseStatus, int]) -> tuple[str, str]:
    """How much of a feature a cluster has: a key of SIGNS, and the pass rate."""
    scored = sum(counts.get(status, 0) for status in conformance_text.SCORED)
    passed = counts.get(CaseStatus.PASSED, 0)
    if not scored:
        return "none", ""
    rate = f"{passed}/{scored}"
    if counts.get(CaseStatus.UNTRIED) == scored:
        return "later", rate
    if passed == scored:
        return "yes", rate
    if not counts.get(CaseStatus.FAILED):
        return "open", rate
    return ("part" if passed else "no"), rate


def _times(results: Results) -> dict[str, Any]:
    """Convergence times in seconds, the shortest first; how many are in each bar; the slowest cases."""
    steps = (step.converged_s for result in results.results for step in result.steps)
    times = sorted(time for time in steps if time is not None)
    bins = Counter(bisect_right(EDGES, time) for time in times)
    slowest = [(each.converged_s, index) for index, each in enumerate(results.results) if each.converged_s]
    slowest.sort(key=lambda one: -one[0])
    bars = [(name, bins[at]) for at, name in enumerate(BARS)]
    return {"times": times, "bars": bars, "slowest": slowest[:10]}


def page_data(results: Results) -> dict[str, Any]:
    """What conformance.js reads: the cases in the order of the results, and the rules that they show.

    A matrix is rows of characters, a row per source and a character per destination: `.` allow, `X` deny,
    `?` unknown, `-` not tried, and a space for a cell that was not probed.
    """
    shown = {rule for result in results.results for rule in result.case.rules}
    return {
        "rules": {rule.id: [rule.rule, rule.source] for rule in rules().values() if rule.id in shown},
        "cases": [
            {
                "rules": list(result.case.rules),
                "tags": sorted(result.case.tags),
                "place": plain(result.case.place),
                "seconds": round(result.seconds, 2),
                "reason": plain(result.reason or ""),
                "standing": plain(conformance_text.known_status(result)),
                "moments": [
                    _step(result.case, *each) for each in zip(result.steps, result.case.steps, strict=False)
                ],
            }
            for result in results.results
        ],
    }


def _step(case: Case, step: StepResult, case_step: CaseStep) -> dict[str, Any]:
    explain = blame(step.policies)
    rows = [*step.wrong, *step.unknown]
    return {
        "converged": None if step.converged_s is None else round(step.converged_s, 3),
        "problem": plain(step.problem or ""),
        "changes": [plain(line) for line in _additions(case_step)],
        "flows": [
            [plain(conformance_text.flow_line(row)), [plain(text) for text in explain(row).sentences]]
            for row in rows[: conformance_text.MOST_FLOWS]
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
    """The labels and pods of a step that differ from the fixture's."""
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
    pairs = {pair for some in by_port.values() for pair in some}
    # Pods come before Services and hosts outside.
    down, across = (sorted({pair[at] for pair in pairs}, key=lambda end: (":" in end, end)) for at in (0, 1))

    def drawn(port: str, mark: Callable[[Row], str]) -> list[str]:
        some = by_port[port]
        return [
            "".join(mark(some[source, end]) if (source, end) in some else " " for end in across)
            for source in down
        ]

    tables: dict[str, Callable[[Row], str]] = {
        "declared": lambda row: row.declared.mark if row.declared else "-",
        "simulated": lambda row: row.simulated.mark if row.simulated else "-",
        "observed": lambda row: row.observed.mark if row.observed else "-",
        "wrong": lambda row: MARKS.get(row.status, " "),
    }
    return {
        "down": [plain(end) for end in down],
        "across": [plain(end) for end in across],
        "ports": {
            port: {name: drawn(port, mark) for name, mark in tables.items()} for port in sorted(by_port)
        },
    }
