"""The reason in one line names rule and action of every kind, not isolation only."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from netprobe.cli import main

MANIFESTS = Path(__file__).parents[2] / "manifests"


def test_a_deny_rule_is_named_with_its_kind(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", str(MANIFESTS / "platform-guardrails-mistake" / "suite.yaml")]) == 1
    shown = capsys.readouterr().out
    assert "ingress: ClusterNetworkPolicy closed-by-default denies it by rule 0" in shown
    assert "no policy isolates" not in shown


def test_causes_have_effect_and_kind(capsys: pytest.CaptureFixture[str]) -> None:
    main(["simulate", str(MANIFESTS / "calico-tiers" / "suite.yaml"), "-o", "json"])
    causes = [cause for flow in json.loads(capsys.readouterr().out)["flows"] for cause in flow["because"]]
    assert {"denies", "passes", "allows"} <= {cause["effect"] for cause in causes}
    assert "GlobalNetworkPolicy" in {cause["kind"] for cause in causes}
