"""Pods that behave alike share a row, so that a report of many flows stays readable."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import islice

from netprobe.diff import Row
from netprobe.model.flow import End
from netprobe.model.text import plain
from netprobe.model.verdict import Verdict
from netprobe.report import phrases
from netprobe.report.style import Detail
from netprobe.run.record import LONGEST, FlowGroup, ReportStep, group_note, port_text


def rows_or_groups(
    step: ReportStep, detail: Detail = Detail.AUTO
) -> tuple[tuple[Row, ...], tuple[FlowGroup, ...]]:
    """The rows of a step, or if there are more than LONGEST, groups of them."""
    if detail is Detail.ALL:
        return tuple(step.rows), ()
    if step.groups is not None:
        return (), step.groups
    held = tuple(islice(step.rows, LONGEST + 1))
    if detail is Detail.GROUPS or len(held) > LONGEST:
        return (), groups(tuple(step.rows))
    return held, ()


def alike(rows: Sequence[Row]) -> dict[End, int]:
    """A class for each end; ends of one class have the same results to and from the same classes.

    The coarsest such partition, by refinement: each round is one pass over the rows, and there are rarely
    more than four.
    """
    ends = dict.fromkeys(end for row in rows for end in (row.flow.source, row.flow.destination))
    classes = dict.fromkeys(ends, 0)
    while True:
        seen: dict[End, set[tuple[object, ...]]] = {end: set() for end in ends}
        for row in rows:
            flow = row.flow
            port = (flow.port, flow.protocol, flow.family, flow.via, flow.placement)
            cell = (*port, row.result, _note(row))
            seen[flow.source].add(("to", classes[flow.destination], *cell))
            seen[flow.destination].add(("from", classes[flow.source], *cell))
        numbers: dict[tuple[int, frozenset[tuple[object, ...]]], int] = {}
        refined = {
            end: numbers.setdefault((classes[end], frozenset(cells)), len(numbers))
            for end, cells in seen.items()
        }
        if len(numbers) == len(set(classes.values())):
            return refined
        classes = refined


def _note(row: Row) -> str:
    return group_note(row.status, row.decision.qualified_by if row.decision else ())


def label(members: Sequence[End]) -> str:
    """The first member, and the number of the others: "shop/cart +3"."""
    more = f" +{len(members) - 1}" if len(members) > 1 else ""
    return plain(str(members[0])) + more


def groups(rows: Sequence[Row]) -> tuple[FlowGroup, ...]:
    """One group for each pair of classes, port and result, in the order of their first flow."""
    classes = alike(rows)
    members: dict[int, list[End]] = defaultdict(list)
    for end, number in classes.items():
        members[number].append(end)
    families = phrases.has_both_families(rows)
    flows: Counter[tuple[int, int, str, Verdict, str]] = Counter()
    for row in rows:
        ends = classes[row.flow.source], classes[row.flow.destination]
        flows[(*ends, port_text(row.flow, families), row.result, _note(row))] += 1
    return tuple(
        FlowGroup(label(members[source]), label(members[to]), port, result, number, note)
        for (source, to, port, result, note), number in flows.items()
    )
