"""The prober on every kind of cluster: the same run, the same answers, nothing left."""

from __future__ import annotations

import pytest

from netprobe.errors import ConflictError
from netprobe.probe import ClusterAPI, Observed, Prober, Workbench
from netprobe.probe.run_objects import RUN
from tests.contract.conftest import Use
from tests.contract.world import CLOSED, LABELLED, OPEN, World


def test_a_run_with_steps(use: Use[object]) -> None:
    world = World()

    async def run(cluster: ClusterAPI) -> None:
        seen: list[Observed] = []
        async with (
            Workbench(cluster, world.fixture, changes=3) as bench,
            Prober(cluster, bench.stations, world.flows, canaries=bench.canaries) as prober,
        ):
            enforcement = await prober.baseline()
            seen.append(await prober.observe(lambda: bench.apply(world.close_db())))
            seen.append(await prober.observe(lambda: bench.label(world.back, {"tier": "back"})))
            seen.append(await prober.observe(lambda: bench.delete("NetworkPolicy", "close-db", world.back)))
            assert bench.stations.keys() == {pod.ref for pod in world.fixture.pods}
        assert enforcement.enforcing is True, enforcement.evidence
        assert [world.picture(one.matrix) for one in seen] == [CLOSED, LABELLED, OPEN]
        for one in seen:
            assert one.facts.converged_s is not None
            assert one.facts.problems == ()
        denied = [cell for cell in seen[0].matrix.values() if cell.verdict.mark == "X"]
        assert {(cell.control.listener, cell.control.path) for cell in denied} == {("self", "baseline")}
        assert all(cell.attempts >= 2 and cell.latency_ms is None for cell in denied)
        connected = [cell for cell in seen[0].matrix.values() if cell.verdict.mark == "."]
        assert all(cell.latency_ms is not None and 0 < cell.latency_ms < 60_000 for cell in connected)
        for kind in ("Namespace", "Pod", "NetworkPolicy", "Lease"):
            assert await cluster.find(kind, None, {RUN: bench.run}) == []

    use(run)


def test_a_second_run_next_to_it(use: Use[object]) -> None:
    world, other = World(), World()

    async def run(cluster: ClusterAPI) -> None:
        async with Workbench(cluster, world.fixture) as bench:
            with pytest.raises(ConflictError, match=f"in use by run {bench.run}, which is alive"):
                async with Workbench(cluster, world.fixture):
                    raise AssertionError("entered")
            async with Workbench(cluster, other.fixture) as beside:
                assert beside.run != bench.run
            async with Prober(cluster, bench.stations, world.flows, canaries=bench.canaries) as prober:
                await prober.baseline()
                seen = await prober.observe()
        assert world.picture(seen.matrix) == OPEN

    use(run)
