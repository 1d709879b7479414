"""A handful of cases by packets. NETPROBE_CONFORMANCE=all takes the whole suite, some minutes' worth."""

from __future__ import annotations

import os
from collections.abc import Sequence

import pytest

from netprobe.conformance.case import Case
from netprobe.conformance.load import builtin
from netprobe.conformance.result import CaseStatus, Results
from netprobe.conformance.runner import NOT_ENFORCING, Runner
from netprobe.diff import FlowStatus
from netprobe.kube import connect
from netprobe.lab import LabOptions, start
from netprobe.model.verdict import Verdict
from netprobe.probe import Pace

pytestmark = pytest.mark.lab

HANDFUL = {
    "a namespace that is deleted takes its policies with it",
    "a policy that selects pods on a node's network leaves all others alone",
    "a pod that is deleted and made again has its policies at its new address",
    "a change that narrows while a connection is open - new ones are triage by it",
    "a label that is taken away again",
    "a Service with another target port - policies see the pod's port",
    "egress to a block outside but for one excepted address",
    "ingress: port 53-80/TCP",
    "no policy at all - everything passes",
    "a pod to itself through its Service, under a deny of everything",
    "a deny of everything closes both families",
    "a changed priority changes the order",
    "Pass goes to the next tier",
}
ALL = os.environ.get("NETPROBE_CONFORMANCE") == "all"
CASES = [case for case in builtin() if ALL or case.name in HANDFUL]
FIXTURES = 4 if ALL else 2


async def results_on(lab_options: LabOptions, cases: Sequence[Case]) -> Results:
    lab = start(lab_options, ephemeral=True)
    try:
        async with connect(str(lab.kubeconfig)) as cluster:
            pace = Pace().on_lab()
            return await Runner(
                cluster, cases, fixtures=FIXTURES, lab=True, disposable=True, pace=pace
            ).results()
    finally:
        lab.stop()


async def test_a_lab_implements_network_policy() -> None:
    results = await results_on(LabOptions(name="conformance", nodes=2, ip_families=("ipv4", "ipv6")), CASES)
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


async def test_without_enforcement_every_case_that_denies_fails_and_every_other_passes() -> None:
    results = await results_on(
        LabOptions(name="conformance-none", enforce=False), CASES if ALL else CASES[::3]
    )
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
