"""The conformance suite on a real cluster: it is as it should be, faults are found, the account suffices."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from netprobe.conformance.case import Case
from netprobe.conformance.load import builtin
from netprobe.conformance.result import CaseStatus, Results
from netprobe.conformance.runner import Runner
from netprobe.kube.client import KubeCluster
from netprobe.probe.permission import Permission
from tests.cluster.account import account, published, without
from tests.cluster.conftest import Run
from tests.cluster.permitted import CASES, NEEDED_AT_NIGHT, NIGHTLY, lacks
from tests.conformance.test_lab import BY_PACKETS, HANDFUL, Wrong
from tests.run.netprobe import netprobe


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


def test_a_run_as_exactly_the_nightly_account(kubeconfig: str, tmp_path: Path) -> None:
    only = [word for name in CASES for word in ("--only", name)]
    with account(kubeconfig, published(NIGHTLY, "guard.yaml"), tmp_path) as user:
        ended = netprobe("conformance", *only, "--kubeconfig", user.kubeconfig, "-o", "json")
        assert all(re.match(r"netprobe: \d+ s: ", line) for line in ended.err.splitlines())  # how far it is
        assert {case["reason"] for case in ended.report["cases"]} == {None}
        assert len(ended.report["cases"]) == len(CASES)


@pytest.mark.parametrize("permission", NEEDED_AT_NIGHT, ids=str)
def test_without_one_verb_it_names_it_and_makes_nothing(
    kubeconfig: str, tmp_path: Path, permission: Permission
) -> None:
    roles = without(published(NIGHTLY), permission.group, permission.resource, permission.verb)
    with account(kubeconfig, roles, tmp_path) as user:
        ended = netprobe("conformance", "--only", CASES[0], "--kubeconfig", user.kubeconfig)
        assert ended.status == 3, ended.out
        assert lacks(permission) in ended.err
