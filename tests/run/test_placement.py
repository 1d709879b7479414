"""`--placement`: flows from the destination's node and from another, as rows of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from netprobe.lab import Lab
from tests.manifest_text import policy
from tests.run.netprobe import TWO_TIER, kubectl, netprobe

RELABELLED = """
apiVersion: netprobe/v1alpha1
kind: ConnectivitySuite
metadata: {name: relabelled}
topology:
  namespaces:
    - name: shop
      pods:
        - {name: client, labels: {app: stranger}}
        - {name: server, labels: {app: server}, ports: [80]}
policies: [policy.yaml]
expect:
  flows: [{from: shop/client, to: shop/server, port: 80, verdict: deny}]
steps:
  - name: a friend now
    do: [{label: {pod: shop/client, set: {app: friend}}}]
    expect:
      flows: [{from: shop/client, to: shop/server, port: 80, verdict: allow}]
"""
POLICY = policy(
    "{podSelector: {matchLabels: {app: server}}, "
    "ingress: [{from: [{podSelector: {matchLabels: {app: friend}}}]}]}",
    name="friends",
)


@pytest.mark.lab
def test_both_are_rows_of_their_own_and_a_twin_follows_its_pod_s_labels(tmp_path: Path, lab: Lab) -> None:
    suite = tmp_path / "suite.yaml"
    suite.write_text(RELABELLED)
    (tmp_path / "policy.yaml").write_text(POLICY)
    matrix = tmp_path / "matrix.txt"
    options = ("--placement", "both", "--lab", lab.name, "-o", "json", "--report", f"wide={matrix}")
    ended = netprobe("run", suite, *options)
    assert ended.status == 0, ended.err or ended.out
    rows = [
        (row["step"], row["placement"], row["from_node"] == row["to_node"], row["observed"])
        for row in ended.report["flows"]
    ]
    assert rows == [
        (0, "same-node", True, "deny"),
        (0, "other-node", False, "deny"),
        (1, "same-node", True, "allow"),
        (1, "other-node", False, "allow"),
    ]
    assert "shop/server 80 (same node)" in matrix.read_text()
    assert "80 (other node)" in matrix.read_text()


def test_who_places_pods_otherwise_is_reported(tmp_path: Path) -> None:
    suite = tmp_path / "suite.yaml"
    suite.write_text(RELABELLED.replace("labels: {app: server}", "labels: {app: server}, node: n1"))
    (tmp_path / "policy.yaml").write_text(POLICY)
    pinned = netprobe("run", suite, "--placement", "same")
    assert (pinned.status, "the suite sets some: shop/server" in pinned.err) == (2, True)


@pytest.mark.lab
def test_one_node_that_accepts_pods_is_too_few_for_other(lab: Lab) -> None:
    kubectl(lab.kubeconfig, "cordon", "n2")
    try:
        ended = netprobe("run", TWO_TIER, "--placement", "other", "--lab", lab.name)
    finally:
        kubectl(lab.kubeconfig, "uncordon", "n2")
    assert ended.status == 3
    assert "--placement needs 2 nodes that accept pods, but there are 1: " in ended.err
