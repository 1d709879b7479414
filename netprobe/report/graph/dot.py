"""A graph in Graphviz' language, for whoever has `dot`, or wants to draw it in another way."""

from __future__ import annotations

from collections.abc import Iterator

from netprobe.model.verdict import Verdict
from netprobe.report.graph.ids import Ids
from netprobe.report.graph.record import Edge, Graph, Spot
from netprobe.report.graph.words import crowd_name, full_name, title_of, visible

STYLES = {
    Verdict.ALLOW: "",
    Verdict.DENY: "style=dashed arrowhead=tee color=gray40",
    Verdict.UNKNOWN: "style=dotted arrowhead=odot color=gray40",
}
WRONG = 'color="#d32f2f" fontcolor="#d32f2f" penwidth=2'


def dot(graph: Graph) -> Iterator[str]:
    """The digraph, line by line: a cluster a namespace; dashed edges that end in a bar for what is denied,
    dotted ones that end in a circle for what is unknown; red where it is not as expected."""
    ids = Ids(graph)
    yield "digraph netprobe {\n"
    yield f"  label={quoted(graph.title)}; labelloc=t; rankdir=LR; compound=true; newrank=true\n"
    yield '  graph [fontname="sans-serif"]; edge [fontname="sans-serif" fontsize=10]\n'
    yield '  node [fontname="sans-serif" shape=box style=rounded]\n'
    for frame in graph.frames:
        yield f"  subgraph {quoted('cluster_' + ids.frames[frame])} {{\n"
        yield f"    label={quoted(frame)}; style=rounded\n"
        for index in graph.inside(frame):
            yield f"    {ids.nodes[index]} [{_node(graph, index)}]\n"
        yield "  }\n"
    for index in graph.inside(None):
        yield f"  {ids.nodes[index]} [{_node(graph, index)} shape=ellipse]\n"
    for crowd, name in ids.crowds.items():
        yield f"  {name} [label={quoted(crowd_name(crowd))} shape=ellipse]\n"
    for edge in graph.edges:
        source, target = _end(graph, ids, edge.source), _end(graph, ids, edge.target)
        yield f"  {source} -> {target} [{_edge(graph, ids, edge)}]\n"
    yield "}\n"


def quoted(text: str) -> str:
    """A string; `&` is written as an entity, for dot reads those, and a backslash is only that."""
    shown = visible(text).replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"')
    return f'"{shown}"'


def _node(graph: Graph, index: int) -> str:
    node = graph.nodes[index]
    return f"label={quoted(title_of(node))} tooltip={quoted(', '.join(node.members[:20]))}"


def _end(graph: Graph, ids: Ids, spot: Spot) -> str:
    """Edges go between nodes; one of a frame is cut at its border by lhead and ltail."""
    if spot.is_crowd:
        return ids.crowds[spot]
    return ids.nodes[spot.node if spot.node is not None else graph.inside(spot.frame)[0]]


def _edge(graph: Graph, ids: Ids, edge: Edge) -> str:
    names = f"{full_name(graph, edge.source)} to {full_name(graph, edge.target)}"
    words = [f"label={quoted(edge.kind.text)}", f"tooltip={quoted(names)}"]
    for spot, other, attribute in ((edge.source, edge.target, "ltail"), (edge.target, edge.source, "lhead")):
        if spot.node is None and spot.frame is not None and not _inside(graph, other, spot.frame):
            words.append(f"{attribute}={quoted('cluster_' + ids.frames[spot.frame])}")
    words.append(STYLES[edge.kind.verdict])
    if edge.kind.wrong:
        words.append(WRONG)
    return " ".join(word for word in words if word)


def _inside(graph: Graph, spot: Spot, frame: str) -> bool:
    """dot cannot cut an edge at a cluster that both its ends are in."""
    return spot.frame == frame or (spot.node is not None and graph.nodes[spot.node].namespace == frame)
