"""Every mutant is found out: by sets on all cases, and by packets of a lab on the first case that finds it.

By packets the lab itself is unchanged: what it is given is changed on the way, by `Wrong`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from netprobe.conformance.case import Case
from netprobe.conformance.cells import probed_cells
from netprobe.conformance.fixture_map import fictional_map
from netprobe.conformance.load import builtin
from netprobe.conformance.result import CaseStatus
from netprobe.conformance.runner import Runner
from netprobe.conformance.shard import cell_of
from netprobe.kube import connect
from netprobe.lab import LabOptions, start
from netprobe.manifests import from_objects
from netprobe.model.objects import Object
from netprobe.probe import Pace
from netprobe.simulate import Simulator
from tests.conformance.mutants import MUTANTS, mutated

SITE = fictional_map()


@cache
def found_by(mutant: str) -> Case | None:
    """The first case that can be tried anywhere and in which the mutant shows, under the mutant's name.

    Two mutants may be found by one case; and which cells are asked for follows from a case's name.
    """
    renamed = (replace(case, name=mutant) for case in builtin() if not case.needs)
    return next((case for case in renamed if shows(case, mutant)), None)


def shows(case: Case, mutant: str) -> bool:
    return bool(showing(case, mutant))


def showing(case: Case, mutant: str) -> set[str]:
    """The ports of the first moment in which the mutant gets anything wrong."""
    if case.undefined is not None:
        return set()
    for moment in case.steps:
        meant = SITE.policies(moment)
        policies = [mutated(policy, mutant) for policy in meant]
        if policies == meant and mutant != "none":
            continue
        simulator = Simulator(from_objects([*SITE.objects(case, moment), *policies]))
        wrong = {
            cell_of(case, flow).port
            for flow, verdict in SITE.declared(moment, probed_cells(case)).items()
            for decision in (simulator.decide(flow),)
            if decision.undefined is None and decision.verdict is not verdict
        }
        if wrong:
            return wrong
    return set()


def narrowed(mutant: str) -> Case:
    """The case that finds a mutant, on one port where it shows: that is less to probe."""
    case = found_by(mutant)
    assert case is not None
    port = min(showing(case, mutant))
    return replace(case, scope=replace(case.scope, ports=(port,)))


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_case_finds_the_mutant(mutant: str) -> None:
    assert found_by(mutant) is not None


def test_no_mutant_is_the_cluster_as_it_should_be() -> None:
    """A guard for `shows`: without a mutation no case finds anything."""
    MUTANTS["none"] = lambda _: None
    try:
        assert not [case.name for case in builtin()[::10] if shows(case, "none")]
    finally:
        del MUTANTS["none"]


class Wrong:
    """A cluster whose policies arrive changed: case number n is read by mutant number n."""

    def __init__(self, cluster: Any, mutants: Sequence[str]) -> None:
        self._cluster = cluster
        self._mutants = mutants

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cluster, name)

    async def apply(self, obj: Object, **options: Any) -> Any:
        number = re.match(r"c(\d+)-", obj["metadata"]["name"])
        if obj["kind"] == "NetworkPolicy" and number:
            obj = mutated(obj, self._mutants[int(number[1])])
        return await self._cluster.apply(obj, **options)


@pytest.mark.lab
async def test_packets_find_the_mutants() -> None:
    mutants = list(MUTANTS)
    cases = [narrowed(mutant) for mutant in mutants]
    lab = start(LabOptions(name="conformance-mutants"), ephemeral=True)
    try:
        async with connect(str(lab.kubeconfig)) as cluster:
            pace = Pace().on_lab()
            wrong: Any = Wrong(cluster, mutants)
            results = await Runner(wrong, cases, fixtures=4, lab=True, disposable=True, pace=pace).results()
    finally:
        lab.stop()
    assert {result.case.name: result.status for result in results.results} == dict.fromkeys(
        mutants, CaseStatus.FAILED
    )
