"""The HTML page of a conformance run: features, cases and their matrices, convergence, history.

Everything that can be read without a script is in the template; the script adds what a case holds when it is
opened, from the page's data (`conformance_data`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from netprobe.conformance.baseline import ConformanceReport
from netprobe.conformance.history import PastRun
from netprobe.conformance.result import CaseResult, CaseStatus, Results
from netprobe.report import conformance_text
from netprobe.report.conformance_data import data, needs_attention
from netprobe.report.page import page
from netprobe.report.style import PLAIN, Style
from netprobe.report.trend import page_values

MOST_PAST = 8
"""Columns of past runs in the table of features."""
MOST_OPEN = 5
"""Cases that are open when the page is: the first ones that are not as expected."""
EDGES: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds between the bars of the histogram; the last bar counts everything above."""

SIGNS = {
    "yes": ("✓", "every case passed"),
    "part": ("◐", "some cases failed"),
    "no": ("✗", "every case failed"),
    "open": ("?", "could not tell, flaky, or not all tried"),
    "later": ("…", "not tried"),
    "none": ("–", "not scored, or skipped"),  # noqa: RUF001
}


def html(found: ConformanceReport, _style: Style = PLAIN) -> Iterator[str]:
    """The page, piece by piece."""
    results, run = found.results, found.run
    unexpected, others = _cases(results)
    return page(
        "conformance.html",
        styles=("pages.css", "conformance.css"),
        script="conformance.js",
        data=data(found),
        title=conformance_text.title(found),
        closing=conformance_text.closing(found),
        started=f"{run.started:%Y-%m-%d %H:%M}",
        netprobe=run.netprobe,
        run=run.id or "-",
        counts=_counts(results),
        problems=[text for text in (results.enforcement, *results.problems) if text],
        features=_features(found),
        changes=_changes(found),
        unexpected=unexpected,
        others=others,
        times=_times(results),
        trend=_trend(found),
    )


def _counts(results: Results) -> list[dict[str, Any]]:
    """How many cases ended with each status, and that part of a bar of 1,000 units."""
    total, left = len(results.results), 0.0
    found = []
    for status in conformance_text.COLUMNS:
        if number := results.counts[status]:
            width = 1000 * number / total
            head = conformance_text.HEADS[status]
            place = {"left": f"{left:.1f}", "width": f"{width:.1f}"}
            found.append({"status": status.value, "number": number, "head": head, **place})
            left += width
    return found


def _features(found: ConformanceReport) -> dict[str, Any]:
    past = found.past[-MOST_PAST:]
    lines = [_feature(feature, some, past) for feature, some in found.results.features().items()]
    used = {cell["kind"] for line in lines for cell in (*line["before"], line["now"])}
    return {
        "legend": [
            {"kind": kind, "sign": sign, "meaning": meaning}
            for kind, (sign, meaning) in SIGNS.items()
            if kind in used
        ],
        "past": [
            {"cluster": run.cluster, "day": f"{run.started:%m-%d}", "time": f"{run.started:%H:%M}"}
            for run in past
        ],
        "lines": lines,
        "notes": list(conformance_text.side_notes(found.results)),
    }


def _feature(feature: str, some: Sequence[CaseResult], past: Sequence[PastRun]) -> dict[str, Any]:
    now = [result.status for result in some]
    before = [
        [run.cases[result.case.name].status for result in some if result.case.name in run.cases]
        for run in past
    ]
    return {
        "feature": feature,
        "tag": feature.lower().replace(" ", "-"),
        "before": [_support(statuses) for statuses in before],
        "now": _support(now),
        "unscored": now.count(CaseStatus.UNSCORED),
        "skipped": now.count(CaseStatus.SKIPPED),
    }


def _support(statuses: Sequence[CaseStatus]) -> dict[str, str]:
    """How much of a feature a cluster has."""
    scored = [status for status in statuses if status in conformance_text.SCORED]
    passed = scored.count(CaseStatus.PASSED)
    if not scored:
        kind = "none"
    elif scored.count(CaseStatus.UNTRIED) == len(scored):
        kind = "later"
    elif passed == len(scored):
        kind = "yes"
    elif CaseStatus.FAILED not in scored:
        kind = "open"
    else:
        kind = "part" if passed else "no"
    sign, meaning = SIGNS[kind]
    rate = f"{passed}/{len(scored)}" if scored else ""
    return {"kind": kind, "sign": sign, "meaning": meaning, "rate": rate}


