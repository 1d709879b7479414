"""A denial that is doubted has to outlast a stall; one that holds stands, and so does what is not doubted."""

from __future__ import annotations

import math
from collections.abc import Container
from dataclasses import dataclass

import pytest

from netprobe.campaign.judge import allowed, patiently
from netprobe.model.cluster import Namespace
from netprobe.model.flow import ContainerPort, Flow, Pod, PodRef
from netprobe.model.observation import Observation
from netprobe.model.verdict import Decision, Verdict
from netprobe.probe import Fixture, Observed, Pace, Prober, Workbench
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

    def observed(self, doubted: Container[Flow] | None) -> Observed:
        async def run() -> Observed:
            cluster = FakeCluster(self.reach)
            async with (
                Workbench(cluster, FIXTURE) as bench,
                Prober(cluster, bench, [A_TO_B, B_TO_A]) as prober,
            ):
                await prober.baseline()
                return await patiently(prober, await prober.observe(self.change), Pace(), doubted)

        return virtually(run())


def told(seen: Observed, flow: Flow) -> tuple[Verdict, bool]:
    cell: Observation = seen.matrix[flow]
    return cell.verdict, cell.flaky


@pytest.mark.parametrize("doubted", [None, {A_TO_B}], ids=["all", "one"])
def test_who_connects_after_the_stall_may_pass_and_is_named(doubted: Container[Flow] | None) -> None:
    stalling = Stalling(math.inf)
    assert told(stalling.observed(()), A_TO_B) == (Verdict.DENY, False), "two rounds saw nothing else"
    seen = Stalling(2.5).observed(doubted)
    assert told(seen, A_TO_B) == (Verdict.ALLOW, True)
    (problem,) = (one for one in seen.facts.problems if "connected only after" in one)
    assert str(A_TO_B) in problem
    assert (str(B_TO_A) in problem) is (doubted is None)


def test_what_is_not_doubted_is_not_asked_again() -> None:
    seen = Stalling(math.inf).observed({A_TO_B})
    assert told(seen, A_TO_B) == told(seen, B_TO_A) == (Verdict.DENY, False)
    assert seen.matrix[A_TO_B].attempts > seen.matrix[B_TO_A].attempts == 2
    assert not any("connected only after" in one for one in seen.facts.problems)


def test_a_denial_is_doubted_where_the_policies_let_the_flow_pass() -> None:
    assert allowed({A_TO_B: Decision(Verdict.ALLOW), B_TO_A: Decision(Verdict.DENY)}) == {A_TO_B}
