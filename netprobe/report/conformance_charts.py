"""The drawings of the HTML page, as SVG: convergence times as a histogram, runs over time. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final

from netprobe.conformance.history import PastRun
from netprobe.conformance.result import CaseStatus
from netprobe.report.conformance_text import COLUMNS, HEADS
from netprobe.report.escape import xml

EDGES: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds between the bars of the histogram; the last one holds all above."""
MOST_RUNS: Final = 60


def bins(times: Sequence[float]) -> list[tuple[str, int]]:
    """How many of the seconds fall between two edges, each with its words."""
    counts = [0] * (len(EDGES) + 1)
    for time in times:
        counts[bisect_right(EDGES, time)] += 1
    names = [f"< {_short(EDGES[0], EDGES[0])}"]
    names += [f"{_number(low, high)}–{_short(high, high)}" for low, high in pairwise(EDGES)]  # noqa: RUF001
    return list(zip([*names, f"> {_short(EDGES[-1], EDGES[-1])}"], counts, strict=True))


def _number(seconds: float, beside: float) -> str:
    """In the unit that fits the larger number beside it."""
    return f"{seconds if beside >= 1 else seconds * 1000:g}"


def _short(seconds: float, beside: float) -> str:
    return f"{_number(seconds, beside)} {'s' if beside >= 1 else 'ms'}"


def percentile(times: Sequence[float], part: float) -> float:
    """The time within which `part` of them are; `times` is not empty."""
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def histogram(times: Sequence[float]) -> Iterator[str]:
    """Bars, each with its number above it and its seconds below."""
    found = bins(times)
    most = max(count for _, count in found)
    told = ", ".join(f"{name}: {count}" for name, count in found if count)
    yield '<svg class="chart" viewBox="0 0 720 190" role="img" aria-labelledby="times-told">\n'
    yield f'<title id="times-told">RunChanges by the time until they were in force. {xml(told)}</title>\n'
    yield '<line class="axis" x1="8" y1="150" x2="712" y2="150"/>\n'
    for index, (name, count) in enumerate(found):
        height = 120 * count / most
        left = 12 + index * 70
        if count:
            place = f'x="{left}" y="{150 - height:.1f}" width="58" height="{height:.1f}"'
            yield f'<rect class="bar" {place} rx="2"/>\n'
            yield f'<text x="{left + 29}" y="{144 - height:.1f}">{count}</text>\n'
        yield f'<text class="soft" x="{left + 29}" y="168">{xml(name)}</text>\n'
    yield "</svg>\n"


def proportions(counts: Mapping[CaseStatus, int]) -> Iterator[str]:
    """One bar, as wide as the page: what became of the cases. The numbers stand above it."""
    total = sum(counts.values())
    left = 0.0
    yield '<svg class="whole" viewBox="0 0 1000 10" preserveAspectRatio="none" aria-hidden="true">'
    for status in COLUMNS:
        if counts[status]:
            width = 1000 * counts[status] / total
            yield f'<rect class="{status.value}" x="{left:.1f}" y="0" width="{width:.1f}" height="10"/>'
            left += width
    yield "</svg>\n"


def trend(runs: Sequence[PastRun]) -> Iterator[str]:
    """A column for each run, stacked by what became of its cases; what is not passed stands on top."""
    shown = runs[-MOST_RUNS:]
    most = max(1, *(len(run.cases) for run in shown))
    step = min(44.0, 700 / len(shown))
    yield '<svg class="chart" viewBox="0 0 720 170" role="img" aria-labelledby="runs-told">\n'
    yield '<title id="runs-told">Runs, the oldest first; the table below has their numbers.</title>\n'
    yield '<line class="axis" x1="8" y1="140" x2="712" y2="140"/>\n'
    for index, run in enumerate(shown):
        bottom = 140.0
        left = 10 + index * step
        for status in _upwards():
            count = run.counts[status]
            if not count:
                continue
            height = max(2.0, 125 * count / most)
            bottom -= height
            size = f'x="{left:.1f}" y="{bottom:.1f}" width="{step * 0.8:.1f}" height="{height - 0.7:.1f}"'
            told = f"{run.started:%Y-%m-%d %H:%M}: {count} {HEADS[status]}"
            yield f'<rect class="{status.value}" {size}><title>{told}</title></rect>\n'
        if index in {0, len(shown) - 1}:
            anchor = "start" if index == 0 else "end"
            edge = left if index == 0 else left + step * 0.8
            words = f"{run.started:%m-%d}</text>\n"
            yield f'<text class="soft {anchor}" x="{edge:.1f}" y="158">{words}'
    yield "</svg>\n"


def _upwards() -> tuple[CaseStatus, ...]:
    quiet = (CaseStatus.PASSED, CaseStatus.UNSCORED, CaseStatus.SKIPPED)
    return (*quiet, *(status for status in COLUMNS if status not in quiet))
