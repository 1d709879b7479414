"""A handful of cases by packets, on labs that are right and wrong. NETPROBE_CONFORMANCE=all runs all."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
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

ALLOWING = "egress: allow all"
DENYING = "egress of one pod is closed, that of its neighbours is not"
HANDFUL = {
    ALLOWING,
    DENYING,
    "a policy that selects pods on a node's network leaves all others alone",
    "a change that narrows while a connection is open - new ones are judged by it",
    "a changed priority changes the order",
}
MUTANTS = {
    "OR for AND": "two selectors in one peer are AND",
    "named ports looked up once": "a named port that differs from pod to pod, into each its own",
}
"""Mutants, and a case that finds each; test_mutants.py has all of them, by simulation."""
ALL = os.environ.get("NETPROBE_CONFORMANCE") == "all"
CASES = [case for case in builtin() if ALL or case.name in HANDFUL]
PACE = Pace().on_lab()


@pytest.fixture(scope="module")
def dual() -> Iterator[Lab]:
    """Two nodes, both address families."""
    try:
        made = start(LabOptions(nodes=2, ip_families=("ipv4", "ipv6")), ephemeral=True)
    except LabError as error:
        pytest.skip(f"no lab on this machine: {error}")
    with made:
        yield made


def mutant_cases() -> list[Case]:
    """A case for each mutant, under a name of its own."""
    named = {case.name: case for case in builtin()}
    return [replace(named[name], name=f"{name}, {mutant}") for mutant, name in MUTANTS.items()]


async def results_on(
    lab: Lab, cases: Sequence[Case], mutants: Mapping[int, str] = MappingProxyType({}), pace: Pace = PACE
) -> Results:
    async with connect(str(lab.kubeconfig)) as cluster:
        wrong: Any = Wrong(cluster, mutants)
        return await Runner(wrong, cases, fixtures=8 if ALL else 1, lab=True, pace=pace).results()


class Wrong:
    """A cluster whose policies arrive changed: those of case number n by mutant number n, if there is one."""

    def __init__(self, cluster: Any, mutants: Mapping[int, str]) -> None:
        self._cluster = cluster
        self._mutants = mutants

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cluster, name)

    async def apply(self, obj: Object, **options: Any) -> Any:
        number = re.match(r"c(\d+)-", obj["metadata"]["name"])
        if obj["kind"] == "NetworkPolicy" and number and int(number[1]) in self._mutants:
            obj = mutated(obj, self._mutants[int(number[1])])
        return await self._cluster.apply(obj, **options)


async def test_a_lab_implements_network_policy_and_packets_find_mutants(dual: Lab) -> None:
    assert ALL or {case.name for case in CASES} == HANDFUL
    misread = mutant_cases()
    results = await results_on(dual, [*CASES, *misread], dict(enumerate(MUTANTS, len(CASES))))
    assert results.enforcement is None
    bad = [r.case.name for r in results.of(CaseStatus.FAILED, CaseStatus.FLAKY, CaseStatus.UNKNOWN)]
    assert bad == [case.name for case in misread]
    assert {result.reason for result in results.of(CaseStatus.SKIPPED)} <= {
        "SCTP: nc does not support it",
        "the lab's kubelet does not probe pods",
    }
    assert {r.case.undefined for r in results.of(CaseStatus.UNSCORED)} == {
        case.undefined for case in CASES if case.undefined
    }
    assert all(step.converged_s is not None for r in results.results for step in r.steps)


async def test_without_enforcement_every_case_that_denies_fails_and_every_other_passes() -> None:
    """With NETPROBE_CONFORMANCE=all, every sixth case."""
    cases = [case for n, case in enumerate(CASES) if case.name in {ALLOWING, DENYING} or (ALL and n % 6 == 0)]
    with start(LabOptions(enforce=False), ephemeral=True) as lab:
        results = await results_on(lab, cases, pace=PACE if ALL else replace(PACE, canary_s=1.0))
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
