"""A case is tried again while its answer moves: when that is enough, and what is kept of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from netprobe.diff import Row
from netprobe.diff import Status as FlowStatus
from netprobe.model.flow import Flow
from netprobe.model.verdict import Verdict

MOST_TRIES: Final = 5


def _troubled(rows: Iterable[Row]) -> dict[Flow, Verdict | None]:
    return {row.flow: row.observed for row in rows if row.status in {FlowStatus.MISMATCH, FlowStatus.UNKNOWN}}


def is_settled(tries: Sequence[tuple[Row, ...]]) -> bool:
    """Whether there is no reason to try again: all is well, the last two tries agree, or there were enough.

    A try that is as expected after one that was not has to be seen twice too.
    """
    if len(tries) == 1:
        return not _troubled(tries[0])
    first, second = ({row.flow: row.observed for row in rows} for rows in tries[-2:])
    return first == second or len(tries) >= MOST_TRIES


def attempts(tries: Sequence[tuple[Row, ...]]) -> dict[Flow, tuple[Verdict, ...]]:
    """For each flow that was ever not as expected, what every try saw."""
    flows = dict.fromkeys(flow for rows in tries for flow in _troubled(rows))
    by_try = [{row.flow: row.observed or Verdict.UNKNOWN for row in rows} for rows in tries]
    return {flow: tuple(seen[flow] for seen in by_try if flow in seen) for flow in flows}
