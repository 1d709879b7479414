"""Fewer boxes and fewer arrows that say the same: ends that behave alike, and arrows of whole namespaces.

Theory of operation of `representatives`. Two ends are alike if swapping them leaves the matrix as it is:
their rows and columns are equal except for each other, and the cells between the two are the same in both
directions. Between alike ends all cells are equal; so the row of an end, completed on its diagonal with one
of its own cells, equals the completed row of every end alike to it. Ends are hashed by their completed rows
and columns, once for each candidate for the diagonal (the cell between the end and a neighbour of its own
namespace, or none), so that no end is compared with another.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Hashable, Iterable, Mapping, Sequence
from typing import TypeAlias

from netprobe.report.graph.elements import Anchor, ArrowLabel, Edge, EndName, GraphCell, Node, Pairs

MOST_SINGLE_NODES = 30
"""With more nodes, pods of different workloads share one."""
FEWEST_TO_BUNDLE = 3
"""Pods of a namespace with the same arrow, from which on the namespace gets the arrow instead."""

CellKey: TypeAlias = tuple[object, ...]
"""Everything that makes two cells equal, except for their ends."""
Line: TypeAlias = dict[int, tuple[CellKey, ...]]
"""A row or a column of the matrix: the cells between an end and each other end, by the other's number."""


def representatives(
    pairs: Pairs,
    workloads: Mapping[EndName, str],
    *,
    across_workloads: bool | None = None,
    groups: Container[EndName] = (),
) -> dict[EndName, EndName]:
    """For each end, in order of appearance, the first end that is alike; often the end itself.

    `workloads` names the workload of a pod. Unless `across_workloads`, only replicas of one workload are
    alike; None means across workloads if there are too many ends otherwise. An end of `groups` represents
    several pods, and its cell with itself is about any two of them; for all other ends it is a flow to their
    own address. Cells with equal sides must share one object for them, since identity is compared.
    """
    numbers: dict[EndName, int] = {}
    rows: list[Line] = []
    columns: list[Line] = []
    for (one, other), cells in pairs.items():
        for end in (one, other):
            if numbers.setdefault(end, len(numbers)) == len(rows):
                rows.append({})
                columns.append({})
        keys = tuple(map(cell_key, cells))
        rows[numbers[one]][numbers[other]] = columns[numbers[other]][numbers[one]] = keys
    ends = list(numbers)
    found = _representatives(ends, rows, columns, workloads, groups)
    if across_workloads is None:
        across_workloads = len(set(found)) > MOST_SINGLE_NODES
    if across_workloads:
        found = _representatives(ends, rows, columns, None, groups)
    return {end: ends[first] for end, first in zip(ends, found, strict=True)}


def _representatives(
    ends: Sequence[EndName],
    rows: Sequence[Line],
    columns: Sequence[Line],
    workloads: Mapping[EndName, str] | None,
    groups: Container[EndName],
) -> list[int]:
    buckets: dict[Hashable, list[int]] = defaultdict(list)
    keys: list[list[Hashable]] = []
    for number, end in enumerate(ends):
        row, column = rows[number], columns[number]
        # An end with a flow to itself keeps its own node: its diagonal is taken.
        to_itself = number in row and end not in groups
        apart = end if to_itself else workloads.get(end, end) if workloads is not None else None
        diagonals = [
            between
            for other, between in row.items()
            if ends[other].namespace == end.namespace and column.get(other) == between
        ]
        completed: list[Hashable] = []
        for diagonal in (None, *dict.fromkeys(diagonals)):
            own = {} if diagonal is None else {number: diagonal}
            lines = frozenset({**own, **row}.items()), frozenset({**own, **column}.items())
            completed.append((end.namespace, end.service, apart, *lines))
        keys.append(completed)
        for key in completed:
            buckets[key].append(number)
    return [max((buckets[key] for key in completed), key=len)[0] for completed in keys]


def cell_key(cell: GraphCell) -> CellKey:
    """Enumerations and reasons by identity, which is many times faster than by value."""
    held = (cell.protocol, cell.declared, cell.simulated, cell.observed, cell.sides, *cell.mismatches)
    return (cell.port, cell.family, cell.declared_by, *map(id, held))


