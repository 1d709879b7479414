"""Which namespaces are closed, and in which direction.

A declaration that denies by default closes every namespace in both directions, so that each allowed flow is
opened at both ends. Any other is met with as few closings as it takes: a denied flow has to stop at one end.
"""

from __future__ import annotations

from collections import Counter
from typing import TypeAlias

from netprobe.generate.demand import Demand
from netprobe.model.policy import Direction
from netprobe.model.verdict import Verdict

Place: TypeAlias = tuple[str, Direction]
Closed: TypeAlias = frozenset[Place]


def closed(demand: Demand, *, everything: bool) -> Closed:
    """The (namespace, direction) pairs that get a default deny."""
    if everything:
        return frozenset((name, direction) for name in demand.space.namespaces for direction in Direction)
    left = demand.between(Verdict.DENY)
    opened = _by_place(demand.between(Verdict.ALLOW))
    chosen: set[Place] = set()
    while found := _by_place(left):
        place = min(found, key=lambda one: (-found[one], opened[one], one[1] is Direction.EGRESS, one[0]))
        chosen.add(place)
        left = Counter({ends: number for ends, number in left.items() if place not in _places(*ends)})
    return frozenset(chosen)


def _by_place(pairs: Counter[tuple[str | None, str | None]]) -> Counter[Place]:
    found: Counter[Place] = Counter()
    for ends, number in pairs.items():
        for place in _places(*ends):
            found[place] += number
    return found


def _places(source: str | None, destination: str | None) -> list[Place]:
    """Where a flow between two namespaces can be stopped."""
    ends = ((destination, Direction.INGRESS), (source, Direction.EGRESS))
    return [(name, direction) for name, direction in ends if name is not None]
