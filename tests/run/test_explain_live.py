"""`netprobe explain` on a live cluster: the objects are listed, nothing is probed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from netprobe.cli import main
from netprobe.lab import Lab
from tests.run.netprobe import kubectl

pytestmark = pytest.mark.lab

NAME = "explained"
OBJECTS = [
    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAME}},
    *(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": NAME, "labels": {"app": name}},
            "spec": {"containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 80}]}]},
        }
        for name in ("web", "cart")
    ),
    {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "closed", "namespace": NAME},
        "spec": {"podSelector": {"matchLabels": {"app": "cart"}}, "policyTypes": ["Ingress"]},
    },
]


@pytest.mark.parametrize("plugin", [False, True], ids=["--kubeconfig", "as kubectl's plugin"])
def test_a_flow_is_explained_by_what_the_cluster_holds(
    plugin: bool,
    lab: Lab,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    kubeconfig = str(lab.kubeconfig)
    file = tmp_path / "objects.json"
    file.write_text("\n---\n".join(map(json.dumps, OBJECTS)))
    kubectl(kubeconfig, "apply", "-f", str(file))
    monkeypatch.setenv("KUBECONFIG", kubeconfig if plugin else "/nowhere")
    named = [] if plugin else ["--kubeconfig", kubeconfig]
    program = "/usr/local/bin/kubectl-netprobe" if plugin else "netprobe"
    try:
        assert main(["explain", f"{NAME}/web", f"{NAME}/cart", *named], program=program) == 0
    finally:
        kubectl(kubeconfig, "delete", "namespace", NAME)
    assert capsys.readouterr().out.splitlines()[0] == (
        f"DENIED at the destination: {NAME}/closed isolates {NAME}/cart for ingress "
        f"and does not allow TCP 80 from {NAME}/web"
    )
