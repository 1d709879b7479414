"""Which cells of a case are probed. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from zlib import crc32

from netprobe.conformance.case import Case
from netprobe.conformance.fixture_map import fictional_map
from netprobe.conformance.world import PODS, SERVICE, Cell
from netprobe.model.policy import Direction
from netprobe.simulate import Simulator

_SITE = fictional_map()
BEHIND = "y/a"
"""The pod behind the Service."""


def probed_cells(case: Case, *, full: bool = False) -> tuple[Cell, ...]:
    """The cells to probe, in the order of the matrix, without SCTP, which nc does not support.

    `full`: all cells. Otherwise every pair with a pod that some policy of the case selects in some step: on
    all ports if their expected verdicts differ, else on one; and one cell per source of everything else.
    The case's name decides which ones, so that many cases together cover them all. A case that isolates no
    pod is probed in full.
    """
    cells = [cell for cell in case.scope.cells() if "/SCTP" not in cell.port]
    touched = isolated_pods(case)
    itself = [
        Cell(pod, pod, port)
        for pod in sorted(touched)
        for port in dict.fromkeys(a.port for a in cells if a[1] == pod)
    ]
    if full or not touched:
        return (*cells, *itself)
    number = crc32(case.name.encode())
    pairs: dict[tuple[str, str], list[Cell]] = defaultdict(list)
    for cell in cells:
        pairs[cell.source, cell.destination].append(cell)
    select_cases: set[Cell] = set()
    rest: dict[str, list[Cell]] = defaultdict(list)
    for index, ((source, destination), some) in enumerate(pairs.items()):
        if touched & {source, _pod(destination)}:
            select_cases.update(some if _differ(case, some) else [some[(number + index) % len(some)]])
        else:
            rest[source] += some
    select_cases.update(some[(number + index) % len(some)] for index, some in enumerate(rest.values()))
    return (*(cell for cell in cells if cell in select_cases), *itself[:2])


def isolated_pods(case: Case) -> frozenset[str]:
    """The pods that a policy of the case isolates in some step."""
    found: set[str] = set()
    for step in case.steps:
        simulator = Simulator(_SITE.cluster(case, step))
        for name in (*PODS, *step.pods):
            pod = simulator.cluster.pods[_SITE.pod(name)]
            if any(simulator.sides.applying(pod, direction) for direction in Direction):
                found.add(name)
    return frozenset(found)


def _pod(end: str) -> str:
    return BEHIND if end == SERVICE else end


def _differ(case: Case, pair: Sequence[Cell]) -> bool:
    """Whether the expected verdict depends on the port (or the case tells address families apart)."""
    if case.scope.families:
        return True
    return any(len({step.expected(cell) for cell in pair}) > 1 for step in case.steps)
