"""Each scenario on a lab: a run ends as promised, and every packet does what the simulator says."""

from __future__ import annotations

import pytest

from netprobe.lab import Lab
from tests.run.netprobe import called
from tests.scenarios import EACH, Scenario
from tests.scenarios.rows import rows

pytestmark = pytest.mark.lab


@EACH
def test_the_lab_agrees_flow_for_flow(
    scenario: Scenario, lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = called(capsys, "run", scenario.suite, "--lab", lab.name, "-o", "json")
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
