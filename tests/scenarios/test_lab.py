"""Each scenario on the lab: a run ends as promised, and every packet does what the simulator says."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.scenarios import SCENARIOS, Scenario
from tests.scenarios.rows import rows

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("lab")]


@pytest.mark.parametrize("scenario", [pytest.param(scenario, id=scenario.name) for scenario in SCENARIOS])
def test_the_lab_agrees_flow_for_flow(scenario: Scenario) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "netprobe", "run", str(scenario.suite), "-o", "json"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == scenario.status, run.stderr or run.stdout
    table = rows(json.loads(run.stdout))
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
