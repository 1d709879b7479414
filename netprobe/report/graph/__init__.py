"""The matrix as a picture: mermaid, DOT, SVG, and a page that stands alone.

`build` decides what is drawn: who gets a box, which arrows there are, and what is told by one where many say
the same. `draw` writes it. No format needs another program, and none refers to anything outside itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from netprobe.report.graph.build import Ends, Wanted, build
from netprobe.report.graph.dot import dot
from netprobe.report.graph.html import html
from netprobe.report.graph.mermaid import mermaid
from netprobe.report.graph.record import Cell, Clause, Denied, Graph, Named, Party, View
from netprobe.report.graph.svg import svg

FORMATS: Mapping[str, Callable[[Graph], Iterator[str]]] = {
    "mermaid": mermaid,
    "dot": dot,
    "svg": svg,
    "html": html,
}


def draw(graph: Graph, format_: str) -> Iterator[str]:
    """The graph in one of FORMATS, piece by piece."""
    return FORMATS[format_](graph)


__all__ = [
    "FORMATS",
    "Cell",
    "Clause",
    "Denied",
    "Ends",
    "Graph",
    "Named",
    "Party",
    "View",
    "Wanted",
    "build",
    "draw",
]
