"""A graph as text that other programs draw: a mermaid flowchart, and Graphviz' DOT."""

from __future__ import annotations

import re
import string
from collections.abc import Iterator

from netprobe.model.text import plain
from netprobe.model.verdict import Verdict
from netprobe.report.graph.elements import Anchor, Edge, Graph, Node
from netprobe.report.style import PLAIN, Style

MERMAID_MOST_EDGES = 500
"""Mermaid draws no more arrows, unless the page that holds the flowchart raises `maxEdges`."""

_MERMAID_ARROWS = {Verdict.ALLOW: "-->", Verdict.DENY: "-.-x", Verdict.UNKNOWN: "-.-o"}
_MERMAID_UNEXPECTED = "stroke:#d32f2f,stroke-width:3px,color:#d32f2f"
_MERMAID_SAFE = frozenset(string.ascii_letters + string.digits + " ,:()/.+-")
_DOT_STYLES = {
    Verdict.ALLOW: "",
    Verdict.DENY: "style=dashed arrowhead=tee color=gray40",
    Verdict.UNKNOWN: "style=dotted arrowhead=odot color=gray40",
}
_DOT_UNEXPECTED = 'color="#d32f2f" fontcolor="#d32f2f" penwidth=2'


class Identifiers:
    """An identifier for each node and namespace, made from its name: letters, digits and `_`, no keyword.

    An identifier does not change when other nodes come and go, so that a drawing under version control
    changes only if the graph changes.
    """

    def __init__(self, graph: Graph) -> None:
        self._used: set[str] = set()
        self.namespaces = {namespace: self._new(f"ns_{namespace}") for namespace in graph.namespaces}
        self.nodes = [self._new(_identifier(node)) for node in graph.nodes]
        self.everyone = {anchor: self._new("everyone") for anchor in graph.everyone_anchors()}

    def _new(self, name: str) -> str:
        safe = re.sub(r"[^A-Za-z0-9]", "_", name.encode("ascii", "replace").decode())[:80]
        unique, number = safe, 1
        while unique in self._used:
            number += 1
            unique = f"{safe}_{number}"
        self._used.add(unique)
        return unique


def _identifier(node: Node) -> str:
    first = node.members[0]
    if node.namespace is None:
        return f"outside__{first}"
    service = "svc__" if node.service else ""
    return f"{service}{node.namespace}__{first.rpartition('/')[2]}"


def mermaid(graph: Graph, _style: Style = PLAIN) -> Iterator[str]:
    """A flowchart, which GitHub and many wikis draw inside Markdown.

    Namespaces are subgraphs. Arrows are solid for allowed flows, dotted with a cross for denied ones and with
    a circle for unknown ones, and red for flows that are not as expected.
    """
    ids = Identifiers(graph)
    inner = {namespace for edge in graph.edges if (namespace := _inner_namespace(graph, edge))}
    yield "flowchart LR\n"
    yield from (f"  %% {plain(warning)}\n" for warning in graph.warnings)
    for namespace in graph.namespaces:
        yield f'  subgraph {ids.namespaces[namespace]}["{mermaid_text(namespace)}"]\n'
        for index in graph.nodes_in(namespace):
            yield f'    {ids.nodes[index]}["{mermaid_text(graph.nodes[index].title)}"]\n'
        if namespace in inner:
            yield f'    {ids.namespaces[namespace]}_all(["every pod of {mermaid_text(namespace)}"])\n'
        yield "  end\n"
    for index in graph.nodes_in(None):
        yield f'  {ids.nodes[index]}(["{mermaid_text(graph.nodes[index].title)}"])\n'
    for anchor, name in ids.everyone.items():
        yield f'  {name}(["{mermaid_text(anchor.everyone)}"])\n'
    for edge in graph.edges:
        source, target = (_mermaid_end(graph, ids, edge, end) for end in (edge.source, edge.target))
        arrow, label = _MERMAID_ARROWS[edge.label.verdict], mermaid_text(edge.label.text)
        yield f'  {source} {arrow}|"{label}"| {target}\n'
    if unexpected := [str(number) for number, edge in enumerate(graph.edges) if edge.label.unexpected]:
        yield f"  linkStyle {','.join(unexpected)} {_MERMAID_UNEXPECTED}\n"


