"""A graph as SVG, and as an HTML page that shows on a click why a flow is allowed or denied.

The markup is in `report/templates`: graph.svg, graph.html and graph.js. Arrows pass through the spaces
between blocks and never across a box. One to a column further right leaves its box on the right; all others
leave on the left, where the pins are. Columns in between are crossed through the gap between two blocks that
is nearest to the direct way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator
from dataclasses import replace
from typing import Any, Generic, TypeVar

from netprobe.explain.why import path
from netprobe.model.text import listed, plain
from netprobe.model.verdict import Cause, Side, Verdict
from netprobe.report.graph.elements import Anchor, Cells, DrawnTable, Edge, Graph, GraphCell, distinct
from netprobe.report.graph.layout import BLOCK_GAP, Layout, layout
from netprobe.report.page import asset, page, template_text
from netprobe.report.style import PLAIN, Style

COLOURS = 8  # of arrows, by the namespace of their source (h0 to h7 in colours.css)
MOST_WIDE = 2_000  # arrows; with more, they lie too close to be clicked on one by one
MOST_ARROWS = 20_000  # with more, nothing could be seen: only those that are not as expected are drawn
MOST_BOLD = 60  # arrows; with more, they are thin, and the keyboard does not stop at each of them

K = TypeVar("K", bound=Hashable)

_MARKS = {Verdict.ALLOW: "", Verdict.DENY: "\u2715 ", Verdict.UNKNOWN: "? "}
_VIEWS = {
    DrawnTable.RESULT: "what was observed, or simulated if nothing was observed",
    DrawnTable.DECLARED: "what the suite declares",
    DrawnTable.SIMULATED: "what the policies say",
    DrawnTable.OBSERVED: "what was observed",
}
LANES = 9  # in a gap between two blocks


def svg(graph: Graph, _style: Style = PLAIN) -> Iterator[str]:
    """A drawing with its style inside, light or dark as the reader's screen is."""
    styles = [asset("colours.css"), asset("graph.css")]
    return template_text("graph.svg", svg_styles=styles, drawing=drawing(visible(graph)))


def html(graph: Graph, _style: Style = PLAIN) -> Iterator[str]:
    """One page with the drawing and the reasons of every flow."""
    graph = visible(graph)
    return page(
        "graph.html",
        styles=("graph.css", "graph-page.css"),
        script="graph.js",
        data=page_data(graph),
        title=graph.title,
        graph=graph,
        shown=_VIEWS[_view(graph)],
        unexpected=sum(bool(edge.label.unexpected) for edge in graph.edges),
        ends=sum(len(node.members) for node in graph.nodes),
        svg_styles=[],
        drawing=drawing(graph),
    )


def _view(graph: Graph) -> DrawnTable:
    """If nothing was observed, the result is what the policies say."""
    observed = any(cell.observed for cells in distinct(graph.cells.values()) for cell in cells)
    return DrawnTable.SIMULATED if graph.view is DrawnTable.RESULT and not observed else graph.view


def visible(graph: Graph) -> Graph:
    """The graph with the arrows that a picture can show."""
    if len(graph.edges) <= MOST_ARROWS:
        return graph
    edges = tuple(edge for edge in graph.edges if edge.label.unexpected)
    left_out = f"{len(graph.edges) - len(edges):,} arrows are too many to draw: click a box to list its flows"
    return replace(graph, edges=edges, notes=(*graph.notes, left_out))


def drawing(graph: Graph) -> dict[str, Any]:
    """What graph.svg draws. `data-node` and `data-edge` there are indexes in the graph."""
    made = layout(graph)
    routes = ArrowRouter(made)
    hues: dict[str | None, str] = {
        namespace: f" h{number % COLOURS}" for number, namespace in enumerate(graph.namespaces)
    }
    numbered = sorted(enumerate(graph.edges), key=lambda item: bool(item[1].label.unexpected))
    boxes = made.boxes
    return {
        "graph": graph,
        "layout": made,
        "arrows": [
            (number, edge, hues.get(_home(graph, edge.source), ""), routes.path(edge))
            for number, edge in numbered
        ],
        # One for the arrows that end at a pin, however many there are.
        "tips": dict.fromkeys(
            (boxes[e.target].x, boxes[e.target].pin_y(e.label), e.label) for e in graph.edges
        ),
        "is_bold": len(graph.edges) <= MOST_BOLD,
        "is_clickable": len(graph.edges) <= MOST_WIDE,
        "marks": _MARKS,
        "listed": listed,
        "cut": _cut,
    }


