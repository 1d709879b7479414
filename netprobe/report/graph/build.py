"""Cells to a graph: which boxes there are, which arrows are drawn, and what is drawn more coarsely."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TypeVar

from netprobe.model.verdict import Verdict
from netprobe.report.graph.elements import (
    Anchor,
    ArrowLabel,
    Cells,
    Denied,
    DrawnTable,
    Edge,
    EndName,
    Graph,
    GraphCell,
    Node,
    Pairs,
    distinct,
)
from netprobe.report.graph.grouping import bundled, group_label, representatives

R = TypeVar("R")

MOST_EDGES = 40
"""With more arrows, they are bundled."""
MOST_NODES = 400
"""With more boxes, a namespace is one box."""

_ORDER = {Verdict.ALLOW: 0, Verdict.DENY: 1, Verdict.UNKNOWN: 2}


@dataclass(frozen=True, slots=True)
class GraphOptions:
    """What to draw, and in how much detail. None for `group`, `bundle` and `by_namespace`: if needed.

    `group`: pods of different workloads that behave alike share a box. `bundle`: arrows from or to every pod
    of a namespace become one. `by_namespace`: a namespace is one box. `drawn_only`: no boxes without an
    arrow. `most_edges`: with more arrows a namespace is one box, unless `by_namespace` is False.
    """

    view: DrawnTable = DrawnTable.RESULT
    denied: Denied = Denied.ROWS
    group: bool | None = None
    bundle: bool | None = None
    by_namespace: bool | None = None
    drawn_only: bool = False
    most_edges: int | None = None


@dataclass(frozen=True, slots=True)
class EndInfo:
    """What is known about ends: the pods that each represents, and its workload."""

    members: Mapping[EndName, tuple[EndName, ...]] = field(default_factory=dict)
    workloads: Mapping[EndName, str] = field(default_factory=dict)


def build(
    title: str,
    pairs: Pairs,
    options: GraphOptions = GraphOptions(),
    ends: EndInfo = EndInfo(),
    notes: Sequence[str] = (),
) -> Graph:
    """A graph of the cells. The same cells, in the same order, always give the same graph."""
    in_view = _once(lambda cells: tuple(cell for cell in cells if cell.verdict(options.view) is not None))
    known = {pair: kept for pair, cells in pairs.items() if (kept := in_view(cells))}
    every_end = dict.fromkeys(chain.from_iterable(known))
    by_namespace, notes = bool(options.by_namespace), list(notes)
    if not by_namespace:
        groups = {end for end, members in ends.members.items() if len(members) > 1}
        firsts = representatives(known, ends.workloads, across_workloads=options.group, groups=groups)
        boxes = len(set(firsts.values()))
        if options.by_namespace is None and boxes > MOST_NODES:
            by_namespace = True
            notes.append(f"{boxes:,} boxes are too many to draw: each box is a namespace")
    if by_namespace:
        first: dict[str, EndName] = {}  # represents all pods of its namespace
        firsts = {
            end: end if end.namespace is None else first.setdefault(end.namespace, end) for end in every_end
        }
    nodes, numbers = _nodes(firsts, ends, by_namespace)
    table = _table(known, firsts, numbers, keep_all=by_namespace)
    edges = _edges(table, options, by_namespace)
    if options.bundle or (options.bundle is None and len(edges) > MOST_EDGES):
        edges = bundled(edges, nodes)
    too_many = options.most_edges is not None and len(edges) > options.most_edges
    if too_many and options.by_namespace is None and not by_namespace:
        note = f"{len(edges):,} arrows are too many for this format: each box is a namespace"
        return build(title, known, replace(options, by_namespace=True), ends, [*notes, note])
    graph = Graph(title, options.view, _namespaces(nodes), tuple(nodes), tuple(edges), table, tuple(notes))
    return _without_unused_nodes(graph) if options.drawn_only else graph


def _namespaces(nodes: Iterable[Node]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(node.namespace for node in nodes if node.namespace is not None))


def _nodes(
    firsts: Mapping[EndName, EndName], ends: EndInfo, by_namespace: bool
) -> tuple[list[Node], dict[EndName, int]]:
    grouped: dict[EndName, list[EndName]] = defaultdict(list)
    for end, first in firsts.items():
        grouped[first].append(end)
    nodes: list[Node] = []
    numbers: dict[EndName, int] = {}
    for first, alike in grouped.items():
        numbers[first] = len(nodes)
        members = [member for end in alike for member in ends.members.get(end, (end,))]
        workloads = {ends.workloads.get(end) for end in alike}
        label = group_label([m.name for m in members], workloads.pop() if len(workloads) == 1 else None)
        if by_namespace and first.namespace is not None:
            label = "1 pod" if len(members) == 1 else f"{len(members):,} pods"
        nodes.append(Node(label, first.namespace, tuple(map(str, members)), first.service))
    return nodes, numbers


def _once(function: Callable[[Cells], R]) -> Callable[[Cells], R]:
    """The function, called once for each tuple of cells, however many pairs share it."""
    known: dict[int, tuple[Cells, R]] = {}

    def remembered(cells: Cells) -> R:
        found = known.get(id(cells))
        if found is None:
            found = known[id(cells)] = (cells, function(cells))  # kept, so that its id stays its own
        return found[1]

    return remembered


def _table(
    pairs: Pairs, firsts: Mapping[EndName, EndName], numbers: Mapping[EndName, int], *, keep_all: bool
) -> dict[tuple[int, int], Cells]:
    """The cells between two nodes. Between ends that are alike the cells of the first pair are enough;
    `keep_all` is for nodes whose members differ."""
    parts: dict[tuple[int, int], list[Cells]] = defaultdict(list)
    for (source, destination), cells in pairs.items():
        parts[numbers[firsts[source]], numbers[firsts[destination]]].append(cells)
    return {
        pair: tuple(chain.from_iterable(some)) if keep_all and len(some) > 1 else some[0]
        for pair, some in parts.items()
    }


def _edges(table: Mapping[tuple[int, int], Cells], options: GraphOptions, by_namespace: bool) -> list[Edge]:
    families = {4, 6} <= {cell.family for cells in distinct(table.values()) for cell in cells}
    labels = _once(lambda cells: _labels(cells, options, families, by_namespace))
    edges = [
        Edge(Anchor(source), Anchor(target), label)
        for (source, target), cells in table.items()
        for label in labels(cells)
    ]
    return sorted(edges, key=_edge_order)


def _labels(cells: Cells, options: GraphOptions, families: bool, by_namespace: bool) -> list[ArrowLabel]:
    """The labels of the arrows between two nodes."""
    ports: dict[tuple[Verdict, str], dict[tuple[int, str], str]] = defaultdict(dict)
    for cell, text in _drawn(cells, options, families, by_namespace):
        verdict = cell.verdict(options.view) or Verdict.UNKNOWN
        ports[verdict, _expected(cell, options.view)][cell.port, text] = text
    return [
        ArrowLabel(verdict, tuple(of[key] for key in sorted(of)), wrong)
        for (verdict, wrong), of in ports.items()
    ]


def _drawn(
    cells: Sequence[GraphCell], options: GraphOptions, families: bool, by_namespace: bool
) -> Iterable[tuple[GraphCell, str]]:
    """The cells that are drawn, each with the text of its port.

    Between namespaces, "80 some" is a port on which only some of the pairs have the verdict.
    """
    drawn = [(cell, cell.port_text(families)) for cell in cells if _is_drawn(cell, options)]
    if not by_namespace:
        return drawn
    total = Counter(cell.port_text(families) for cell in cells)
    agreeing = Counter((text, cell.verdict(options.view)) for cell, text in drawn)
    return [
        (cell, text if agreeing[text, cell.verdict(options.view)] == total[text] else f"{text} some")
        for cell, text in drawn
    ]


def _is_drawn(cell: GraphCell, options: GraphOptions) -> bool:
    if cell.is_unexpected(options.view) or cell.verdict(options.view) is not Verdict.DENY:
        return True
    match options.denied:
        case Denied.ALL:
            return True
        case Denied.NONE:
            return False
        case Denied.NAMED:
            return cell.declared_by == "row" and cell.declared is Verdict.DENY
        case Denied.ROWS:
            return cell.declared_by in {"row", "pattern"} and cell.declared is Verdict.DENY


def _expected(cell: GraphCell, view: DrawnTable) -> str:
    """What was expected of a cell that is not as expected: first by the declaration. Else ""."""
    if not cell.is_unexpected(view):
        return ""
    tables = (("declared", cell.declared), ("policies:", cell.simulated), ("observed", cell.observed))
    for table, verdict in tables:
        if verdict is not None and verdict not in {Verdict.UNKNOWN, cell.verdict(view)}:
            return f"{table} {verdict.value}"
    return "differs"


def _edge_order(edge: Edge) -> tuple[int, int, int, bool]:
    return (
        _ORDER[edge.label.verdict],
        edge.source.node or 0,
        edge.target.node or 0,
        bool(edge.label.unexpected),
    )


def _without_unused_nodes(graph: Graph) -> Graph:
    """Without nodes that no arrow touches. A namespace that an arrow touches keeps all of its nodes."""
    anchors = [anchor for edge in graph.edges for anchor in (edge.source, edge.target)]
    if any(anchor.is_everyone for anchor in anchors):
        return graph
    touched = {anchor.namespace for anchor in anchors if anchor.node is None}
    used = {anchor.node for anchor in anchors}
    kept = [i for i, node in enumerate(graph.nodes) if i in used or node.namespace in touched - {None}]
    numbers = {old: new for new, old in enumerate(kept)}

    def moved(anchor: Anchor) -> Anchor:
        return anchor if anchor.node is None else Anchor(numbers[anchor.node])

    nodes = tuple(graph.nodes[old] for old in kept)
    return replace(
        graph,
        nodes=nodes,
        namespaces=_namespaces(nodes),
        edges=tuple(Edge(moved(e.source), moved(e.target), e.label) for e in graph.edges),
        cells={
            (numbers[source], numbers[target]): cells
            for (source, target), cells in graph.cells.items()
            if source in numbers and target in numbers
        },
    )
