"""The histogram of convergence times on the conformance page."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

EDGES: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds between the bars of the histogram; the last bar counts everything above."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of the histogram, in units of the drawing."""

    name: str
    count: int
    left: int
    top: float
    height: float


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