def _changes(found: ConformanceReport) -> dict[str, Any] | None:
    if found.changes is None:
        return None
    other = found.changes.other_cluster
    return {
        "other_cluster": conformance_text.other_cluster(found.changes) if other else "",
        "groups": [
            {
                "name": several if len(lines) > 1 else one,
                "lines": lines,
                "opened": len(lines) <= conformance_text.MOST_NAMES,
            }
            for one, several, lines in conformance_text.change_groups(found.changes)
        ],
    }


def _cases(results: Results) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The cases that are not as expected, failures first, and all others."""
    every = list(enumerate(results.results))
    noted = [
        (index, result)
        for status in conformance_text.NOTED
        for index, result in every
        if result.status is status
    ]
    opened = [index for index, result in noted if needs_attention(result)][:MOST_OPEN]
    return (
        [_case(index, result, opened=index in opened) for index, result in noted],
        [
            _case(index, result, opened=False)
            for index, result in every
            if result.status not in conformance_text.NOTED
        ],
    )


def _case(index: int, result: CaseResult, *, opened: bool) -> dict[str, Any]:
    """`index` is the case's number in the page's data."""
    case = result.case
    return {
        "index": index,
        "status": result.status.value,
        "head": conformance_text.HEADS[result.status],
        "name": case.name,
        "known": conformance_text.known_status(result),
        "feature": case.feature,
        "find": " ".join([case.name, case.feature, *sorted(case.keywords)]).lower(),
        "opened": opened,
        "lines": list(conformance_text.sentences(result)),
    }


def _times(results: Results) -> dict[str, Any] | None:
    """What the page says about convergence times, in seconds; None if no change was timed."""
    times = [
        step.converged_s
        for result in results.results
        for step in result.steps
        if step.converged_s is not None
    ]
    if not times:
        return None
    slowest = sorted(
        ((result.converged_s, index) for index, result in enumerate(results.results) if result.converged_s),
        key=lambda one: -one[0],
    )
    bars = _histogram(times)
    return {
        "number": len(times),
        "median": f"{_percentile(times, 0.5):.3f}",
        "p95": f"{_percentile(times, 0.95):.3f}",
        "most": f"{max(times):.3f}",
        "title": ", ".join(f"{bar.name}: {bar.count}" for bar in bars if bar.count),
        "bars": bars,
        "slowest": [
            {"index": index, "name": results.results[index].case.name, "seconds": f"{seconds:.3f}"}
            for seconds, index in slowest[:10]
        ],
    }


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of the histogram, in units of the drawing."""

    name: str
    count: int
    left: int
    top: float
    height: float


def _bins(times: Sequence[float]) -> list[tuple[str, int]]:
    """How many of the seconds fall between two edges, each with its name."""
    counts = [0] * (len(EDGES) + 1)
    for time in times:
        counts[bisect_right(EDGES, time)] += 1
    names = [f"< {_with_unit(EDGES[0])}"]
    names += [f"{_number(low, high)}–{_with_unit(high)}" for low, high in pairwise(EDGES)]  # noqa: RUF001
    return list(zip([*names, f"> {_with_unit(EDGES[-1])}"], counts, strict=True))


def _number(seconds: float, other: float) -> str:
    """In the unit that fits the larger of the two."""
    return f"{seconds if other >= 1 else seconds * 1000:g}"


def _with_unit(seconds: float) -> str:
    return f"{_number(seconds, seconds)} {'s' if seconds >= 1 else 'ms'}"


def _percentile(times: Sequence[float], part: float) -> float:
    """The time within which `part` of them are; `times` is not empty."""
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def _histogram(times: Sequence[float]) -> list[Bar]:
    """A bar for each bin; the tallest is 120 units high and all start at y = 150. `times` is not empty."""
    found = _bins(times)
    most = max(count for _, count in found)
    heights = [round(120 * count / most, 1) for _, count in found]
    return [
        Bar(name, count, 12 + index * 70, 150 - height, height)
        for index, ((name, count), height) in enumerate(zip(found, heights, strict=True))
    ]


def _trend(found: ConformanceReport) -> dict[str, Any] | None:
    """The runs over time; None without earlier runs."""
    if not found.past:
        return None
    now = PastRun.of(found.results, found.cluster, found.run)
    return page_values(conformance_text.trend((*found.past, now)))