def group_label(names: Sequence[str], workload: str | None = None) -> str:
    """A name for several pods: their workload, the beginning that their names share, or the first name."""
    if len(names) == 1:
        return names[0]
    if workload:
        return workload
    first, last = min(names), max(names)
    length = next(
        (i for i, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), len(first)
    )
    shared = first[:length].rpartition("-")[0]
    if shared:
        return f"{shared}-*"
    return f"{names[0]}, {names[1]}" if len(names) == 2 else f"{names[0]} +{len(names) - 1:,}"


def bundled(edges: Sequence[Edge], nodes: Sequence[Node]) -> list[Edge]:
    """The same flows with fewer arrows: to whole namespaces, then from whole namespaces, then from everyone.

    If that needs fewer, those from everyone are made first.
    An arrow from a namespace to a pod of that namespace means "from the others": no flow from a pod to
    itself is added.
    """
    members: dict[str, set[int]] = defaultdict(set)
    for index, node in enumerate(nodes):
        if node.namespace is not None and not node.service:
            members[node.namespace].add(index)
    outside = {i for i, node in enumerate(nodes) if node.namespace is None}

    def by_namespaces(some: Sequence[Edge]) -> list[Edge]:
        found = _to_namespaces(some, members)
        found = [_turned(edge) for edge in _to_namespaces(map(_turned, found), members)]
        return _from_everyone(found, members, outside)

    of_everyone = _from_everyone(edges, members, outside)
    others = [edge for edge in of_everyone if not edge.source.is_everyone]
    everyone_first = [*(edge for edge in of_everyone if edge.source.is_everyone), *by_namespaces(others)]
    return min(by_namespaces(edges), everyone_first, key=len)


def _turned(edge: Edge) -> Edge:
    return Edge(edge.target, edge.source, edge.label)


def _to_namespaces(edges: Iterable[Edge], members: Mapping[str, set[int]]) -> list[Edge]:
    """Arrows from one source to all pods of a namespace, as one arrow to the namespace."""
    edges = list(edges)
    reached: dict[tuple[Anchor, ArrowLabel], set[int]] = defaultdict(set)
    for edge in edges:
        if edge.target.node is not None:
            reached[edge.source, edge.label].add(edge.target.node)
    home: dict[int | None, str] = {node: name for name, inside in members.items() for node in inside}
    whole = {
        (source, label, namespace)
        for (source, label), targets in reached.items()
        for namespace in {home[node] for node in targets if node in home}
        if len(needed := members[namespace] - {source.node}) >= FEWEST_TO_BUNDLE and needed <= targets
    }

    def bundle(edge: Edge) -> Edge:
        namespace = home.get(edge.target.node)
        if namespace is None or (edge.source, edge.label, namespace) not in whole:
            return edge
        return Edge(edge.source, Anchor(namespace=namespace), edge.label)

    return _unique(map(bundle, edges))


def _from_everyone(edges: Sequence[Edge], members: Mapping[str, set[int]], outside: set[int]) -> list[Edge]:
    """One arrow from everyone, if most namespaces reach a target with the same label."""
    sources: dict[tuple[Anchor, ArrowLabel], set[int]] = defaultdict(set)
    for edge in edges:
        node, namespace = edge.source.node, edge.source.namespace
        sources[edge.target, edge.label] |= members[namespace] if namespace is not None else {node or 0}
    everyone: dict[tuple[Anchor, ArrowLabel], Anchor] = {}
    for (target, label), reaching in sources.items():
        if len(reaching) < len(members) / 2:  # too few namespaces, without counting them one by one
            continue
        excluded = tuple(name for name, inside in members.items() if not inside - {target.node} <= reaching)
        if len(members) - len(excluded) > max(len(members) / 2, FEWEST_TO_BUNDLE - 1):
            hosts = bool(outside) and outside <= reaching
            everyone[target, label] = Anchor(excluded=excluded, outside=hosts)

    def bundle(edge: Edge) -> Edge:
        anchor = everyone.get((edge.target, edge.label))
        node = edge.source.node
        if (
            anchor is None
            or edge.source.namespace in anchor.excluded
            or (node in outside and not anchor.outside)
            or any(node in members[name] for name in anchor.excluded)
        ):
            return edge
        return Edge(anchor, edge.target, edge.label)

    return _unique(map(bundle, edges))


def _unique(edges: Iterable[Edge]) -> list[Edge]:
    return list(dict.fromkeys(edges))
