"""`netprobe doctor` on a real cluster: as administrator, as the published account, and as nobody."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any

import pytest
import yaml

from netprobe.cli import main
from netprobe.kube.client import KubeCluster
from netprobe.probe.permission import FIXTURE
from tests.cluster.account import account, published
from tests.run.netprobe import Ended, kubectl, netprobe


def checks(ended: Ended) -> dict[str, dict[str, Any]]:
    return {check["name"]: check for check in json.loads(ended.out)["checks"]}


def nothing_left(admin: str) -> None:
    assert "netprobe-doctor-" not in kubectl(admin, "get", "namespaces", "-o", "name")


def test_a_cluster_that_enforces(kubeconfig: str) -> None:
    ended = netprobe("doctor", "--kubeconfig", kubeconfig, "-o", "json")
    assert ended.status == 0, ended.out + ended.err
    seen = checks(ended)
    assert seen["ingress"]["evidence"].startswith("enforced: a deny-all closed all ")
    assert seen["egress"]["evidence"].startswith("enforced: a deny-all closed all ")
    assert seen["DNS"]["status"] == "ok"
    assert "from a pod with hostNetwork" in seen["host network"]["evidence"]
    assert seen["clocks"]["status"] == "ok", "every clock of this cluster is this machine's"
    nothing_left(kubeconfig)


def test_what_it_prints_is_what_is_missing(kubeconfig: str, tmp_path: Path) -> None:
    """An account without any role: the YAML, applied by an administrator, makes it one that can run."""
    bare = [doc for doc in published("fixture.yaml") if doc["kind"] in {"Namespace", "ServiceAccount"}]
    name = f"netprobe-missing-{secrets.token_hex(3)}"
    with account(kubeconfig, bare, tmp_path) as user:
        before = netprobe("doctor", "--kubeconfig", user.kubeconfig)
        assert before.status == 3
        assert f"{user.name} lacks create namespaces; " in before.out
        assert "kind: ClusterRole" in before.out
        printed = netprobe("doctor", "--kubeconfig", user.kubeconfig, "-o", "rbac").out
        role, binding = yaml.safe_load_all(printed)
        assert sum(len(rule["verbs"]) for rule in role["rules"]) == len(FIXTURE)
        for doc in (role, binding):
            doc["metadata"]["name"] = name
        binding["roleRef"]["name"] = name
        text = yaml.safe_dump_all([role, binding])
        kubectl(kubeconfig, "apply", "-f", "-", stdin=text)
        try:
            after = netprobe("doctor", "--kubeconfig", user.kubeconfig, "-o", "json")
            assert after.status == 0, after.out + after.err
            assert json.loads(after.out)["user"] == user.name
            assert checks(after)["permissions in place"]["status"] == "note"
            again = netprobe("doctor", "--kubeconfig", user.kubeconfig, "-o", "rbac").out
            assert again == "# no permission is missing for runs with their own namespaces\n"
        finally:
            kubectl(kubeconfig, "delete", "-f", "-", stdin=text)


def test_a_cluster_that_restricts_every_namespace(
    kubeconfig: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """As with a cluster-wide default: the pod with hostNetwork is left out, with the reason."""
    create = KubeCluster.create

    async def restricted(self: KubeCluster, obj: dict[str, Any]) -> dict[str, Any]:
        if obj["kind"] == "Namespace":
            obj["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] = "restricted"
        return await create(self, obj)

    monkeypatch.setattr(KubeCluster, "create", restricted)
    status = main(["doctor", "--kubeconfig", kubeconfig, "-o", "json"])
    output = {check["name"]: check for check in json.loads(capfd.readouterr().out)["checks"]}
    assert output["host network"]["status"] == "note"
    assert "Pod Security forbids it" in output["host network"]["evidence"]
    assert output["ingress"]["status"] == "ok"
    assert status == 0
    nothing_left(kubeconfig)
