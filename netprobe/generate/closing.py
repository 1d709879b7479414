"""Which namespaces are closed, and in which direction.

A declaration that denies by default closes every namespace in both directions, so that each allowed flow is
opened at both ends. Any other is met with as few closings as it takes: a denied flow has to stop at one end.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TypeAlias

from netprobe.generate.demand import Cell, Demand, Kind
from netprobe.model.policy import Direction
from netprobe.model.verdict import Verdict

Closed: TypeAlias = frozenset[tuple[str, Direction]]


def closed(demand: Demand, *, everything: bool) -> Closed:
    """The (namespace, direction) pairs that get a default deny."""
    if everything:
        return frozenset((kind.namespace, direction) for kind in demand.kinds for direction in Direction)
    stops: dict[tuple[str, Direction], set[Cell]] = defaultdict(set)
    opened: dict[tuple[str, Direction], int] = defaultdict(int)
    for cell, verdict in demand.cells.items():
        for party, direction in ((cell.destination, Direction.INGRESS), (cell.source, Direction.EGRESS)):
            if isinstance(party, Kind):
                if verdict is Verdict.DENY:
                    stops[party.namespace, direction].add(cell)
                else:
                    opened[party.namespace, direction] += 1
    left = {cell for cell, verdict in demand.cells.items() if verdict is Verdict.DENY}
    chosen = set()
    while left and (found := {place: len(cells & left) for place, cells in stops.items() if cells & left}):
        place = min(found, key=lambda one: (-found[one], opened[one], one[1] is Direction.EGRESS, one[0]))
        chosen.add(place)
        left -= stops[place]
    return frozenset(chosen)
