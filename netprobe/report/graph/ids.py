"""Names for what a graph's text refers to: stable, legible, and safe in every format."""

from __future__ import annotations

import re

from netprobe.report.graph.record import Graph, Node


class Ids:
    """An identifier for each box and frame, made of its name: letters, digits and `_`, never a keyword.

    A name keeps its identifier when others come and go, so that drawings under version control differ only
    where the graph does.
    """

    def __init__(self, graph: Graph) -> None:
        self._used: set[str] = set()
        self.frames = {frame: self._new(f"ns_{frame}") for frame in graph.frames}
        self.nodes = [self._new(_name(node)) for node in graph.nodes]
        self.crowds = {crowd: self._new("everybody") for crowd in graph.crowds()}

    def _new(self, name: str) -> str:
        safe = re.sub(r"[^A-Za-z0-9]", "_", name.encode("ascii", "replace").decode())[:80]
        unique, number = safe, 1
        while unique in self._used:
            number += 1
            unique = f"{safe}_{number}"
        self._used.add(unique)
        return unique


def _name(node: Node) -> str:
    first = node.members[0]
    if node.namespace is None:
        return f"outside__{first}"
    kind = "svc__" if node.service else ""
    return f"{kind}{node.namespace}__{first.rpartition('/')[2]}"
