"""A run to be killed: python -m tests.cluster.victim KUBECONFIG TAG. Says "run ID" once it probes."""

from __future__ import annotations

import asyncio
import sys

from netprobe.kube import connect
from netprobe.probe import Prober, Workbench
from tests.contract.world import World


async def main(kubeconfig: str, tag: str) -> None:
    world = World(tag)
    async with connect(kubeconfig) as cluster, Workbench(cluster, world.fixture) as bench:
        sys.stdout.write(f"run {bench.run}\n")
        sys.stdout.flush()
        async with Prober(cluster, bench.stations, world.flows, canaries=bench.canaries) as prober:
            await prober.baseline()
            while True:
                await prober.observe(lambda: bench.apply(world.close_db()))


asyncio.run(main(*sys.argv[1:]))
