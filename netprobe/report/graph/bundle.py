"""Arrows that say the same of every pod of a namespace, as one arrow from or to its frame."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from netprobe.report.graph.record import Edge, Kind, Node, Spot

LEAST = 3  # arrows that are worth one from a frame instead


def bundled(edges: Iterable[Edge], nodes: Sequence[Node]) -> list[Edge]:
    """The same flows by fewer arrows: whole namespaces as targets, then as sources, then crowds.

    A pod is never told to reach itself by this: from a namespace to a pod of it means "from the others".
    """
    frames: dict[str, set[int]] = defaultdict(set)
    for index, node in enumerate(nodes):
        if node.namespace is not None and not node.service:
            frames[node.namespace].add(index)
    found = _by_target(list(edges), frames)
    found = _by_source(found, frames)
    return _crowds(found, frames, {i for i, node in enumerate(nodes) if node.namespace is None})


def _by_target(edges: list[Edge], frames: dict[str, set[int]]) -> list[Edge]:
    targets: dict[tuple[Spot, Kind], set[int]] = defaultdict(set)
    for edge in edges:
        if edge.target.node is not None:
            targets[edge.source, edge.kind].add(edge.target.node)
    home = {node: frame for frame, inside in frames.items() for node in inside}
    whole = {
        (source, kind, frame)
        for (source, kind), reached in targets.items()
        for frame in {home[node] for node in reached if node in home}
        if _covers(reached, frames[frame], source)
    }
    return _merged(
        Edge(edge.source, Spot(frame=home[edge.target.node]), edge.kind)
        if edge.target.node in home and (edge.source, edge.kind, home[edge.target.node]) in whole
        else edge
        for edge in edges
    )


def _by_source(edges: list[Edge], frames: dict[str, set[int]]) -> list[Edge]:
    turned = [Edge(edge.target, edge.source, edge.kind) for edge in edges]
    return [Edge(edge.target, edge.source, edge.kind) for edge in _by_target(turned, frames)]


def _covers(reached: set[int], inside: set[int], other: Spot) -> bool:
    """All of a frame, but for the other end where that is in it."""
    needed = inside - {other.node} if other.node is not None else inside
    return len(needed) >= LEAST and needed <= reached


def _crowds(edges: list[Edge], frames: dict[str, set[int]], outside: set[int]) -> list[Edge]:
    """One arrow from a crowd, where most namespaces reach a target alike."""
    sources: dict[tuple[Spot, Kind], set[int]] = defaultdict(set)
    for edge in edges:
        spot = edge.source
        sources[edge.target, edge.kind] |= frames[spot.frame] if spot.frame is not None else {spot.node or 0}
    crowds: dict[tuple[Spot, Kind], Spot] = {}
    for (target, kind), reaching in sources.items():
        but = tuple(name for name, inside in frames.items() if not inside - {target.node} <= reaching)
        around = bool(outside) and outside <= reaching
        if len(frames) - len(but) > max(len(frames) / 2, LEAST - 1):
            crowds[target, kind] = Spot(but=but, outside=around)

    def moved(edge: Edge) -> Edge:
        crowd = crowds.get((edge.target, edge.kind))
        node, frame = edge.source.node, edge.source.frame
        if crowd is None or (frame in crowd.but) or (node in outside and not crowd.outside):
            return edge
        return (
            edge if any(node in frames[name] for name in crowd.but) else Edge(crowd, edge.target, edge.kind)
        )

    return _merged(map(moved, edges))


def _merged(edges: Iterable[Edge]) -> list[Edge]:
    return list(dict.fromkeys(edges))
