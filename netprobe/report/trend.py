"""Runs over time, of suites and of conformance: a table for a terminal, and the chart and table of a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from netprobe.report.style import PLAIN, Style, wrapped
from netprobe.report.tables import aligned

MOST_RUNS: Final = 60
"""Runs in the chart and the table of a page."""
WIDE: Final = 120
"""Columns of a terminal on which the name of a cluster fits beside the numbers."""


@dataclass(frozen=True, slots=True)
class TrendRun:
    """A run. `counts` are its flows or cases by status; `name` is that of its suite, if it has one."""

    started: datetime
    cluster: str
    counts: Mapping[str, int]
    seconds: float
    converged_s: float | None
    name: str = ""

    @property
    def total(self) -> int:
        return sum(self.counts.values()) or 1

    @property
    def converged(self) -> str:
        return "" if self.converged_s is None else f"{self.converged_s:.3f} s"


@dataclass(frozen=True, slots=True)
class Trend:
    """Runs, the oldest first. `heads` are headings by status; `harmless` the statuses that need no attention,
    which are at the bottom of a column."""

    runs: Sequence[TrendRun]
    heads: Mapping[str, str]
    harmless: Sequence[str]

    @property
    def used(self) -> list[str]:
        """The statuses that occur."""
        return [status for status in self.heads if any(run.counts.get(status) for run in self.runs)]

    @property
    def stacked(self) -> list[str]:
        """All statuses as in a column of the chart, from the bottom."""
        return [*self.harmless, *(status for status in self.heads if status not in self.harmless)]

    @property
    def shown(self) -> Sequence[TrendRun]:
        """The runs of a page."""
        return self.runs[-MOST_RUNS:]


def lines(trend: Trend, style: Style = PLAIN) -> Iterator[str]:
    """A line for each run. Columns that are empty for all runs are left out.

    On a narrow terminal the cluster of all runs is above the table.
    """
    names = ["Suite"] if any(run.name for run in trend.runs) else []
    header = ["Run", *names, *(trend.heads[one] for one in trend.used), "seconds", "converged", "Cluster"]
    rows = [
        [
            f"{run.started:%Y-%m-%d %H:%M}",
            *([run.name] if names else []),
            *(str(run.counts.get(one) or "") for one in trend.used),
            f"{run.seconds:.1f}",
            run.converged,
            run.cluster,
        ]
        for run in trend.runs
    ]
    right = range(1 + len(names), len(header) - 1)
    if style.width and style.width < WIDE and len({run.cluster for run in trend.runs}) == 1:
        yield wrapped(f"Cluster: {trend.runs[0].cluster}", style) + "\n\n"
        header, rows = header[:-1], [row[:-1] for row in rows]
    yield from aligned(header, rows, style=style, right=right)
