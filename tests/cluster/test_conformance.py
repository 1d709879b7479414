"""A handful of cases on a real cluster: they pass, and packets find mutants."""

from __future__ import annotations

from typing import Any

import pytest

from netprobe.conformance.result import CaseStatus, Results
from netprobe.conformance.runner import Runner
from netprobe.kube.client import KubeCluster
from tests.cluster.conftest import Run
from tests.conformance.test_lab import CASES, MUTANTS, Wrong, mutant_cases


def test_a_handful_of_cases_and_mutants(on_cluster: Run) -> None:
    misread = mutant_cases()

    async def tried(cluster: KubeCluster) -> Results:
        wrong: Any = Wrong(cluster, dict(enumerate(MUTANTS, len(CASES))))
        return await Runner(wrong, [*CASES, *misread], fixtures=4).results()

    results = on_cluster(tried)
    assert isinstance(results, Results)
    if results.enforcement:
        pytest.skip(results.enforcement)
    bad = results.of(CaseStatus.FAILED, CaseStatus.FLAKY, CaseStatus.UNKNOWN)
    assert [one.case for one in bad] == misread
    assert results.counts[CaseStatus.PASSED] >= 4
