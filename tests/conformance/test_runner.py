"""What the runner does where something goes wrong."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from netprobe.conformance.case import Case
from netprobe.conformance.load import builtin
from netprobe.conformance.result import CaseResult, CaseStatus
from netprobe.conformance.runner import MOST_TROUBLES, Runner, run_all
from netprobe.conformance.world import Cell
from netprobe.errors import ClusterError, ForbiddenError
from tests.conformance.samples import FAILED, FLAKY, PASSED, SITE, UNKNOWN


async def test_where_one_worker_fails_the_others_are_ended_first() -> None:
    ended = []

    async def fails() -> None:
        await asyncio.sleep(0)
        raise ClusterError("gone")

    async def works() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    with pytest.raises(ClusterError, match="gone"):
        await run_all([works(), fails(), works()])
    assert ended == [True, True]


async def tried(
    monkeypatch: pytest.MonkeyPatch, cases: Sequence[Case], error: Exception
) -> Mapping[str, CaseResult]:
    """What becomes of cases that all fail in the same way."""

    async def fails(*_: object) -> CaseResult:
        raise error

    monkeypatch.setattr(Runner, "_try", fails)
    there: Any = SimpleNamespace(site=SITE, lacks_services=False)
    asked: dict[str, Sequence[Cell]] = {case.name: () for case in cases}
    suite = Runner(there, cases)
    await suite._work(there, there, deque(enumerate(cases)), asked)
    return suite._done


FORBIDDEN = ForbiddenError('violates PodSecurity "baseline:latest": host namespaces (hostNetwork=true)')


async def test_where_no_pod_may_use_its_node_s_network_cases_are_skipped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cases = [case for case in builtin() if "host-network" in case.needs]
    assert len(cases) > MOST_TROUBLES
    done = await tried(monkeypatch, cases, FORBIDDEN)
    assert {result.status for result in done.values()} == {CaseStatus.SKIPPED}
    assert "baseline" in (done[cases[0].name].reason or "")


async def test_what_is_forbidden_otherwise_is_unknown_and_ends_the_run_if_it_persists(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cases = [case for case in builtin() if not case.needs]
    done = await tried(monkeypatch, cases[: MOST_TROUBLES - 1], FORBIDDEN)
    assert {result.status for result in done.values()} == {CaseStatus.UNKNOWN}
    with pytest.raises(ForbiddenError):
        await tried(monkeypatch, cases[:MOST_TROUBLES], FORBIDDEN)


def test_what_came_out_unreported_just_before_a_cluster_was_lost_is_not_a_finding() -> None:
    nowhere: Any = None
    names = [case.name for case in builtin()[:6]]
    suite = Runner(nowhere, builtin()[:7])
    every = (PASSED, UNKNOWN, FAILED, FLAKY, UNKNOWN, UNKNOWN)
    suite._done = {
        name: replace(result, case=case)
        for name, result, case in zip(names, every, builtin()[:6], strict=True)
    }
    suite._take_back()
    statuses = [result.status for result in suite.so_far("the run ended early").results]
    assert statuses == [CaseStatus.PASSED, CaseStatus.UNKNOWN, CaseStatus.FAILED, *[CaseStatus.UNTRIED] * 4]


async def test_a_node_that_takes_no_pods_is_named_where_two_are_needed() -> None:
    def node(name: str, *, ready: str = "True") -> dict[str, Any]:
        return {"metadata": {"name": name}, "status": {"conditions": [{"type": "Ready", "status": ready}]}}

    async def find(_: str) -> list[dict[str, Any]]:
        return [node("n2", ready="False"), node("n1")]

    cluster: Any = SimpleNamespace(find=find)
    suite = Runner(cluster, ())
    assert await suite._nodes() == ("n1",)
    case = next(case for case in builtin() if "two-nodes" in case.needs)
    fixture: Any = SimpleNamespace(site=replace(SITE, nodes=dict.fromkeys(SITE.nodes, "n1")))
    assert (
        suite._lacking(case, fixture)
        == "this cluster has only one usable node: n2 not ready or not schedulable"
    )


@pytest.mark.parametrize("joins", [False, True])
async def test_a_second_node_that_joins_later_is_used(
    monkeypatch: pytest.MonkeyPatch, *, joins: bool
) -> None:
    """The cases that need one are deferred to the end of the run, and skipped only if there is none then."""
    cases = [case for case in builtin() if "two-nodes" in case.needs][:2]
    passes: list[tuple[str, ...]] = []
    seen = [("a",), ("a", "b") if joins else ("a",)]

    async def nodes(_: Runner) -> tuple[str, ...]:
        return seen.pop(0)

    async def run(self: Runner, cases: Sequence[Case], on: tuple[str, ...]) -> list[str]:
        passes.append(on)
        for case in cases:
            if len(on) > 1:
                self._keep(CaseResult(case, CaseStatus.PASSED))
            else:
                self._deferred.append(case)
        return []

    monkeypatch.setattr(Runner, "_nodes", nodes)
    monkeypatch.setattr(Runner, "_run", run)
    nobody: Any = None
    results = await Runner(nobody, cases).results()
    assert passes == ([("a",), ("a", "b")] if joins else [("a",)])
    assert {one.status for one in results.results} == {CaseStatus.PASSED if joins else CaseStatus.SKIPPED}
    assert all(
        (one.reason or "").startswith("this cluster has only one") is not joins for one in results.results
    )
