"""A run reports its finished cases however it ends."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from netprobe.cli.conformance import LEFT_BEHIND, _results
from netprobe.conformance.result import CaseStatus, Results
from netprobe.conformance.runner import ConformanceRun, Runner
from netprobe.errors import UnreachableError
from netprobe.run.cluster import RunOptions
from netprobe.run.record import ClusterInfo
from netprobe.run.target import ClusterChoice
from tests.conformance.samples import CASE, PASSED, SKIPPED

CASES = (CASE, SKIPPED.case)


def night(monkeypatch: pytest.MonkeyPatch, then: Any, *, finished: bool = True) -> ConformanceRun:
    """A run whose first case is finished when `then` happens; it may await in its cleanup."""

    async def results(suite: Runner) -> Results:
        if finished:
            suite._done[CASE.name] = PASSED
        await then()
        raise AssertionError("not reached")

    @asynccontextmanager
    async def open_cluster(*_: object) -> AsyncIterator[object]:
        yield SimpleNamespace(
            api=None, pace=lambda pace: pace, info=ClusterInfo("cluster", "kind-x"), is_lab=False
        )

    monkeypatch.setattr(Runner, "results", results)
    monkeypatch.setattr("netprobe.conformance.runner.open_cluster", open_cluster)
    return ConformanceRun(CASES, RunOptions(target=ClusterChoice(context="kind-x")), fixtures=1, full=False)


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


async def interrupted_once() -> None:
    asyncio.get_running_loop().call_soon(interrupt)
    await asyncio.Event().wait()


async def interrupted_twice() -> None:
    try:
        await interrupted_once()
    finally:
        interrupt()
        await asyncio.Event().wait()


async def lost() -> None:
    error = UnreachableError("no connection")
    error.add_note("left behind: netprobe-1")
    raise error


@pytest.mark.parametrize(
    ("then", "status", "problems"),
    [
        pytest.param(interrupted_once, 130, ["interrupted: 1 of 2 cases were tried"], id="interrupted"),
        pytest.param(
            interrupted_twice, 130, ["interrupted: 1 of 2 cases were tried", LEFT_BEHIND], id="twice"
        ),
        pytest.param(
            lost,
            3,
            ["the run ended early: 1 of 2 cases were tried", "no connection", "left behind: netprobe-1"],
            id="lost",
        ),
    ],
)
def test_what_was_found_is_kept(
    then: Any,
    status: int,
    problems: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = night(monkeypatch, then)
    results = _results(run)
    assert [one.status for one in results.results] == [CaseStatus.PASSED, CaseStatus.UNTRIED]
    assert results.exit_status == status
    assert list(results.problems) == problems
    assert capsys.readouterr().err.splitlines() == [f"netprobe: {problem}" for problem in problems]
    assert run.cluster.context == "kind-x"
    assert run.info.id


@pytest.mark.parametrize(
    ("then", "raised"), [(interrupted_once, KeyboardInterrupt), (lost, UnreachableError)]
)
def test_if_nothing_was_found_there_is_no_report(
    then: Any, raised: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(raised):
        _results(night(monkeypatch, then, finished=False))
