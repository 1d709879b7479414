"""Each scenario on the lab: a run ends as promised, and every packet does what the simulator says."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.scenarios import MANIFESTS, SCENARIOS, Scenario
from tests.scenarios.rows import Key, Row, rows

pytestmark = pytest.mark.lab


def run(suite: Path, status: int) -> dict[Key, Row]:
    """The rows of a run on a lab of its own; the exit status must be the promised one."""
    done = subprocess.run(
        [sys.executable, "-m", "netprobe", "run", str(suite), "-o", "json"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == status, done.stderr or done.stdout
    return rows(json.loads(done.stdout))


@pytest.mark.parametrize("scenario", [pytest.param(scenario, id=scenario.name) for scenario in SCENARIOS])
def test_the_lab_agrees_flow_for_flow(scenario: Scenario) -> None:
    table = run(scenario.suite, scenario.status)
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


def test_a_policy_that_is_missing_shows_in_all_three_tables(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(MANIFESTS / "two-tier", tmp_path / "two-tier"))
    (folder / "policies" / "default-deny.yaml").unlink()
    table = run(folder / "suite.yaml", 1)
    opened = table[Key("database/pg", "backend/api", "8080/TCP", 0)]
    assert (opened.declared, opened.simulated, opened.observed) == ("deny", "allow", "allow")
    closed = table[Key("frontend/web", "database/pg", "5432/TCP", 0)]
    assert (closed.declared, closed.simulated, closed.observed) == ("deny", "deny", "deny")
