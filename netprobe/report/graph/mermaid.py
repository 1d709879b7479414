"""A graph as a mermaid flowchart: GitHub and many wikis draw it where it stands in Markdown.

Labels are quoted, and everything in them that is no plain character is written as mermaid's numeric entity
(`#34;`), so that no name can end a label, begin Markdown or HTML, or be a keyword.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator

from netprobe.model.verdict import Verdict
from netprobe.report.graph.ids import Ids
from netprobe.report.graph.record import Edge, Graph, Spot
from netprobe.report.graph.words import crowd_name, title_of, visible

ARROWS = {Verdict.ALLOW: "-->", Verdict.DENY: "-.-x", Verdict.UNKNOWN: "-.-o"}
WRONG = "stroke:#d32f2f,stroke-width:3px,color:#d32f2f"
MOST_ARROWS = 500  # mermaid draws no more, unless the page that holds it raises `maxEdges`
PLAIN = frozenset(string.ascii_letters + string.digits + " ,:()/.+-")


def mermaid(graph: Graph) -> Iterator[str]:
    """The flowchart, line by line: a box a namespace; solid arrows for what is allowed, dotted ones that end
    in a cross for what is denied, in a circle for what is unknown; red where it is not as expected."""
    ids, inner = Ids(graph), _inner(graph)
    yield "flowchart LR\n"
    for frame in graph.frames:
        yield f'  subgraph {ids.frames[frame]}["{escape(frame)}"]\n'
        for index in graph.inside(frame):
            yield f'    {ids.nodes[index]}["{escape(title_of(graph.nodes[index]))}"]\n'
        if frame in inner:
            yield f'    {ids.frames[frame]}_all(["every pod of {escape(frame)}"])\n'
        yield "  end\n"
    for index in graph.inside(None):
        yield f'  {ids.nodes[index]}(["{escape(title_of(graph.nodes[index]))}"])\n'
    for crowd, name in ids.crowds.items():
        yield f'  {name}(["{escape(crowd_name(crowd))}"])\n'
    for edge in graph.edges:
        source, target = _end(graph, ids, edge, edge.source), _end(graph, ids, edge, edge.target)
        yield f'  {source} {ARROWS[edge.kind.verdict]}|"{escape(edge.kind.text)}"| {target}\n'
    if wrong := [str(number) for number, edge in enumerate(graph.edges) if edge.kind.wrong]:
        yield f"  linkStyle {','.join(wrong)} {WRONG}\n"


def escape(text: str) -> str:
    """As the text between two quotes. What begins as a list of Markdown's would be refused as one."""
    shown = visible(text)
    listed = re.match(r"\s*(\d+)?[-+.]", shown)
    kept = PLAIN if listed is None else PLAIN - set("-+.")
    return "".join(c if c in kept else f"#{ord(c)};" for c in shown)


def _inner(graph: Graph) -> set[str | None]:
    """Frames with an arrow between the frame and itself or a box in it, which mermaid cannot draw."""
    return {frame for edge in graph.edges for frame in [_home(graph, edge)] if frame is not None}


def _home(graph: Graph, edge: Edge) -> str | None:
    """The frame that an arrow begins or ends at while it stays inside it."""
    homes = [
        graph.nodes[s.node].namespace if s.node is not None else s.frame for s in (edge.source, edge.target)
    ]
    whole = edge.source.node is None or edge.target.node is None
    return homes[0] if whole and homes[0] == homes[1] else None


def _end(graph: Graph, ids: Ids, edge: Edge, spot: Spot) -> str:
    if spot.node is not None:
        return ids.nodes[spot.node]
    if spot.frame is None:
        return ids.crowds[spot]
    return ids.frames[spot.frame] + ("_all" if _home(graph, edge) == spot.frame else "")
