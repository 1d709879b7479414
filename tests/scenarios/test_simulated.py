"""Each scenario without a cluster: `netprobe simulate SUITE` says what was meant, mistakes excepted."""

from __future__ import annotations

import json

import pytest

from netprobe.cli import main
from tests.scenarios import MANIFESTS, SCENARIOS, Scenario
from tests.scenarios.rows import Key, Row, facts, rows

EACH = pytest.mark.parametrize(
    "scenario", [pytest.param(scenario, id=scenario.name) for scenario in SCENARIOS]
)


def simulated(scenario: Scenario, capsys: pytest.CaptureFixture[str]) -> dict[Key, Row]:
    """The rows of the report; the exit status must be the promised one."""
    status = main(["simulate", str(scenario.suite), "-o", "json"])
    captured = capsys.readouterr()
    assert status == scenario.status, captured.err or captured.out
    return rows(json.loads(captured.out))


@EACH
def test_every_flow_is_declared_and_the_policies_say_so(
    scenario: Scenario, capsys: pytest.CaptureFixture[str]
) -> None:
    table = simulated(scenario, capsys)
    assert len(table) == scenario.flows
    assert all(row.declared is not None for row in table.values())
    differing = {
        f"{key.source} {key.destination} {key.port}"
        for key, row in table.items()
        if row.declared != row.simulated
    }
    assert differing == scenario.differences.keys()


@EACH
def test_the_policies_say_what_the_scenario_is_about(
    scenario: Scenario, capsys: pytest.CaptureFixture[str]
) -> None:
    table = simulated(scenario, capsys)
    wanted = facts(scenario.facts)
    assert {key: table[key].simulated for key in wanted} == wanted


@EACH
def test_a_difference_names_policy_rule_and_peer(
    scenario: Scenario, capsys: pytest.CaptureFixture[str]
) -> None:
    table = simulated(scenario, capsys)
    named = {
        f"{key.source} {key.destination} {key.port}": row.causes
        for key, row in table.items()
        if row.status == "mismatch"
    }
    assert named == scenario.differences


def test_rows_without_a_default_come_in_their_order(capsys: pytest.CaptureFixture[str]) -> None:
    scenario = next(scenario for scenario in SCENARIOS if scenario.name == "no-cluster")
    assert list(simulated(scenario, capsys)) == list(facts(scenario.facts))


def test_every_folder_is_a_scenario() -> None:
    assert {path.parent.name for path in MANIFESTS.glob("*/suite.yaml")} == {
        scenario.name for scenario in SCENARIOS
    }
