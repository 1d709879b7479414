"""`netprobe explain` on a live cluster: the objects are listed, nothing is probed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

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


CALLED_AS = "import sys; from netprobe.cli import main; sys.exit(main(sys.argv[2:], program=sys.argv[1]))"


@pytest.mark.parametrize("plugin", [False, True], ids=["--kubeconfig", "as kubectl's plugin"])
def test_a_flow_is_explained_by_what_the_cluster_holds(plugin: bool, lab: Lab, tmp_path: Path) -> None:
    kubeconfig = str(lab.kubeconfig)
    file = tmp_path / "objects.json"
    file.write_text("\n---\n".join(map(json.dumps, OBJECTS)))
    kubectl(kubeconfig, "apply", "-f", str(file))
    program = "/usr/local/bin/kubectl-netprobe" if plugin else "/usr/local/bin/netprobe"
    named = [] if plugin else ["--kubeconfig", kubeconfig]
    try:
        done = subprocess.run(
            [sys.executable, "-c", CALLED_AS, program, "explain", f"{NAME}/web", f"{NAME}/cart", *named],
            env=os.environ | {"KUBECONFIG": kubeconfig if plugin else "/nowhere"},
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        kubectl(kubeconfig, "delete", "namespace", NAME)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == (
        f"DENIED at the destination: {NAME}/closed isolates {NAME}/cart for ingress "
        f"and does not allow TCP 80 from {NAME}/web"
    )
