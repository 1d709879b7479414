"""What an observation of a real pod is worth: it may be slow, cease to listen, or be replaced meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from netprobe.campaign.route import Route
from netprobe.campaign.scene import Scene, faltered, gone
from netprobe.model.flow import Flow, PodRef
from netprobe.model.matrix import Matrix
from netprobe.model.observation import Observation
from netprobe.model.verdict import Verdict
from netprobe.probe import Pace, Prober
from netprobe.probe.guest_view import Standing

PATIENCE = 3
"""Rounds more in which a denial has to hold: a real server may be busy, as a probe's own listener is not."""


async def patiently(prober: Prober, seen: Matrix[Observation], pace: Pace) -> Matrix[Observation]:
    """Ask the denied again. Whoever connects now may pass, and was only slow to answer."""
    cells = dict(seen)
    for _ in range(PATIENCE):
        denied = [flow for flow, cell in cells.items() if cell.verdict is Verdict.DENY]
        if not denied:
            break
        await asyncio.sleep(pace.wait_s / 2)
        for flow, again in (await prober.round(denied)).items():
            before = cells[flow]
            moved = again.verdict is not Verdict.DENY
            cells[flow] = replace(again, attempts=before.attempts + 1, flaky=before.flaky or moved)
    return Matrix(cells)


def settled_with(
    seen: Matrix[Observation], here: Scene, route: Route, now: Mapping[PodRef, Standing]
) -> Matrix[Observation]:
    """The observations, UNKNOWN where the real pod is not what it was, and with what would prove a denial."""

    def judged(flow: Flow, cell: Observation) -> Observation:
        moved = gone(here, now, flow)
        if moved is not None and cell.attempts:
            return replace(cell, verdict=Verdict.UNKNOWN, reason=f"gone: {moved}")
        if cell.verdict is Verdict.DENY and (weak := faltered(here, now, flow)):
            return replace(cell, verdict=Verdict.UNKNOWN, reason=f"listener: {weak}")
        if cell.verdict is Verdict.UNKNOWN and cell.reason:
            return replace(cell, reason=route.explained(flow, cell.reason))
        return cell

    return seen.map(judged)
