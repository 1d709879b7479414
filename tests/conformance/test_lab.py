"""A handful of cases by packets, on labs that are right and wrong. NETPROBE_CONFORMANCE=all runs all."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from netprobe.conformance.case import Case
from netprobe.conformance.load import builtin
from netprobe.conformance.result import CaseStatus, Results
from netprobe.conformance.runner import NOT_ENFORCING, Runner
from netprobe.diff import FlowStatus
from netprobe.errors import LabError
from netprobe.kube import connect
from netprobe.lab import Lab, LabOptions, start
from netprobe.model.objects import Object
from netprobe.model.verdict import Verdict
from netprobe.probe import Pace
from tests.conformance.test_mutants import mutated

pytestmark = pytest.mark.lab

HANDFUL = {
    "a namespace that is deleted takes its policies with it",
    "a policy that selects pods on a node's network leaves all others alone",
    "a pod that is deleted and made again has its policies at its new address",
    "a change that narrows while a connection is open - new ones are judged by it",
    "a label that is taken away again",
    "a Service with another target port - policies see the pod's port",
    "egress to a block outside but for one excepted address",
    "no policy at all - everything passes",
    "a deny of everything closes both families",
    "a changed priority changes the order",
}
ALL = os.environ.get("NETPROBE_CONFORMANCE") == "all"
CASES = [case for case in builtin() if ALL or case.name in HANDFUL]
UNENFORCED = {"a label that is taken away again", "no policy at all - everything passes"}
BY_PACKETS = {
    "drop egress": "egress of one pod is closed, that of its neighbours is not",
    "ignore except": "egress to a block but for one excepted address",
    "OR for AND": "two selectors in one peer are AND",
    "named ports looked up once": "a named port that differs from pod to pod, into each its own",
}
"""A mutant for each part of a policy, and a case that finds it."""


@pytest.fixture(scope="module")
def dual() -> Iterator[Lab]:
    """Two nodes, both address families."""
    try:
        made = start(LabOptions(nodes=2, ip_families=("ipv4", "ipv6")), ephemeral=True)
    except LabError as error:
        pytest.skip(f"no lab on this machine: {error}")
    with made:
        yield made


async def results_on(lab: Lab, cases: Sequence[Case], mutants: Sequence[str] = ()) -> Results:
    async with connect(str(lab.kubeconfig)) as cluster:
        wrong: Any = Wrong(cluster, mutants)
        fixtures, pace = 4 if ALL else 2, Pace().on_lab()
        return await Runner(wrong, cases, fixtures=fixtures, lab=True, pace=pace).results()


class Wrong:
    """A cluster whose policies arrive changed: case number n is read by mutant number n."""

    def __init__(self, cluster: Any, mutants: Sequence[str]) -> None:
        self._cluster = cluster
        self._mutants = mutants

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cluster, name)

    async def apply(self, obj: Object, **options: Any) -> Any:
        number = re.match(r"c(\d+)-", obj["metadata"]["name"])
        if self._mutants and obj["kind"] == "NetworkPolicy" and number:
            obj = mutated(obj, self._mutants[int(number[1])])
        return await self._cluster.apply(obj, **options)


async def test_a_lab_implements_network_policy(dual: Lab) -> None:
    assert ALL or {case.name for case in CASES} == HANDFUL
    results = await results_on(dual, CASES)
    assert results.enforcement is None
    bad = [r.case.name for r in results.of(CaseStatus.FAILED, CaseStatus.FLAKY, CaseStatus.UNKNOWN)]
    assert not bad
    assert {result.reason for result in results.of(CaseStatus.SKIPPED)} <= {
        "SCTP: nc does not support it",
        "the lab's kubelet does not probe pods",
    }
    assert {r.case.undefined for r in results.of(CaseStatus.UNSCORED)} == {
        case.undefined for case in CASES if case.undefined
    }
    assert all(step.converged_s is not None for r in results.results for step in r.steps)


async def test_packets_find_mutants(dual: Lab) -> None:
    cases = {case.name: case for case in builtin()}
    results = await results_on(dual, [cases[name] for name in BY_PACKETS.values()], [*BY_PACKETS])
    assert [result.status for result in results.results] == [CaseStatus.FAILED] * len(BY_PACKETS)


async def test_without_enforcement_every_case_that_denies_fails_and_every_other_passes() -> None:
    with start(LabOptions(enforce=False), ephemeral=True) as lab:
        results = await results_on(lab, CASES if ALL else [case for case in CASES if case.name in UNENFORCED])
    assert results.enforcement == NOT_ENFORCING
    assert results.exit_status == 1
    for result in results.results:
        denies = any(
            row.declared is Verdict.DENY and row.status is not FlowStatus.UNDEFINED
            for step in result.steps
            for row in step.rows
        )
        if result.status not in {CaseStatus.SKIPPED, CaseStatus.UNSCORED}:
            assert result.status is (CaseStatus.FAILED if denies else CaseStatus.PASSED), result.case.name
