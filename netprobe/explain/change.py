"""The smallest change that turns a verdict: candidates by their cost, each tried on the model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice, product

from netprobe.explain import closing
from netprobe.explain.edit import Candidate
from netprobe.explain.opening import Opener
from netprobe.explain.record import Change, SideView
from netprobe.model.cluster import Cluster
from netprobe.model.flow import Flow
from netprobe.model.verdict import Verdict
from netprobe.simulate import Simulator

TRIED = 50
"""Each try makes a new simulator; the right one is nearly always the first."""


def smallest(simulator: Simulator, flow: Flow, sides: Sequence[SideView]) -> tuple[Change, Cluster] | None:
    """The cheapest candidate that, simulated, turns the verdict, and the cluster with it.

    None where none of the first few does.
    """
    if simulator.decide(flow).verdict is Verdict.DENY:
        wanted = Verdict.ALLOW
        choices = _openings(simulator, flow, [side for side in sides if side.verdict is Verdict.DENY])
    else:
        wanted = Verdict.DENY
        choices = ((candidate,) for side in sides for candidate in closing.candidates(simulator, side))
    for chosen in islice(sorted(choices, key=_cost), TRIED):
        cluster = simulator.cluster
        for candidate in chosen:
            cluster = candidate.apply(cluster)
        if Simulator(cluster, simulator.profile).decide(flow).verdict is wanted:
            edits = tuple(edit for candidate in chosen for edit in candidate.edits)
            return Change(wanted, edits), cluster
    return None


def _openings(
    simulator: Simulator, flow: Flow, denying: Sequence[SideView]
) -> Iterable[tuple[Candidate, ...]]:
    """One candidate for each side that denies; only the cheapest few of a side are combined."""
    if not denying:
        return ()
    sides = (
        sorted(Opener(simulator, flow, side).candidates(), key=lambda candidate: candidate.cost)
        for side in denying
    )
    return product(*(side[:TRIED] for side in sides))


def _cost(chosen: tuple[Candidate, ...]) -> int:
    return sum(candidate.cost for candidate in chosen)
