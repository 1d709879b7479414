"""Checks of what was observed of real pods, which may be slow, stop listening, or be replaced."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

from netprobe.model.flow import Flow, PodRef
from netprobe.model.matrix import Matrix
from netprobe.model.observation import Observation
from netprobe.model.text import listed
from netprobe.model.verdict import Verdict
from netprobe.probe import Observed, Pace, Prober
from netprobe.probe.surroundings import PodState
from netprobe.run.in_place_plan import InPlacePlan
from netprobe.run.route import Route

PATIENCE = 3
"""Further rounds in which a denial must hold, because a real server may be busy."""

NAMED = 5
"""How many slow flows are named."""


async def recheck_denied(prober: Prober, seen: Observed, pace: Pace) -> Observed:
    """Try all denied flows again. A flow that connects now is allowed: the server was only slow.

    A connection proves that a flow is allowed; a denial is concluded from silence. All denied flows are tried
    again, whatever verdict the policies give. The report names the flows that changed.
    """
    cells = dict(seen.matrix)
    changed: dict[Flow, None] = {}
    for _ in range(PATIENCE):
        denied = [flow for flow, cell in cells.items() if cell.verdict is Verdict.DENY]
        if not denied:
            break
        await asyncio.sleep(pace.wait_s / 2)
        for flow, again in (await prober.round(denied)).items():
            before = cells[flow]
            if again.verdict is not Verdict.DENY:
                changed[flow] = None
            flaky = before.flaky or flow in changed
            cells[flow] = replace(again, attempts=before.attempts + 1, flaky=flaky)
    slow = [flow for flow in changed if cells[flow].verdict is Verdict.ALLOW]
    problems = (*seen.facts.problems, *([_slow(slow)] if slow else []))
    return replace(seen, matrix=Matrix(cells), facts=replace(seen.facts, problems=problems))


def _slow(slow: Sequence[Flow]) -> str:
    flows = "1 flow" if len(slow) == 1 else f"{len(slow)} flows"
    return (
        f"{flows} connected only after two rounds in which nothing came back ({listed(slow, NAMED)}): "
        "packets are lost, or a machine is too busy; a longer --probe-timeout may help"
    )


def with_pod_changes(
    seen: Matrix[Observation], here: InPlacePlan, route: Route, now: Mapping[PodRef, PodState]
) -> Matrix[Observation]:
    """The observations: UNKNOWN if the real pod has changed, with a hint at what would prove a denial."""

    def judged(flow: Flow, cell: Observation) -> Observation:
        gone = moved(here, now, flow)
        if gone is not None and cell.attempts:
            return replace(cell, verdict=Verdict.UNKNOWN, reason=f"gone: {gone}")
        if cell.verdict is Verdict.DENY and (weak := unready(here, now, flow)):
            return replace(cell, verdict=Verdict.UNKNOWN, reason=f"listener: {weak}")
        if cell.verdict is Verdict.UNKNOWN and cell.reason:
            return replace(cell, reason=route.explained(flow, cell.reason))
        return cell

    return seen.map(judged)


def moved(here: InPlacePlan, now: Mapping[PodRef, PodState], flow: Flow) -> str | None:
    """Why a row may be about another pod than at the start; None if no pod moved."""
    for ref, _ in here.backends(flow):
        before, after = here.states.get(ref), now.get(ref)
        if before is not None and (
            after is None or after.uid != before.uid or after.addresses != before.addresses
        ):
            return f"{ref} was replaced or moved during the run"
    return None


def unready(here: InPlacePlan, now: Mapping[PodRef, PodState], flow: Flow) -> str | None:
    """Why silence may be the real pod's own; None if it was ready all the time, or never."""
    for ref, port in here.backends(flow):
        before, after = here.states.get(ref), now.get(ref)
        if before is None or after is None:
            continue
        if after.since != before.since or (port in before.proven and port not in after.proven):
            return f"{ref} was not ready all the time"
    return None
