"""The matrix of `. X ?`: sources down, destinations across, one for each port.

Pods that behave alike share a line and a column, so that a matrix stays as small as what it says.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

from netprobe.diff import Row
from netprobe.model.flow import End
from netprobe.report import words
from netprobe.report.alike import alike, label

Asked: TypeAlias = tuple[str, str]  # the port as written, and how the destination is reached

FEW = 20  # ends are shown each for itself
WIDEST = 40  # columns; beyond that nobody can follow a column down


def matrices(rows: Sequence[Row]) -> Iterator[str]:
    """Lines of one matrix for each port, in the order in which the ports first appear."""
    ends = dict.fromkeys(end for row in rows for end in (row.flow.source, row.flow.destination))
    apart = {end: number for number, end in enumerate(ends)}
    classes = apart if len(apart) <= FEW else alike(rows)
    members: dict[int, list[End]] = defaultdict(list)
    for end, number in classes.items():
        members[number].append(end)
    families = words.families(rows)
    by_port: dict[Asked, list[Row]] = defaultdict(list)
    for row in rows:
        via = row.flow.via.value
        way = ("" if via == "pod" else f" by {via}") + words.placement(row.flow)
        by_port[words.port(row.flow, families), way].append(row)
    yield "Sources down, destinations across: . allow, X deny, ? unknown, * differs from pod to pod"
    for (port, via), cells in by_port.items():
        yield ""
        yield f"Port {port}{via}"
        yield from _matrix(cells, classes, members)


def _matrix(rows: Iterable[Row], classes: dict[End, int], members: dict[int, list[End]]) -> Iterator[str]:
    marks: dict[tuple[int, int], str] = {}
    for row in rows:
        key = classes[row.flow.source], classes[row.flow.destination]
        mark = row.result.mark
        marks[key] = mark if marks.get(key, mark) == mark else "*"
    sources = dict.fromkeys(source for source, _ in marks)
    destinations = dict.fromkeys(destination for _, destination in marks)
    if len(destinations) > WIDEST:
        size = f"{len(sources)} x {len(destinations)} kinds of pod"
        yield f"  {size}: too wide to draw; narrow it with --from and --to"
        return
    numbers = {group: number for number, group in enumerate({**sources, **destinations}, start=1)}
    across = sorted(destinations, key=numbers.__getitem__)
    names = {group: f"{numbers[group]:>3} {label(members[group])}" for group in numbers}
    width = max(map(len, names.values()))
    yield f"{'':{width}}  " + " ".join(f"{numbers[group]:>2}" for group in across)
    for group, name in names.items():
        line = " ".join(f"{marks.get((group, to), ''):>2}" for to in across)
        yield f"{name:{width}}  {line}".rstrip()
