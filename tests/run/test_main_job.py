"""`netprobe run` from command to exit status, on the lab."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from netprobe.lab import Lab
from tests.run.netprobe import TWO_TIER, netprobe, objects, on

pytestmark = pytest.mark.lab

Bend = Callable[..., Path]


def test_the_first_example_ends_well_in_four_columns() -> None:
    """Without any option: on a lab made for the run."""
    ended = netprobe("run", TWO_TIER)
    assert ended.status == 0, ended.err
    lines = [line.split() for line in ended.out.splitlines()]
    assert ["From", "To", "Port", "Result"] in lines
    assert ["frontend/web", "database/pg", "5432", "DENY"] in lines
    assert ["backend/api", "database/pg", "5432", "ALLOW"] in lines


def test_a_wrong_expectation_is_blamed_on_policy_rule_and_side(lab: Lab, two_tier: Bend) -> None:
    suite = two_tier(("port: 5432, verdict: allow", "port: 5432, verdict: deny"))
    table = suite.parent / "table.txt"
    ended = netprobe("run", suite, "--lab", lab.name, "-o", "json", "--report", f"table={table}")
    assert ended.status == 1
    assert "MISMATCH backend/api -> database/pg 5432" in table.read_text()
    assert "ingress[0].from[0]" in table.read_text()
    row = ended.flow("backend/api", "database/pg", 5432)
    assert row["status"] == "mismatch"
    (cause,) = row["because"]
    assert {**cause, "file": Path(cause["file"]).name} == {
        "direction": "ingress",
        "tier": "default",
        "kind": "NetworkPolicy",
        "policy": "database/allow-api",
        "rule": 0,
        "peer": 0,
        "effect": "allows",
        "file": "allow-api.yaml",
        "line": 13,
    }
    assert [r for r in ended.report["flows"] if r["status"] == "mismatch"] == [row]

    # What it blames is the cause: without the policy the flow is denied, as this suite declares.
    (suite.parent / "policies" / "allow-api.yaml").unlink()
    again = netprobe("run", suite, "--lab", lab.name, "-o", "json")
    assert again.status == 0, again.out
    assert again.flow("backend/api", "database/pg", 5432)["observed"] == "deny"


def test_no_enforcement_is_found_by_probes_and_not_by_the_flag(two_tier: Bend) -> None:
    """A suite without any DENY would pass on such a cluster, were it not for the canaries."""
    suite = two_tier(("policies: [policies/]", "policies: []"))
    text = suite.read_text()
    suite.write_text(text[: text.index("expect:")] + "expect: {default: allow}\n")
    ended = netprobe("run", suite, "--lab-no-enforcement")
    assert ended.status == 1
    (top,) = [line for line in ended.out.splitlines() if "enforces no NetworkPolicy" in line]
    assert ended.out.index(top) < ended.out.index("From")


def test_a_slow_cluster_that_rejects_is_waited_for_and_timed() -> None:
    """How exactly it is timed: benchmarks/."""
    options = ("--lab-deny-with", "reject", "--lab-nodes", 2, "--lab-lag", "700ms")
    ended = netprobe("run", TWO_TIER, *options, "-o", "json")
    assert ended.report["cluster"]["nodes"] == 2
    assert ended.status == 0, ended.out
    assert ended.report["steps"][0]["converged_s"] > 0.6
    row = ended.flow("frontend/web", "database/pg", 5432)
    assert (row["observed"], row["outcome"]) == ("deny", "refused")
    assert row["control"] == {"listener": "self", "path": "baseline"}


def test_a_run_on_a_named_lab_leaves_it_as_it_was(lab: Lab) -> None:
    before = objects(lab)
    ended = netprobe("run", "--kubeconfig", lab.kubeconfig, TWO_TIER, "-o", "json")
    assert ended.status == 0, ended.err or ended.out
    assert ended.report["cluster"]["kind"] == "lab"
    assert ended.report["steps"][0]["name"] == "policies applied"
    row = ended.flow("frontend/web", "database/pg", 5432)
    assert (row["observed"], row["outcome"]) == ("deny", "timed_out")
    assert row["control"] == {"listener": "self", "path": "baseline"}
    assert objects(lab) == before


def test_a_namespace_of_somebody_else_is_neither_used_nor_deleted(lab: Lab) -> None:
    theirs = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "database"}}
    on(lab, lambda cluster: cluster.create(theirs))
    try:
        ended = netprobe("run", "--lab", lab.name, TWO_TIER)
        assert ended.status == 3
        assert "database" in ended.err
        assert "was not created by netprobe" in ended.err
        left = {obj["metadata"]["name"] for obj in on(lab, lambda cluster: cluster.find("Namespace"))}
        assert {"database", "frontend"} & left == {"database"}
    finally:
        on(lab, lambda cluster: cluster.delete("Namespace", "database"))
