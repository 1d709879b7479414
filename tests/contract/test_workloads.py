"""What becomes of workloads under kubectl: rollouts, their history, evictions; on the lab as on a cluster."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.contract.conftest import IMAGE
from tests.lab.kubectl.conftest import Kubectl


def workload(kind: str, **spec: Any) -> str:
    container = {"name": "c", "image": IMAGE, "command": ["sleep", "3600"]}
    name = kind.lower()
    labels = {"app": name}
    template = {
        "metadata": {"labels": labels},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [container]},
    }
    made = {"selector": {"matchLabels": labels}, "template": template, **spec}
    return json.dumps({"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name}, "spec": made})


@pytest.mark.parametrize("kind", ["StatefulSet", "DaemonSet"])
def test_a_rollout_has_a_history_and_can_be_undone(kubectl: Kubectl, kind: str) -> None:
    name = f"{kind.lower()}/{kind.lower()}"

    def settle() -> None:
        kubectl("rollout", "status", name, "--timeout=120s")

    def history(*more: str) -> str:
        return kubectl("rollout", "history", name, *more)

    more = {"serviceName": "none"} if kind == "StatefulSet" else {}
    kubectl("apply", "-f", "-", stdin=workload(kind, **more))
    settle()
    kubectl("set", "env", name, "TWO=2")
    settle()
    assert "TWO:\t2" in history("--revision=2")
    kubectl("rollout", "undo", name)
    settle()
    assert [row.split()[0] for row in history().splitlines()[2:] if row.strip()] == ["2", "3"]
    containers = kubectl.json("get", name)["spec"]["template"]["spec"]["containers"]
    assert "env" not in containers[0]
    kubectl("delete", name)


def test_the_cause_of_a_change(kubectl: Kubectl) -> None:
    kubectl("annotate", "deployment/none", "kubernetes.io/change-cause=first try")
    kubectl("rollout", "status", "deployment/none", "--timeout=60s")
    kubectl("set", "env", "deployment/none", "THREE=3")
    kubectl("rollout", "status", "deployment/none", "--timeout=60s")
    assert kubectl("rollout", "history", "deployment/none").count("first try") == 2


def test_who_made_which_pod_is_told(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=workload("Deployment"))
    kubectl("rollout", "status", "deployment/deployment", "--timeout=120s")
    (pod,) = kubectl("get", "pods", "-l", "app=deployment", "-o", "name").split()
    name = pod.removeprefix("pod/")
    assert f"Created pod: {name}" in kubectl("describe", "replicaset", "-l", "app=deployment")
    kubectl("scale", "deployment/deployment", "--replicas=0")
    kubectl("wait", "--for=delete", pod, "--timeout=60s")
    assert f"Deleted pod: {name}" in kubectl("describe", "replicaset", "-l", "app=deployment")
    kubectl("delete", "deployment", "deployment")
