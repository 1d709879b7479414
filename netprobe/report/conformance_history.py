"""Past conformance runs as a table, and what changed in the last one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from netprobe.conformance.history import PastRun, RunChanges
from netprobe.report.conformance_text import COLUMNS, HEADS, change_lines
from netprobe.report.escape import plain
from netprobe.report.tables import aligned


def trend(runs: Sequence[PastRun], changes: RunChanges) -> Iterator[str]:
    """A line per run. Columns that are empty for all runs are left out."""
    used = [status for status in COLUMNS if any(one.counts[status] for one in runs)]
    head = ["Run", "Cluster", *(HEADS[status] for status in used), "seconds", "converged"]
    lines = [
        [
            f"{one.started:%Y-%m-%d %H:%M}",
            one.cluster,
            *(str(one.counts[status] or "") for status in used),
            f"{one.seconds:.1f}",
            "" if one.converged_s is None else f"{one.converged_s:.3f} s",
        ]
        for one in runs
    ]
    yield from aligned(head, lines, right=range(2, len(head)))
    lines_changed = list(change_lines(changes))
    if lines_changed:
        yield "\nIn the last run:\n"
        yield from (f"  {plain(line)}\n" for line in lines_changed)
    elif len(runs) > 1:
        yield "\nNothing changed in the last run.\n"
