"""`--placement` on a real cluster: packets within a node and between two take different ways."""

from __future__ import annotations

import pytest

from tests.cluster.account import kubectl
from tests.run.netprobe import TWO_TIER, netprobe


def test_both_placements_and_policies_hold_on_each(kubeconfig: str) -> None:
    if len(kubectl(kubeconfig, "get", "nodes", "-o", "name").split()) < 2:
        pytest.skip("this cluster has one node")
    ended = netprobe("run", TWO_TIER, "--placement", "both", "--kubeconfig", kubeconfig, "-o", "json")
    assert ended.status == 0, ended.err or ended.out
    rows = ended.report["flows"]
    assert {row["placement"] for row in rows} == {"same-node", "other-node"}
    for row in rows:
        assert (row["from_node"] == row["to_node"]) == (row["placement"] == "same-node")
        assert row["observed"] == row["simulated"], row
    assert {"allow", "deny"} == {row["observed"] for row in rows if row["placement"] == "other-node"}
