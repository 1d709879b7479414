"""Runs over time, of suites and of conformance: a table for a terminal, and the chart and table of a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from netprobe.report.style import PLAIN, Style
from netprobe.report.tables import aligned

MOST_RUNS: Final = 60
"""Runs in the chart and the table of a page."""
TOP, BOTTOM, LEFT, RIGHT = 15.0, 140.0, 10.0, 710.0
WIDEST = 44.0


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


def lines(trend: Trend, style: Style = PLAIN) -> Iterator[str]:
    """A line for each run. Columns that are empty for all runs are left out."""
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
    yield from aligned(header, rows, style=style, right=range(1 + len(names), len(header) - 1))


def page_values(trend: Trend) -> dict[str, Any]:
    """The variables of templates/trend.html: the last run is last in the chart, and first in the table."""
    shown = trend.runs[-MOST_RUNS:]
    most = max(1, *(sum(run.counts.values()) for run in shown))
    step = min(WIDEST, (RIGHT - LEFT) / len(shown))
    order = (*trend.harmless, *(status for status in trend.heads if status not in trend.harmless))
    blocks: list[dict[str, Any]] = []
    for index, run in enumerate(shown):
        bottom = BOTTOM
        for status in order:
            if count := run.counts.get(status):
                height = max(2.0, (BOTTOM - TOP) * count / most)
                bottom -= height
                blocks.append(
                    {
                        "status": status,
                        "left": round(LEFT + index * step, 1),
                        "top": round(bottom, 1),
                        "width": round(step * 0.8, 1),
                        "height": round(height - 0.7, 1),
                        "title": f"{run.started:%Y-%m-%d %H:%M}: {count} {trend.heads[status]}",
                    }
                )
    last = LEFT + (len(shown) - 1) * step + step * 0.8
    ends = [(shown[0], "start", LEFT), *([(shown[-1], "end", last)] if len(shown) > 1 else [])]
    return {
        "blocks": blocks,
        "labels": [{"text": f"{run.started:%m-%d}", "anchor": to, "left": left} for run, to, left in ends],
        "names_clusters": len({run.cluster for run in shown}) > 1,
        "heads": [trend.heads[status] for status in trend.used],
        "runs": [
            {
                "started": f"{run.started:%Y-%m-%d %H:%M}",
                "cluster": run.cluster,
                "counts": [{"status": one, "number": run.counts.get(one)} for one in trend.used],
                "seconds": f"{run.seconds:.1f}",
                "converged": run.converged,
            }
            for run in reversed(shown)
        ],
    }
