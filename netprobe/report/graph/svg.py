"""A graph as SVG: one file, its style inside, in the colours that the reader's screen is set to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files

from netprobe.model.verdict import Verdict
from netprobe.report.graph.layout import TITLE, Block, Box, Layout, layout
from netprobe.report.graph.record import Edge, Graph, Kind
from netprobe.report.graph.route import Routes
from netprobe.report.graph.words import full_name, visible

COLOURS = 8  # hues of arrows, by the namespace that they come from; none of them is red
MANY = 2_000  # arrows, above which they lie too close to be pointed at one by one
FEW = 60  # arrows, up to which they are drawn boldly
SAID = {Verdict.ALLOW: "allowed", Verdict.DENY: "denied", Verdict.UNKNOWN: "unknown"}
MARKS = {Verdict.ALLOW: "", Verdict.DENY: "\u2715 ", Verdict.UNKNOWN: "? "}


def svg(graph: Graph) -> Iterator[str]:
    """A document that stands alone."""
    yield from drawing(graph, f"<style>{asset('graph.css')}</style>")


def drawing(graph: Graph, style: str = "") -> Iterator[str]:
    """The `svg` element. Boxes carry `data-node`, arrows `data-edge`: their indexes in the graph."""
    made = layout(graph)
    width, height = max(made.width, 320), max(made.height, 60)
    density = "few" if len(graph.edges) <= FEW else "many"
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="netprobe {density}" width="{width:.0f}" '
        f'height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}" role="group" '
        f'aria-label="{escape(graph.title)}">{style}<title>{escape(graph.title)}</title>\n'
    )
    yield '<rect class="paper" width="100%" height="100%"/>\n'
    for block in made.blocks:
        yield _frame(block)
    routes = Routes(graph, made)
    hues = {frame: number % COLOURS for number, frame in enumerate(graph.frames)}
    for number, edge in sorted(enumerate(graph.edges), key=lambda item: bool(item[1].kind.wrong)):
        yield _edge(graph, number, edge, routes, hues)
    for block in made.blocks:
        yield _head(block)
        for box in block.boxes:
            yield _box(graph, box)
    yield _heads(graph, made)
    yield "</svg>\n"


def escape(text: str) -> str:
    """As XML text, or as a quoted attribute."""
    safe = visible(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return safe.replace('"', "&quot;").replace("'", "&#39;")


@cache
def asset(name: str) -> str:
    return files("netprobe.report.graph").joinpath(name).read_text(encoding="utf-8")


def words(graph: Graph, edge: Edge) -> str:
    """ "frontend/web to backend/api: 8080 allowed"."""
    kind = edge.kind
    ports = ", ".join(kind.ports)
    wrong = f" ({kind.wrong})" if kind.wrong else ""
    names = f"{full_name(graph, edge.source)} to {full_name(graph, edge.target)}"
    return f"{names}: {ports} {SAID[kind.verdict]}{wrong}"


def classes(kind: Kind) -> str:
    return f"{kind.verdict.value}{' wrong' if kind.wrong else ''}"


def _frame(block: Block) -> str:
    kind = "frame outside" if block.outside else "frame"
    return (
        f'<rect class="{kind}" x="{block.x:.0f}" y="{block.y:.0f}" width="{block.width:.0f}" '
        f'height="{block.height:.0f}" rx="8"/>\n'
    )


def _head(block: Block) -> str:
    head = block.head
    name = f"<title>{escape(head.title)}</title>"
    title = (
        f'<text class="head" x="{head.x + 12:.0f}" y="{head.y + 17:.0f}">{_cut(head.title, head.width - 24)}'
        f"{name}</text>"
    )
    return title + "".join(_pin(head, kind) for kind in head.pins) + "\n"


def _box(graph: Graph, box: Box) -> str:
    index = box.spot.node
    node = graph.nodes[index] if index is not None else None
    names = ", ".join(node.members[:12]) if node else ""
    many = f" and {node.count - 12:,} more" if node and node.count > 12 else ""
    crowd = " crowd" if node and node.count > 1 else ""
    stack = ""
    if crowd:
        stack = (
            f'<rect class="behind" x="{box.x + 4:.0f}" y="{box.y + 4:.0f}" width="{box.width:.0f}" '
            f'height="{box.height:.0f}" rx="5"/>'
        )
    names = f"<title>{escape(names + many)}</title>"
    label, title = escape(full_name(graph, box.spot)), _cut(box.title, box.width - 16)
    at = f'x="{box.x:.0f}" y="{box.y:.0f}" width="{box.width:.0f}" height="{box.height:.0f}"'
    return (
        f'<g class="node{crowd}" data-node="{index}" tabindex="0" role="button" aria-label="{label}">{names}'
        f'{stack}<rect class="box" {at} rx="5"/><text class="name" x="{box.x + 10:.0f}" '
        f'y="{box.y + TITLE / 2 + 6:.0f}">{title}</text>{"".join(_pin(box, kind) for kind in box.pins)}</g>\n'
    )


def _pin(box: Box, kind: Kind) -> str:
    text = MARKS[kind.verdict] + kind.text
    return (
        f'<text class="pin {classes(kind)}" x="{box.x + 12:.0f}" y="{box.pin_y(kind) + 4:.0f}">'
        f"{_cut(text, box.width - 18, 6.4)}<title>{escape(text)}</title></text>"
    )


def _edge(graph: Graph, number: int, edge: Edge, routes: Routes, hues: dict[str, int]) -> str:
    path = routes.path(edge)
    home = graph.nodes[edge.source.node].namespace if edge.source.node is not None else edge.source.frame
    hue = "" if home is None else f" h{hues.get(home, 0)}"
    focus = ' tabindex="0"' if len(graph.edges) <= FEW else ""
    name = escape(words(graph, edge))
    # The title is what a screen reader says; the wide one is easier to point at, where there is room for it.
    wide = f'<path class="wide" d="{path}"/>' if len(graph.edges) <= MANY else ""
    return (
        f'<g class="edge {classes(edge.kind)}{hue}" data-edge="{number}" role="button"{focus}>'
        f'<title>{name}</title>{wide}<path class="line" d="{path}"/></g>\n'
    )


def _heads(graph: Graph, made: Layout) -> str:
    """One arrow head a pin, above the boxes: however many arrows end there."""
    drawn = []
    for edge in graph.edges:
        box = made.boxes[edge.target]
        x, y = box.x, box.pin_y(edge.kind)
        shape = {
            Verdict.ALLOW: f"M{x - 7:.1f},{y - 4:.1f}l8,4l-8,4z",
            Verdict.DENY: f"M{x - 8:.1f},{y - 4:.1f}l8,8m0,-8l-8,8",
            Verdict.UNKNOWN: f"M{x - 8:.1f},{y:.1f}a4,4 0 1,0 8,0a4,4 0 1,0 -8,0",
        }[edge.kind.verdict]
        drawn.append(f'<path class="tip {classes(edge.kind)}" d="{shape}"/>')
    return "".join(dict.fromkeys(drawn)) + "\n"


def _cut(text: str, room: float, each: float = 7.2) -> str:
    """As much of a text as there is room for, by a guess at the width of its characters."""
    most = max(3, int(room / each))
    if len(text) > most:
        text = text[: most - 1].rstrip(" -,(") + "\u2026"
    return re.sub(" $", "", escape(text))
