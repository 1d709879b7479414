"""One arrow for many says exactly what they said."""

from __future__ import annotations

import random

from netprobe.report.graph import EndName, Graph, GraphOptions, build
from netprobe.report.graph.elements import Anchor, Edge, Label
from tests.report.graph.samples import cell, everybody

Single = tuple[int, int, Label]


def behind(graph: Graph, spot: Anchor) -> list[int]:
    """The nodes that a spot stands for, as docs/graph.md says."""
    if spot.node is not None:
        return [spot.node]
    if spot.namespace is not None:
        return graph.nodes_in(spot.namespace)
    hosts = graph.nodes_in(None) if spot.outside else []
    return [i for i, node in enumerate(graph.nodes) if node.namespace not in {None, *spot.excluded}] + hosts


def singles(graph: Graph) -> set[Single]:
    return {
        (source, target, edge.label)
        for edge in graph.edges
        for source in behind(graph, edge.source)
        for target in behind(graph, edge.target)
        if source != target
        and not (graph.nodes[source].namespace is None and graph.nodes[target].namespace is None)
    }


def arrows(graph: Graph) -> set[str]:
    return {f"{graph.name(e.source)} > {graph.name(e.target)} {e.label.text}" for e in graph.edges}


def test_a_namespace_that_reaches_and_is_reached_as_a_whole() -> None:
    pods = ["a/1", "a/2", "a/3"]
    cells = [cell(p, "b/x", 80) for p in pods] + [cell("b/prom", p, 9090) for p in pods]
    graph = build("t", cells, GraphOptions(bundle=True))
    assert arrows(graph) == {"every pod of a > b/x 80", "b/prom > every pod of a 9090"}


def test_a_crowd_leaves_out_who_cannot() -> None:
    pods = [f"{namespace}/{number}" for namespace in "abcd" for number in "12"]
    cells = [cell(p, "dns/dns", 53) for p in [*pods, "internet"]]
    cells += [cell("z/closed", "a/1", 1)]
    graph = build("t", cells, GraphOptions(bundle=True))
    assert arrows(graph) == {"everyone except z > dns/dns 53", "z/closed > a/1 1"}


def test_two_pods_are_no_crowd() -> None:
    cells = [cell("a/1", "b/x"), cell("a/2", "b/x")]
    assert arrows(build("t", cells, GraphOptions(bundle=True))) == {"a/1 > b/x 80", "a/2 > b/x 80"}


def test_few_arrows_are_drawn_one_by_one() -> None:
    assert len(build("t", everybody(["a/1", "a/2", "a/3"])).edges) == 6


def test_bundling_never_adds_or_loses_a_flow() -> None:
    """On random graphs that are nearly complete, so that every rule is used."""
    choose = random.Random(11)  # noqa: S311 (reproducible, not secret)
    used: set[str] = set()
    for _ in range(400):
        ends = [EndName(choose.choice("abcd"), f"p{n}") for n in range(choose.randint(3, 14))]
        ends += [EndName(None, f"host{n}") for n in range(choose.randint(0, 2))]
        gaps = choose.choice([0.0, 0.02, 0.1])
        closed = choose.choice("abcdx")
        cells = [
            cell(str(s), str(d), 80)
            for s in ends
            for d in ends
            if s != d and not (s.namespace is None and d.namespace is None)
            if choose.random() >= gaps and s.namespace != closed
        ]
        plain = build("t", cells, GraphOptions(bundle=False, group=False))
        bundled = build("t", cells, GraphOptions(bundle=True, group=False))
        assert singles(plain) == singles(bundled)
        assert len(bundled.edges) <= len(plain.edges)
        used |= {_shape(edge) for edge in bundled.edges}
    assert {"node-node", "node-frame", "frame-node", "frame-frame", "crowd-node", "crowd-frame"} <= used


def _shape(edge: Edge) -> str:
    return "-".join(
        "crowd" if spot.is_everyone else "frame" if spot.node is None else "node"
        for spot in (edge.source, edge.target)
    )
