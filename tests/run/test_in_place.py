"""Runs in place on the lab: the same code as on any cluster, in seconds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest

from netprobe.lab import Lab
from tests.cluster.neighbours import SUITE, WORKLOADS
from tests.manifest_text import policy
from tests.run.netprobe import ROOT, kubectl, netprobe, objects

pytestmark = pytest.mark.lab


def placed(text: str) -> str:
    return text.replace("SHOP", "place-shop").replace("DATA", "place-data")


@pytest.fixture(scope="module")
def inhabited(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab with workloads in it; all of them running."""
    path = tmp_path_factory.mktemp("workloads") / "workloads.yaml"
    path.write_text(placed(WORKLOADS.read_text()))
    kubeconfig = str(lab.kubeconfig)
    kubectl(kubeconfig, "apply", "-f", str(path))
    for where, what in (("place-shop", "deployment/web"), ("place-shop", "deployment/batch")):
        kubectl(kubeconfig, "-n", where, "rollout", "status", what, "--timeout=120s")
    kubectl(kubeconfig, "-n", "place-data", "rollout", "status", "sts/db", "--timeout=120s")
    yield lab
    kubectl(kubeconfig, "delete", "namespace", "place-shop", "place-data")


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    path = tmp_path / "suite.yaml"
    rows = [line for line in placed(SUITE).splitlines() if "from: place-data/db" not in line]
    path.write_text("\n".join(rows) + "\n")
    return path


def test_real_pods_are_probed_and_everything_is_as_it_was(inhabited: Lab, suite: Path) -> None:
    before = objects(inhabited)
    ended = netprobe("run", suite, "--in-place", "--lab", inhabited.name, "-o", "json", "--via", "dns")
    assert ended.status == 0, ended.err or ended.out
    assert objects(inhabited) == before
    schema = json.loads((ROOT / "docs" / "report.schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(ended.report)
    denied = [row for row in ended.report["flows"] if row["observed"] == "deny"]
    assert {row["via"] for row in denied} == {"pod", "service", "dns"}
    assert {row["control"]["path"] for row in denied} == {"pair"}


def test_a_policy_is_tried_before_it_is_applied(inhabited: Lab, tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(
        policy(
            "{podSelector: {matchLabels: {app: batch}}, ingress: [{from: "
            "[{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: place-data}}}]}]}",
            name="close",
            namespace="place-shop",
        )
    )
    before = objects(inhabited)
    options = ("--in-place", "--shadow-namespace", "--lab", inhabited.name, "-o", "json")
    ended = netprobe("run", "-f", path, *options)
    assert ended.status == 0, ended.err or ended.out
    assert objects(inhabited) == before
    closed = [
        row for row in ended.report["flows"] if row["observed"] == "deny" and "place-shop/batch" in row["to"]
    ]
    assert closed, "the new policy closes what was open"
    assert {row["control"]["path"] for row in closed} == {"baseline"}
    skipped = [row for row in ended.report["flows"] if row["status"] == "skipped"]
    assert [row["from"] for row in skipped] == ["place-data/db-0"]
    assert "kubernetes.io/metadata.name" in skipped[0]["reason"]
    assert any("was copied as" in note for note in ended.report["in_place"]["notes"])


def test_if_an_address_block_distinguishes_them_the_shadow_pod_does_not_substitute(
    inhabited: Lab, suite: Path, tmp_path: Path
) -> None:
    kubeconfig = str(inhabited.kubeconfig)
    where = ("get", "pods", "-n", "place-shop", "-l", "app=batch", "-o", "jsonpath={.items[0].status.podIP}")
    path, address = tmp_path / "policy.yaml", kubectl(kubeconfig, *where)
    path.write_text(
        policy(
            "{podSelector: {matchLabels: {app: db}}, "
            f"ingress: [{{from: [{{ipBlock: {{cidr: {address}/32}}}}]}}]}}",
            name="one-address",
            namespace="place-data",
        )
    )
    suite.write_text(suite.read_text().replace("verdict: deny", "verdict: allow"))
    kubectl(kubeconfig, "apply", "-f", str(path))
    try:
        ended = netprobe("run", suite, "--in-place", "--lab", inhabited.name, "-o", "json")
    finally:
        kubectl(kubeconfig, "delete", "-f", str(path))
    rows = [row for row in ended.report["flows"] if row["from"].startswith("place-shop/batch")]
    assert rows
    for row in rows:
        assert (row["simulated"], row["observed"]) == ("allow", None)
        assert row["reason"].startswith("skipped: an ipBlock distinguishes the addresses")
    assert ended.status == 0, "simulated only, and as declared"


def test_a_dry_run_prints_and_creates_nothing(inhabited: Lab, suite: Path) -> None:
    before = objects(inhabited)
    ended = netprobe("run", suite, "--in-place", "--dry-run", "--lab", inhabited.name)
    assert ended.status == 0, ended.err
    assert objects(inhabited) == before
    assert "readinessGates" in ended.out
    assert "# seen by: Service place-shop/web" in ended.out
