"""IPv4 and IPv6, each tried for itself, and one row for both where they came out alike.

A selector opens both families, so that the policies say the same of them; whether the cluster does the same
is another matter. Some dataplanes program each family's rules apart, and one of them can be missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from netprobe.model.flow import Family, Flow, Via
from netprobe.model.matrix import Matrix
from netprobe.model.observation import Observation
from netprobe.model.verdict import Decision
from netprobe.simulate import Simulator


def apart(flows: Iterable[Flow], simulator: Simulator, only: Family | None = None) -> Iterator[Flow]:
    """A row for each family that a flow's ends have in common; of two the `only` one that is wanted.

    By a DNS name the resolver of the source chooses the family: those are told apart only where the policies
    tell them apart.
    """
    for flow in flows:
        if flow.via is Via.DNS:
            yield from simulator.split(flow)
            continue
        rows = simulator.apart(flow)
        yield from (row for row in rows if only in {None, row.family} or len(rows) == 1)


def united(
    simulated: Matrix[Decision], observed: Matrix[Observation]
) -> tuple[Matrix[Decision], Matrix[Observation]]:
    """The tables with one row, that of IPv4, where nothing tells the two families of a flow apart."""
    alike = {
        flow
        for flow in simulated
        if flow.family == 4 and _alike(flow, replace(flow, family=6), simulated, observed)
    }
    dropped = {replace(flow, family=6) for flow in alike}

    def named(flow: Flow) -> Flow:
        return replace(flow, family=None) if flow in alike else flow

    return (
        Matrix((named(flow), cell) for flow, cell in simulated.items() if flow not in dropped),
        Matrix((named(flow), cell) for flow, cell in observed.items() if flow not in dropped),
    )


def _alike(one: Flow, other: Flow, simulated: Matrix[Decision], observed: Matrix[Observation]) -> bool:
    said, says = simulated[one], simulated.get(other)
    if says is None or (said.verdict, said.undefined) != (says.verdict, says.undefined):
        return False
    saw, sees = observed.get(one), observed.get(other)
    if saw is None or sees is None:
        return saw is sees
    return _seen(saw) == _seen(sees)


def _seen(cell: Observation) -> tuple[object, ...]:
    """What a reader would call the same: not how long it took, nor by which of two proofs it counts."""
    return cell.verdict, cell.outcome, cell.reason, cell.flaky
