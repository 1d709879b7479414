"""What `netprobe run` says of each fault of the network: that it cannot tell, or what is true; never a wrong
DENY, never a wrong pass.

The faults of execs, of the API and of pods that restart are in tests/run/test_faults.py, a cluster that
enforces nothing, or late, or by refusing, in tests/run/test_main_job.py.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from netprobe.lab import Lab
from tests.run.netprobe import TWO_TIER, Ended, called

pytestmark = pytest.mark.lab

Bend = Callable[[str, str, str], Ended]
PG = "{name: pg, labels: {app: postgres}"
DENIED = [("frontend/web", 5432), ("frontend/web", 9187), ("backend/api", 9187)]
"""What may not reach database/pg."""


@pytest.fixture
def run(lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Bend:
    """The first example with one text of one of its files replaced by another."""

    def bent(file: str, old: str, new: str) -> Ended:
        folder = tmp_path / "two-tier"
        shutil.copytree(TWO_TIER.parent, folder)
        text = (folder / file).read_text()
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {file}"
        (folder / file).write_text(text.replace(old, new))
        given = ("--lab", lab.name, "-o", "json", "--request-timeout", "4s")
        return called(capsys, "run", folder / "suite.yaml", *given)

    return bent


def with_annotation(name: str, fault: str) -> str:
    return f"annotations: {{netprobe.dev/fault-missed: {fault}}}\n  name: {name}"


def test_a_port_that_nobody_serves_is_unknown(run: Bend) -> None:
    ended = run("suite.yaml", PG, f"{PG}, annotations: {{netprobe.dev/fault-listener: dead}}")
    assert ended.status == 3, ended.err or ended.out
    to_pg = [row for row in ended.report["flows"] if row["to"] == "database/pg"]
    assert len(to_pg) == 4
    assert {(row["status"], row["observed"]) for row in to_pg} == {("unknown", "unknown")}
    assert {row["reason"].partition(":")[0] for row in to_pg} == {"path", "listener"}
    others = [row for row in ended.report["flows"] if row not in to_pg]
    assert {row["status"] for row in others} == {"as_expected"}


def test_a_policy_that_is_missed_is_a_mismatch(run: Bend) -> None:
    """default-deny alone closes the database's egress; its ingress is closed by the other policy as well."""
    ended = run("policies/default-deny.yaml", "name: default-deny", with_annotation("default-deny", "policy"))
    assert ended.status == 1, ended.err or ended.out
    for target, port in (("frontend/web", 80), ("backend/api", 8080)):
        row = ended.flow("database/pg", target, port)
        assert (row["status"], row["simulated"], row["observed"]) == ("mismatch", "deny", "allow")
    for source, port in DENIED:
        assert ended.flow(source, "database/pg", port)["status"] == "as_expected"
    assert ended.report["summary"]["mismatches"] == 2


def test_a_rule_of_ingress_that_is_missed_is_a_mismatch(run: Bend) -> None:
    """The cluster does deny what the policies allow, and both controls show that it is the cluster."""
    ended = run("policies/allow-api.yaml", "name: allow-api", with_annotation("allow-api", "ingress=0"))
    assert ended.status == 1, ended.err or ended.out
    row = ended.flow("backend/api", "database/pg", 5432)
    assert (row["status"], row["simulated"], row["observed"]) == ("mismatch", "allow", "deny")
    assert row["control"] == {"listener": "self", "path": "baseline"}
    assert ended.report["summary"]["mismatches"] == 1
