"""`netprobe run`: what its options refuse before a cluster is contacted, and when the report is printed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from netprobe.run.record import ClusterInfo, Report, RunInfo
from tests.cli.conftest import Program
from tests.run.crowd import SUITE, suite

TWO_TIER = "manifests/two-tier/suite.yaml"
POLICY = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "p", "namespace": "shop"},
    "spec": {"podSelector": {}},
}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{s}"], "needs an existing cluster"),
        (["{s}", "--in-place"], "needs an existing cluster"),
        (["{s}", "--shadow-namespace"], "it needs --in-place too"),
        (["{s}", "-f", "x.yaml"], "it needs --in-place --shadow-namespace"),
        (["{s}", "--in-place", "--lifetime", "1s"], "must be at least 10s"),
        (
            ["{s}", "--in-place", "--shadow-namespace", "--kubeconfig", "x"],
            "name them with -f, or in the suite",
        ),
        (
            ["{s}", "--in-place", "--placement", "same", "--context", "x"],
            "--placement cannot be used in place",
        ),
        ([TWO_TIER, "--dry-run"], "--dry-run needs --in-place"),
        ([TWO_TIER, "--lab", "x", "--context", "y"], "two different clusters"),
        ([TWO_TIER, "--lab", "x", "--lab-lag", "1s"], "--lab-lag needs a lab made for this run"),
        ([], "SUITE"),
    ],
)
def test_options_that_do_not_go_together(
    program: Program, tmp_path: Path, arguments: list[str], message: str
) -> None:
    path = str(suite(tmp_path))
    ended = program("run", *(text.format(s=path) for text in arguments))
    assert ended.returncode == 2, ended.stderr
    assert message in ended.stderr


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("steps: [{name: label it, do: [{label: {namespace: shop, set: {a: b}}}]}]", "(label it)"),
        ("policies: [policy.yaml]", "an in-place run applies none"),
    ],
)
def test_a_run_in_place_changes_nothing_of_the_cluster(
    program: Program, tmp_path: Path, more: str, message: str
) -> None:
    (tmp_path / "policy.yaml").write_text(yaml.safe_dump(POLICY))
    path = suite(tmp_path, f"{SUITE}{more}\n")
    ended = program("run", str(path), "--in-place", "--kubeconfig", "/nonexistent")
    assert ended.returncode == 2
    assert message in ended.stderr


def test_the_report_is_printed_before_the_removal_whose_failure_is_reported_after_it(
    program: Program, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    printed = []

    async def run(_: Any, __: Any, progress: Callable[[str], None], on_report: Any) -> Report:
        report = Report("two-tier", ClusterInfo(), RunInfo.since(datetime.now(UTC)), ())
        on_report(report)
        printed.append(capsys.readouterr().out)
        progress("removing")
        return replace(report, problems=("two namespaces are left",))

    monkeypatch.setattr("netprobe.run.driver.run", run)
    ended = program("run", TWO_TIER, "--context", "anything")
    assert printed == ["two-tier, simulated\n\n0 flows (0.0 s)\n"]
    assert (ended.returncode, ended.stdout) == (3, "")
    assert ended.stderr == "netprobe: two namespaces are left\n"
