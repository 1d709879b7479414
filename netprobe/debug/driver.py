"""A diagnosis from start to end: read, send packets, conclude, and remove what was made.

The answer is handed over while the pods still exist; they are removed afterwards, however it ends.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Final

from netprobe.debug.answer import Answer, conclude
from netprobe.debug.examination import LIFETIME_S, NO_PROBE, prepared
from netprobe.debug.facts import read_files, read_live
from netprobe.debug.guests import plan_guests
from netprobe.debug.reading import Read, Request, read
from netprobe.run.cluster import OpenCluster, Progress, open_cluster

AGAIN_S: Final = 2.0
NOT_LIVE: Final = "manifests were read, not a cluster"


def debug_files(request: Request, paths: Iterable[str]) -> Answer:
    """The answer as far as manifests give it."""
    return conclude(read(request, read_files(paths), unsent=NOT_LIVE).evidence)


async def debug(request: Request, progress: Progress, on_answer: Callable[[Answer], None]) -> Answer:
    """The answer for a live cluster. NetprobeError if it cannot be read, or if removal fails afterwards."""
    async with open_cluster(request.options, progress) as cluster:
        found = await _read(request, cluster, progress)
        async with prepared(request, cluster, found, progress) as examine:
            answer = conclude(await examine(found))
            on_answer(answer)
        return answer


async def watch(
    request: Request, progress: Progress, on_answer: Callable[[Answer, float | None], None]
) -> Answer:
    """Repeat until the result changes; `on_answer` gets the first answer, then the one that differs.

    With the seconds since the first.
    """
    first: Answer | None = None
    begun = 0.0
    async with open_cluster(request.options, progress) as cluster:
        while True:
            found = await _read(request, cluster, progress)
            renew_at = time.monotonic() + LIFETIME_S / 2
            async with prepared(request, cluster, found, progress) as examine:
                plan = _key(found)
                while _key(found) == plan and time.monotonic() < renew_at:
                    answer = conclude(await examine(found))
                    if first is None:
                        first, begun = answer, time.monotonic()
                        on_answer(answer, None)
                    elif answer.result != first.result:
                        on_answer(answer, time.monotonic() - begun)
                        return answer
                    progress(f"watching for a change, for {time.monotonic() - begun:.0f} s")
                    await asyncio.sleep(AGAIN_S)
                    found = await _read(request, cluster, lambda _: None)


def _key(found: Read) -> object:
    """What the pods of the run depend on: if it changes, they are recreated."""
    evidence = found.evidence
    plan = plan_guests(found.facts, evidence.source, evidence.legs, "", shadow=True, disturb=True).plan
    return plan, evidence.source.runs


async def _read(request: Request, cluster: OpenCluster, progress: Progress) -> Read:
    progress("reading the cluster")
    facts = await read_live(cluster, probing=request.probe)
    return read(request, facts, unsent=NO_PROBE, network=cluster.info.cni)
