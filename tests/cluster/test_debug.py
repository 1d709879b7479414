"""`netprobe debug` on a real cluster, with the same faults as on the lab where that is possible."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from netprobe.run.target import ClusterChoice
from tests.cluster.account import kubectl
from tests.debug.faults import Given, ask_all, check
from tests.debug.test_causes import CAUSES, TOGETHER

ONLY_ON_A_LAB = {"not-enforced"}
"""By annotations that only a lab knows."""

WITH_CALICO = {"other-policy"}


def is_possible(name: str, *, calico: bool) -> bool:
    names = set(name.split())
    return not names & ONLY_ON_A_LAB and (calico or not names & WITH_CALICO)


@pytest.fixture(scope="module")
def given(kubeconfig: str) -> Mapping[str, Given]:
    calico = "globalnetworkpolicies" in kubectl(kubeconfig, "api-resources", "-o", "name")
    names = [name for name in (*CAUSES, *TOGETHER) if is_possible(name, calico=calico)]
    return asyncio.run(ask_all(kubeconfig, ClusterChoice(kubeconfig), names))


@pytest.mark.parametrize("name", [name for name in CAUSES if name not in ONLY_ON_A_LAB])
def test_the_first_cause_is_the_right_one(given: Mapping[str, Given], name: str) -> None:
    if name not in given:
        pytest.skip("this cluster does not serve Calico's policies")
    check(given[name], CAUSES[name])


@pytest.mark.parametrize("names", TOGETHER)
def test_of_two_faults_the_earlier_is_named_first(given: Mapping[str, Given], names: str) -> None:
    if names not in given:
        pytest.skip("this cluster does not serve Calico's policies")
    assert tuple(name for name, _ in given[names].answer.causes) == TOGETHER[names]