def mermaid_text(text: str) -> str:
    """A label between two quotes. Characters that could end it, or begin Markdown or HTML, are written as
    mermaid's numeric entities (`#34;`); mermaid refuses labels that begin like a Markdown list."""
    shown = plain(text)
    like_a_list = re.match(r"\s*(\d+)?[-+.]", shown)
    safe = _MERMAID_SAFE - set("-+.") if like_a_list else _MERMAID_SAFE
    return "".join(c if c in safe else f"#{ord(c)};" for c in shown)


def _inner_namespace(graph: Graph, edge: Edge) -> str | None:
    """The namespace whose frame an arrow links to itself or to one of its own boxes, which mermaid cannot
    draw: there, a box "every pod of" takes the place of the frame."""
    homes = {
        graph.nodes[end.node].namespace if end.node is not None else end.namespace
        for end in (edge.source, edge.target)
    }
    is_frame = edge.source.node is None or edge.target.node is None
    return homes.pop() if is_frame and len(homes) == 1 else None


def _mermaid_end(graph: Graph, ids: Identifiers, edge: Edge, end: Anchor) -> str:
    if end.node is not None:
        return ids.nodes[end.node]
    if end.namespace is None:
        return ids.everyone[end]
    inner = _inner_namespace(graph, edge) == end.namespace
    return ids.namespaces[end.namespace] + ("_all" if inner else "")


def dot(graph: Graph, _style: Style = PLAIN) -> Iterator[str]:
    """A digraph for Graphviz. Namespaces are clusters; the arrows are as in `mermaid`."""
    ids = Identifiers(graph)
    yield "digraph netprobe {\n"
    yield from (f"  // {plain(warning)}\n" for warning in graph.warnings)
    yield f"  label={dot_text(graph.title)}; labelloc=t; rankdir=LR; compound=true; newrank=true\n"
    yield '  graph [fontname="sans-serif"]; edge [fontname="sans-serif" fontsize=10]\n'
    yield '  node [fontname="sans-serif" shape=box style=rounded]\n'
    for namespace in graph.namespaces:
        yield f"  subgraph {dot_text('cluster_' + ids.namespaces[namespace])} {{\n"
        yield f"    label={dot_text(namespace)}; style=rounded\n"
        for index in graph.nodes_in(namespace):
            yield f"    {ids.nodes[index]} [{_dot_node(graph.nodes[index])}]\n"
        yield "  }\n"
    for index in graph.nodes_in(None):
        yield f"  {ids.nodes[index]} [{_dot_node(graph.nodes[index])} shape=ellipse]\n"
    for anchor, name in ids.everyone.items():
        yield f"  {name} [label={dot_text(anchor.everyone)} shape=ellipse]\n"
    for edge in graph.edges:
        source, target = (_dot_end(graph, ids, end) for end in (edge.source, edge.target))
        yield f"  {source} -> {target} [{_dot_edge(graph, ids, edge)}]\n"
    yield "}\n"


def dot_text(text: str) -> str:
    """A quoted string. dot reads HTML entities in labels, so `&` is written as one."""
    shown = plain(text).replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"')
    return f'"{shown}"'


def _dot_node(node: Node) -> str:
    return f"label={dot_text(node.title)} tooltip={dot_text(', '.join(node.members[:20]))}"


def _dot_end(graph: Graph, ids: Identifiers, end: Anchor) -> str:
    """A node: dot draws edges between nodes, and cuts them at a cluster's border by `lhead` and `ltail`."""
    if end.is_everyone:
        return ids.everyone[end]
    return ids.nodes[end.node if end.node is not None else graph.nodes_in(end.namespace)[0]]


def _dot_edge(graph: Graph, ids: Identifiers, edge: Edge) -> str:
    names = f"{graph.name(edge.source)} to {graph.name(edge.target)}"
    attributes = [f"label={dot_text(edge.label.text)}", f"tooltip={dot_text(names)}"]
    # dot cannot cut an edge at a cluster that both of its ends are in.
    for end, attribute in ((edge.source, "ltail"), (edge.target, "lhead")):
        if end.namespace is not None and _inner_namespace(graph, edge) is None:
            attributes.append(f"{attribute}={dot_text('cluster_' + ids.namespaces[end.namespace])}")
    attributes.append(_DOT_STYLES[edge.label.verdict])
    attributes.append(_DOT_UNEXPECTED if edge.label.unexpected else "")
    return " ".join(filter(None, attributes))
