"""For each flow of a page, the smallest change of policies that would reverse its verdict."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from netprobe.explain import explain
from netprobe.model.flow import End, External, Flow, PodRef, ServiceRef
from netprobe.model.verdict import Verdict
from netprobe.report.graph import Cell, Graph, Named, Party
from netprobe.simulate import Simulator

MOST = 1_000  # flows, a few milliseconds each in a small cluster
MOST_WORK = 100_000  # flows times pods: each candidate is simulated on the whole cluster


def with_suggestions(graph: Graph, simulator: Simulator, externals: Iterable[External] = ()) -> Graph:
    """The graph with a suggested change for each flow: first unexpected flows, then those that rows name.

    If there are too many flows, the rest have none, and a note says so.
    """
    hosts: dict[Party, End] = {Party.of(host): host for host in externals}
    cells = [(pair, index, cell) for pair, held in graph.cells.items() for index, cell in enumerate(held)]
    cells.sort(key=lambda each: (not each[2].differs, each[2].named is Named.NOT))
    budget = min(MOST, max(20, MOST_WORK // max(1, len(simulator.cluster.pods))))
    found = {pair: list(held) for pair, held in graph.cells.items()}
    for pair, index, cell in cells[:budget]:
        found[pair][index] = replace(cell, change=_change(cell, simulator, hosts))
    notes = graph.notes
    if len(cells) > budget:
        notes = (*notes, f"Changes are suggested for {budget:,} of {len(cells):,} flows")
    return replace(graph, cells={pair: tuple(held) for pair, held in found.items()}, notes=notes)


def _change(cell: Cell, simulator: Simulator, hosts: dict[Party, End]) -> str | None:
    source, destination = (_end(party, simulator, hosts) for party in (cell.source, cell.destination))
    if source is None or destination is None or cell.simulated in {None, Verdict.UNKNOWN}:
        return None
    explanation = explain(simulator, Flow(source, destination, cell.port, cell.protocol, cell.family))
    change = explanation.change
    if change is None or explanation.verdict is not cell.simulated:  # the report is older than the policies
        return None
    return f"To be {'allowed' if change.verdict is Verdict.ALLOW else 'denied'}: {change.text}"


def _end(party: Party, simulator: Simulator, hosts: dict[Party, End]) -> End | None:
    """The end with that name; None if the cluster does not have it."""
    if party.namespace is None:
        return hosts.get(party)
    if party.service:
        service = ServiceRef(party.namespace, party.name)
        return service if service in simulator.cluster.services else None
    pod = PodRef(party.namespace, party.name)
    return pod if pod in simulator.cluster.pods else None