def _home(graph: Graph, anchor: Anchor) -> str | None:
    return graph.nodes[anchor.node].namespace if anchor.node is not None else anchor.namespace


def _cut(text: str, room: int, width: float) -> str:
    """As much of a text as there is room for, at a guess of the mean width of a character."""
    most = max(3, int(room / width))
    return text if len(text) <= most else text[: most - 1].rstrip(" -,(") + "\u2026"


class Numbers(Generic[K]):
    """Numbers things in the order in which they first occur."""

    def __init__(self) -> None:
        self._known: dict[K, int] = {}

    def __call__(self, thing: K) -> int:
        return self._known.setdefault(thing, len(self._known))

    def __iter__(self) -> Iterator[K]:
        return iter(self._known)


def page_data(graph: Graph) -> dict[str, Any]:
    """What graph.js reads. Everything that pairs share is written once, and referred to by its number.

    `pairs[source][target]` is the number of a list in `cells`, which has four numbers for each flow: its
    index in `flows`, in `sides` for egress and for ingress, and in `changes`; -1 means not known.
    """
    clauses: Numbers[tuple[str, str, str | None]] = Numbers()
    sides: Numbers[tuple[tuple[int, ...], ...]] = Numbers()
    flows: Numbers[tuple[object, ...]] = Numbers()
    changes: Numbers[str] = Numbers()
    families = graph.has_both_families()
    known: dict[int, int] = {}  # the numbers of sides by their identity

    def clause(cause: Cause) -> int:
        where = path(cause)
        place = graph.texts.place(cause.policy, where)
        return clauses((plain(str(cause.policy)), where, None if place is None else plain(str(place))))

    def side(of: Side) -> int:
        if id(of) not in known:
            parts = of.isolating, of.allowing, of.denying
            known[id(of)] = sides(tuple(tuple(dict.fromkeys(map(clause, some))) for some in parts))
        return known[id(of)]

    def flat(cells: Cells) -> Iterator[int]:
        for cell in cells:
            yield flows(_flow(cell, families))
            yield from map(side, cell.sides) if cell.sides else (-1, -1)
            yield changes(plain(cell.change)) if cell.change else -1

    lists = list(distinct(graph.cells.values()))
    number = {id(cells): index for index, cells in enumerate(lists)}
    pairs: dict[int, dict[int, int]] = {}
    for (source, target), cells in graph.cells.items():
        pairs.setdefault(source, {})[target] = number[id(cells)]
    return {
        "view": graph.view.value,
        "nodes": [
            {
                "name": plain(graph.name(Anchor(index))),
                "namespace": node.namespace,
                "members": [plain(name) for name in node.members[:200]],
                "count": len(node.members),
            }
            for index, node in enumerate(graph.nodes)
        ],
        "edges": [{"source": _anchor(edge.source), "target": _anchor(edge.target)} for edge in graph.edges],
        "cells": [list(flat(cells)) for cells in lists],
        "flows": list(flows),
        "sides": list(sides),
        "clauses": list(clauses),
        "changes": list(changes),
        "pairs": pairs,
    }


def _anchor(anchor: Anchor) -> int | str | dict[str, Any] | None:
    """The index of a node, the name of a namespace, or what "everyone" means."""
    if anchor.is_everyone:
        return {"excluded": anchor.excluded, "outside": anchor.outside}
    return anchor.node if anchor.node is not None else anchor.namespace


def _flow(cell: GraphCell, families: bool) -> tuple[object, ...]:
    """[port as written, declared, simulated, observed, is unexpected, note, reasons are complete, port,
    protocol]."""
    verdicts = (v and v.value for v in (cell.declared, cell.simulated, cell.observed))
    complete = cell.sides is not None and cell.complete
    note = cell.note and plain(cell.note)
    text = cell.port_text(families)
    return (text, *verdicts, bool(cell.mismatches), note, complete, cell.port, cell.protocol.value)


