"""Scenarios on a lab: a run ends as promised, and every packet does what the simulator says.

`make test` runs one for each kind of policy, one with steps and one with hosts outside; `make conformance`
(NETPROBE_CONFORMANCE=all) runs every one.
"""

from __future__ import annotations

import os

import pytest

from netprobe.lab import Lab
from tests.run.netprobe import netprobe
from tests.scenarios import SCENARIOS, Scenario
from tests.scenarios.rows import rows

pytestmark = pytest.mark.lab

ALL = os.environ.get("NETPROBE_CONFORMANCE") == "all"
FEW = {"production-mistake", "namespace-labels", "platform-guardrails", "calico-tiers"}


@pytest.mark.parametrize(
    "scenario", [one for one in SCENARIOS if ALL or one.name in FEW], ids=lambda one: one.name
)
def test_the_lab_agrees_flow_for_flow(scenario: Scenario, lab: Lab) -> None:
    ended = netprobe("run", scenario.suite, "--lab", lab.name, "-o", "json")
    assert ended.status == scenario.status, ended.err or ended.out
    table = rows(ended.report)
    assert len(table) == scenario.flows
    assert {key: row.observed for key, row in table.items()} == {
        key: row.simulated for key, row in table.items()
    }
    differing = {
        f"{key.source} {key.destination} {key.port}"
        for key, row in table.items()
        if row.status != "as_expected"
    }
    assert differing == scenario.differences.keys()
