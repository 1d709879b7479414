"""The geometry of the charts on the conformance page: convergence times, and runs over time. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from netprobe.conformance.history import PastRun
from netprobe.conformance.result import CaseStatus
from netprobe.report.conformance_text import COLUMNS, HEADS

EDGES: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds between the bars of the histogram; the last bar counts everything above."""
MOST_RUNS: Final = 60
_LOWEST: Final = (CaseStatus.PASSED, CaseStatus.UNSCORED, CaseStatus.SKIPPED)


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of the histogram, in units of the drawing."""

    name: str
    count: int
    left: int
    top: float
    height: float


@dataclass(frozen=True, slots=True)
class ChartBlock:
    """The cases of one status in the column of one run."""

    status: str
    left: float
    top: float
    width: float
    height: float
    title: str


@dataclass(frozen=True, slots=True)
class ChartLabel:
    text: str
    anchor: str
    left: float


def bins(times: Sequence[float]) -> list[tuple[str, int]]:
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


def percentile(times: Sequence[float], part: float) -> float:
    """The time within which `part` of them are; `times` is not empty."""
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def histogram(times: Sequence[float]) -> list[Bar]:
    """A bar for each bin; the tallest is 120 units high and all start at y = 150. `times` is not empty."""
    found = bins(times)
    most = max(count for _, count in found)
    heights = [round(120 * count / most, 1) for _, count in found]
    return [
        Bar(name, count, 12 + index * 70, 150 - height, height)
        for index, ((name, count), height) in enumerate(zip(found, heights, strict=True))
    ]


def trend(runs: Sequence[PastRun]) -> tuple[list[ChartBlock], list[ChartLabel]]:
    """A column for each run, stacked by status with what did not pass on top; first and last day."""
    shown = runs[-MOST_RUNS:]
    most = max(1, *(len(run.cases) for run in shown))
    step = min(44.0, 700 / len(shown))
    blocks: list[ChartBlock] = []
    labels: list[ChartLabel] = []
    for index, run in enumerate(shown):
        left = 10 + index * step
        blocks += _column(run, left, step * 0.8, most)
        if index in {0, len(shown) - 1}:
            anchor = "start" if index == 0 else "end"
            labels.append(
                ChartLabel(f"{run.started:%m-%d}", anchor, left if index == 0 else left + step * 0.8)
            )
    return blocks, labels


def _column(run: PastRun, left: float, width: float, most: int) -> Iterator[ChartBlock]:
    bottom = 140.0
    for status in (*_LOWEST, *(status for status in COLUMNS if status not in _LOWEST)):
        if count := run.counts[status]:
            height = max(2.0, 125 * count / most)
            bottom -= height
            title = f"{run.started:%Y-%m-%d %H:%M}: {count} {HEADS[status]}"
            place = round(left, 1), round(bottom, 1), round(width, 1), round(height - 0.7, 1)
            yield ChartBlock(status.value, *place, title)
