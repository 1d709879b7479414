"""For each flow of a page, the smallest change of policies that would reverse its verdict."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from netprobe.explain import explain
from netprobe.model.flow import End, External, Flow, PodRef, ServiceRef
from netprobe.model.verdict import Verdict
from netprobe.report.graph.elements import Cell, EndName, Graph
from netprobe.simulate import Simulator

MOST = 1_000  # flows, a few milliseconds each in a small cluster
MOST_WORK = 100_000  # flows times pods: each candidate is simulated on the whole cluster


def with_suggestions(graph: Graph, simulator: Simulator, externals: Iterable[External] = ()) -> Graph:
    """The graph with a suggested change for each flow that has reasons.

    If there are too many flows, the unexpected ones come first, then those that rows declare; the rest have
    none, and a note says so.
    """
    hosts: dict[EndName, End] = {EndName.of(host): host for host in externals}
    cells = [
        (pair, index, cell)
        for pair, held in graph.cells.items()
        for index, cell in enumerate(held)
        if cell.reasons is not None
    ]
    cells.sort(key=lambda each: (not each[2].mismatches, each[2].declared_by in {None, "default"}))
    budget = min(MOST, max(20, MOST_WORK // max(1, len(simulator.cluster.pods))))
    found = {pair: list(held) for pair, held in graph.cells.items()}
    for pair, index, cell in cells[:budget]:
        found[pair][index] = replace(cell, change=_change(cell, simulator, hosts))
    notes = graph.notes
    if len(cells) > budget:
        notes = (*notes, f"Changes are suggested for {budget:,} of {len(cells):,} flows")
    return replace(graph, cells={pair: tuple(held) for pair, held in found.items()}, notes=notes)


def _change(cell: Cell, simulator: Simulator, hosts: dict[EndName, End]) -> str | None:
    source, destination = (_end(name, simulator, hosts) for name in (cell.source, cell.destination))
    if source is None or destination is None or cell.simulated in {None, Verdict.UNKNOWN}:
        return None
    explanation = explain(simulator, Flow(source, destination, cell.port, cell.protocol, cell.family))
    change = explanation.change
    if change is None or explanation.verdict is not cell.simulated:  # the report is older than the policies
        return None
    return f"To be {'allowed' if change.verdict is Verdict.ALLOW else 'denied'}: {change.text}"


def _end(name: EndName, simulator: Simulator, hosts: dict[EndName, End]) -> End | None:
    """The end with that name; None if the cluster does not have it."""
    if name.namespace is None:
        return hosts.get(name)
    if name.service:
        service = ServiceRef(name.namespace, name.name)
        return service if service in simulator.cluster.services else None
    pod = PodRef(name.namespace, name.name)
    return pod if pod in simulator.cluster.pods else None
