"""What happens to an example when one thing in it is changed, as somebody who tries it out would."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from netprobe.cli import main
from netprobe.policies.networkpolicy import validate_policy
from tests.scenarios import MANIFESTS, SCENARIOS, Scenario
from tests.scenarios.rows import Key, Row, rows


@pytest.fixture
def two_tier(tmp_path: Path) -> Path:
    """A copy of the example to change."""
    return Path(shutil.copytree(MANIFESTS / "two-tier", tmp_path / "two-tier"))


def simulated(suite: Path, capsys: pytest.CaptureFixture[str], status: int) -> dict[Key, Row]:
    assert main(["simulate", str(suite), "-o", "json"]) == status
    return rows(json.loads(capsys.readouterr().out))


def replace_once(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


def test_an_expectation_turned_round_names_what_allows(
    two_tier: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    replace_once(
        two_tier / "suite.yaml",
        "{from: backend/api, to: database/pg, port: 5432, verdict: allow}",
        "{from: backend/api, to: database/pg, port: 5432, verdict: deny}",
    )
    row = simulated(two_tier / "suite.yaml", capsys, 1)[Key("backend/api", "database/pg", "5432/TCP", 0)]
    assert (row.declared, row.simulated, row.status) == ("deny", "allow", "mismatch")
    assert row.causes == {"database/allow-api ingress allows rule 0 peer 0"}


def test_the_rule_that_is_named_taken_away_turns_the_verdict(
    two_tier: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = two_tier / "policies" / "allow-api.yaml"
    policy: dict[str, Any] = yaml.safe_load(path.read_text())
    del policy["spec"]["ingress"][0]
    path.write_text(yaml.safe_dump(policy))
    row = simulated(two_tier / "suite.yaml", capsys, 1)[Key("backend/api", "database/pg", "5432/TCP", 0)]
    assert (row.declared, row.simulated) == ("allow", "deny")
    assert row.causes == {"database/allow-api ingress isolates", "database/default-deny ingress isolates"}


def test_without_the_default_deny_the_database_talks_and_stays_closed(
    two_tier: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (two_tier / "policies" / "default-deny.yaml").unlink()
    table = simulated(two_tier / "suite.yaml", capsys, 1)
    differing = {
        (key.source, key.destination, key.port) for key, row in table.items() if row.status == "mismatch"
    }
    assert differing == {
        ("database/pg", "backend/api", "8080/TCP"),
        ("database/pg", "frontend/web", "80/TCP"),
    }
    assert table[Key("frontend/web", "database/pg", "5432/TCP", 0)].simulated == "deny"


@pytest.mark.parametrize("scenario", [pytest.param(scenario, id=scenario.name) for scenario in SCENARIOS])
def test_policies_can_be_applied_as_they_are(scenario: Scenario) -> None:
    """They name their namespace, but for the one that is meant to land where it is applied."""
    files = sorted((MANIFESTS / scenario.name / "policies").glob("*.yaml"))
    assert files
    for path in files:
        for policy in yaml.safe_load_all(path.read_text()):
            assert validate_policy(policy) == [], path
            assert ("namespace" in policy["metadata"]) is (scenario.name != "ci-runners"), path
