"""Beside the workloads of others a denial has to outlast a stall; one that holds stands."""

from __future__ import annotations

import math
from dataclasses import dataclass

from netprobe.model.cluster import Namespace
from netprobe.model.flow import ContainerPort, Flow, Pod, PodRef
from netprobe.model.observation import Observation
from netprobe.model.verdict import Verdict
from netprobe.probe import Fixture, Observed, Pace, Prober, Workbench
from netprobe.run.route import PATIENCE, recheck_denied
from tests.probe.clock import now, virtually
from tests.probe.fake import OPEN, SILENT, FakeCluster

A, B = PodRef("x", "a"), PodRef("x", "b")
PODS = tuple(Pod(ref, {}, ports=(ContainerPort(80),)) for ref in (A, B))
FIXTURE = Fixture((Namespace("x", {}),), PODS)
A_TO_B, B_TO_A = Flow(A, B, 80), Flow(B, A, 80)


@dataclass
class Stalling:
    """Between the two pods nothing passes for `stall_s` seconds after the change."""

    stall_s: float
    changed_at: float = math.inf

    def reach(self, source: str, destination: str, port: int, protocol: str) -> str:
        del port, protocol
        stalled = self.changed_at <= now() < self.changed_at + self.stall_s
        return SILENT if stalled and {source, destination} == {str(A), str(B)} else OPEN

    async def change(self) -> None:
        self.changed_at = now()

    def observed(self) -> Observed:
        async def run() -> Observed:
            cluster = FakeCluster(self.reach)
            async with (
                Workbench(cluster, FIXTURE) as bench,
                Prober(cluster, bench.stations, [A_TO_B, B_TO_A], canaries=bench.canaries) as prober,
            ):
                await prober.baseline()
                return await recheck_denied(prober, await prober.observe(self.change), Pace())

        return virtually(run())


def output(seen: Observed, flow: Flow) -> tuple[Verdict, bool]:
    cell: Observation = seen.matrix[flow]
    return cell.verdict, cell.flaky


def test_who_connects_after_the_stall_may_pass_and_is_named() -> None:
    seen = Stalling(2.5).observed()
    assert output(seen, A_TO_B) == output(seen, B_TO_A) == (Verdict.ALLOW, True)
    (problem,) = (one for one in seen.facts.problems if "connected only after" in one)
    assert str(A_TO_B) in problem


def test_a_denial_that_holds_stands() -> None:
    seen = Stalling(math.inf).observed()
    assert output(seen, A_TO_B) == (Verdict.DENY, False)
    assert seen.matrix[A_TO_B].attempts == 2 + PATIENCE
    assert not any("connected only after" in one for one in seen.facts.problems)