class ArrowRouter:
    """The paths of a layout's arrows, in the order of the calls: arrows that pass through the same gap get
    different lanes."""

    def __init__(self, made: Layout) -> None:
        self.made = made
        self._lanes: Counter[tuple[int, float]] = Counter()
        self._gaps = [
            [blocks[0].y - BLOCK_GAP / 2, *(block.y + block.height + BLOCK_GAP / 2 for block in blocks)]
            for blocks in made.columns
        ]

    def path(self, edge: Edge) -> str:
        """The `d` of an SVG path."""
        source, target = self.made.boxes[edge.source], self.made.boxes[edge.target]
        one, other = self.made.home[edge.source], self.made.home[edge.target]
        end = (target.x, target.pin_y(edge.label))
        if other.column > one.column:
            right = source.x + (one.width if source is one.head else source.width)
            return self._forward((right, source.title_y), end, one.column, other.column)
        start = (source.x, source.title_y)
        if one is other:
            return _arc(start, end, 14 + min(46.0, abs(end[1] - start[1]) * 0.08))
        if other.column == one.column:
            reach = start[0] - one.x + 18 + min(60.0, abs(end[1] - start[1]) * 0.06)
            return _arc(start, end, reach)
        return self._back(start, end, one.column, other.column)

    def _forward(self, start: tuple[float, float], end: tuple[float, float], one: int, other: int) -> str:
        path = f"M{_xy(*start)}"
        at = start
        for column in range(one + 1, other):
            part = (end[1] - at[1]) / (other - column + 1)
            left, right = self._borders(column)
            y = self._gap(column, at[1] + part)
            path += _curve(at, (left, y)) + f"L{_xy(right, y)}"
            at = (right, y)
        return path + _curve(at, end)

    def _back(self, start: tuple[float, float], end: tuple[float, float], one: int, other: int) -> str:
        left, _ = self._borders(one)
        path = f"M{_xy(*start)}L{_xy(left, start[1])}"
        at = (left, start[1])
        for column in range(one - 1, other - 1, -1):
            left, right = self._borders(column)
            y = self._gap(column, at[1] + (end[1] - at[1]) / (column - other + 2))
            path += _curve(at, (right, y)) + f"L{_xy(left, y)}"
            at = (left, y)
        bend = min(40.0, self.made.gutters[other] * 0.7)
        return f"{path}C{_xy(at[0] - bend, at[1])} {_xy(at[0] - bend, end[1])} {_xy(*end)}"

    def _borders(self, column: int) -> tuple[float, float]:
        blocks = self.made.columns[column]
        return blocks[0].x, max(block.x + block.width for block in blocks)

    def _gap(self, column: int, wanted: float) -> float:
        """The height at which a path crosses a column: the next lane of the gap nearest to `wanted`."""
        gap = min(self._gaps[column], key=lambda y: abs(y - wanted))
        used = self._lanes[column, gap]
        self._lanes[column, gap] += 1
        lane = used % LANES
        offset = (lane + 1) // 2 * (1 if lane % 2 else -1) * (BLOCK_GAP - 8) / LANES
        return gap + offset


def _arc(start: tuple[float, float], end: tuple[float, float], reach: float) -> str:
    """A curve to the left and back."""
    out = min(start[0], end[0]) - reach
    return f"M{_xy(*start)}C{_xy(out, start[1])} {_xy(out, end[1])} {_xy(*end)}"


def _curve(start: tuple[float, float], end: tuple[float, float]) -> str:
    """A curve that is horizontal at both ends."""
    bend = (end[0] - start[0]) / 2
    return f"C{_xy(start[0] + bend, start[1])} {_xy(end[0] - bend, end[1])} {_xy(*end)}"


def _xy(x: float, y: float) -> str:
    return f"{_number(x)},{_number(y)}"


def _number(value: float) -> str:
    """To a tenth of a pixel, without a zero after the point."""
    return f"{value:.1f}".removesuffix(".0")
