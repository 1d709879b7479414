"""Ends that behave alike, put together: the same flows to and from the same others, for the same reasons.

Theory of operation. Two ends are alike where their rows and columns in the matrix are equal but for each
other, and what stands between the two is the same in both directions. Between alike ends all cells are equal;
so an end's row, with one of its own cells put on the diagonal, equals the completed row of everybody alike
to it. Ends are hashed by completed rows and columns, once for each candidate of the diagonal: what stands
between the end and a neighbour of its own namespace, and "nothing". No end is compared with another.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Hashable, Mapping, Sequence
from typing import TypeAlias

from netprobe.report.graph.record import Cell, Party

CROWDED = 30  # nodes; up to here different workloads keep a box of their own


def together(
    cells: Sequence[Cell],
    workloads: Mapping[Party, str],
    *,
    everybody: bool | None = None,
    crowds: Container[Party] = (),
) -> dict[Party, Party]:
    """For each end the first one that is alike, which may be itself; in order of appearance.

    `workloads` names what a pod is a replica of. Unless `everybody`, only replicas of one workload are put
    together; None does so where there are more ends than can be read. An end of `crowds` stands for several,
    and its cell with itself for what is between any two of them; for any other end it would be a flow to its
    own address. Cells that share a reason must share the object that holds it.
    """
    number: dict[Party, int] = {}
    outgoing: list[Line] = []
    incoming: list[Line] = []
    for cell in cells:
        for end in (cell.source, cell.destination):
            if number.setdefault(end, len(number)) == len(outgoing):
                outgoing.append({})
                incoming.append({})
        source, target, what = number[cell.source], number[cell.destination], _what(cell)
        outgoing[source][target] = (*outgoing[source].get(target, ()), what)
        incoming[target][source] = (*incoming[target].get(source, ()), what)
    ends = list(number)
    replicas = _leaders(ends, outgoing, incoming, workloads, crowds)
    crowded = len(set(replicas)) > CROWDED if everybody is None else everybody
    leaders = _leaders(ends, outgoing, incoming, None, crowds) if crowded else replicas
    return {end: ends[leader] for end, leader in zip(ends, leaders, strict=True)}


def _leaders(
    ends: Sequence[Party],
    outgoing: Sequence[Line],
    incoming: Sequence[Line],
    workloads: Mapping[Party, str] | None,
    crowds: Container[Party],
) -> list[int]:
    buckets: dict[Hashable, list[int]] = defaultdict(list)
    keys: list[list[Hashable]] = []
    for number, end in enumerate(ends):
        row, column = outgoing[number], incoming[number]
        # Who is asked about its way to itself keeps a box of its own: the diagonal is taken.
        itself = number in row and end not in crowds
        apart = end if itself else workloads.get(end, end) if workloads is not None else None
        between = [
            what
            for other, what in row.items()
            if ends[other].namespace == end.namespace and column.get(other) == what
        ]
        completed: list[Hashable] = []
        for diagonal in (None, *dict.fromkeys(between)):
            mine = {} if diagonal is None else {number: diagonal}
            lines = frozenset({**mine, **row}.items()), frozenset({**mine, **column}.items())
            completed.append((end.namespace, end.service, apart, *lines))
        keys.append(completed)
        for key in completed:
            buckets[key].append(number)
    return [max((buckets[key] for key in completed), key=len)[0] for completed in keys]


What: TypeAlias = tuple[int, ...]
Line: TypeAlias = dict[int, tuple[What, ...]]  # what stands in the cells between an end and each other


def _what(cell: Cell) -> What:
    """All that makes a cell what it is, as numbers: enumerations and reasons by their identity."""
    held = (cell.protocol, cell.declared, cell.simulated, cell.observed, cell.named, cell.why)
    return (cell.port, cell.family or 0, *map(id, held), *map(id, cell.differs))


def label(names: Sequence[str], workload: str | None = None) -> str:
    """What to call some pods together: their workload, what their names begin with, or the first of them."""
    if len(names) == 1:
        return names[0]
    if workload:
        return workload
    first, last = min(names), max(names)
    same = next(
        (i for i, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), len(first)
    )
    common = first[:same].rpartition("-")[0]
    if common:
        return f"{common}-*"
    return f"{names[0]}, {names[1]}" if len(names) == 2 else f"{names[0]} +{len(names) - 1:,}"
