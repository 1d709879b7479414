"""The conformance suite on a real cluster: it is as it should be, and faults are found."""

from __future__ import annotations

from typing import Any

import pytest

from netprobe.conformance.case import Case
from netprobe.conformance.load import builtin
from netprobe.conformance.result import CaseStatus, Results
from netprobe.conformance.runner import Runner
from netprobe.kube.client import KubeCluster
from tests.cluster.conftest import Run
from tests.conformance.test_lab import BY_PACKETS, HANDFUL, Wrong


def found(run: Run, cases: list[Case], **options: Any) -> Results:
    async def tried(cluster: KubeCluster) -> Results:
        wrong: Any = Wrong(cluster, list(BY_PACKETS)) if options.get("wrong") else cluster
        return await Runner(wrong, cases, fixtures=4).results()

    results = run(tried)
    assert isinstance(results, Results)
    if results.enforcement:
        pytest.skip(results.enforcement)
    return results


def test_a_handful_of_cases(on_cluster: Run) -> None:
    results = found(on_cluster, [case for case in builtin() if case.name in HANDFUL])
    assert not list(results.of(CaseStatus.FAILED, CaseStatus.FLAKY, CaseStatus.UNKNOWN))
    assert results.counts[CaseStatus.PASSED] >= 4


def test_packets_find_mutants(on_cluster: Run) -> None:
    cases = {case.name: case for case in builtin()}
    results = found(on_cluster, [cases[name] for name in BY_PACKETS.values()], wrong=True)
    assert [one.status for one in results.results] == [CaseStatus.FAILED] * len(BY_PACKETS)
