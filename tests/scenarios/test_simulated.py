"""Each scenario without a cluster: `netprobe simulate SUITE` says what was meant, mistakes excepted."""

from __future__ import annotations

import json

import pytest
import yaml

from netprobe.cli import main
from netprobe.policies.kinds import NETWORK_POLICY, kind_of
from tests.policies.reading import refused
from tests.scenarios import EACH, MANIFESTS, SCENARIOS, Scenario
from tests.scenarios.rows import facts, rows


@EACH
def test_the_policies_say_what_the_scenario_is_about(
    scenario: Scenario, capsys: pytest.CaptureFixture[str]
) -> None:
    status = main(["simulate", str(scenario.suite), "-o", "json"])
    captured = capsys.readouterr()
    assert status == scenario.status, captured.err or captured.out
    table = rows(json.loads(captured.out))
    assert len(table) == scenario.flows
    assert all(row.declared is not None for row in table.values())
    wanted = facts(scenario.facts)
    assert {key: table[key].simulated for key in wanted} == wanted
    differing = {
        f"{key.source} {key.destination} {key.port}": row.causes
        for key, row in table.items()
        if row.declared != row.simulated or row.status != "as_expected"
    }
    assert differing == scenario.differences, "each with the policy, rule and peer that cause it"
    if scenario.name == "no-cluster":
        assert list(table) == list(wanted), "rows without a default keep their order"


def test_every_folder_is_a_scenario() -> None:
    assert {path.parent.name for path in MANIFESTS.glob("*/suite.yaml")} == {
        scenario.name for scenario in SCENARIOS
    }


def test_policies_can_be_applied_as_they_are() -> None:
    """They name their namespace, but for the one that is meant to land where it is applied."""
    for scenario in SCENARIOS:
        files = sorted((MANIFESTS / scenario.name / "policies").glob("*.yaml"))
        assert files, scenario.name
        for path in files:
            for policy in yaml.safe_load_all(path.read_text()):
                assert refused(policy) == [], path
                if kind_of(policy["apiVersion"], policy["kind"]) is NETWORK_POLICY:
                    assert ("namespace" in policy["metadata"]) is (scenario.name != "ci-runners"), path
