"""`netprobe run`: what its options refuse before a cluster is contacted, and when the report is printed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from netprobe.run.record import ClusterInfo, Report, RunInfo
from tests.cli.conftest import Program

TWO_TIER = "manifests/two-tier/suite.yaml"


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
