"""Pods under kubectl, on the lab and on a real cluster: who created them, and why one is not scheduled."""

from __future__ import annotations

import json
import secrets
from typing import Any

from tests.contract.conftest import IMAGE
from tests.lab.kubectl.conftest import Kubectl

CONTAINER = {"name": "c", "image": IMAGE, "command": ["sleep", "3600"]}
DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "d"},
    "spec": {
        "selector": {"matchLabels": {"app": "d"}},
        "template": {
            "metadata": {"labels": {"app": "d"}},
            "spec": {"terminationGracePeriodSeconds": 0, "containers": [CONTAINER]},
        },
    },
}


def pod(name: str, **spec: Any) -> str:
    spec = {"terminationGracePeriodSeconds": 0, "containers": [CONTAINER], **spec}
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})


def test_events_name_the_pods_of_a_replica_set(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=json.dumps(DEPLOYMENT))
    kubectl("rollout", "status", "deployment/d", "--timeout=120s")
    (pod,) = kubectl("get", "pods", "-l", "app=d", "-o", "name").split()
    name = pod.removeprefix("pod/")
    assert f"Created pod: {name}" in kubectl("describe", "replicaset", "-l", "app=d")
    kubectl("scale", "deployment/d", "--replicas=0")
    kubectl("wait", "--for=delete", pod, "--timeout=60s")
    assert f"Deleted pod: {name}" in kubectl("describe", "replicaset", "-l", "app=d")
    kubectl("delete", "deployment", "d")


def test_nodes_that_do_not_fit(kubectl: Kubectl) -> None:
    """With a label and a taint of this test's own."""
    nodes = [node["metadata"]["name"] for node in kubectl.json("get", "nodes")["items"]]
    word = f"contract-{secrets.token_hex(3)}"
    total = len(nodes)

    def unscheduled(name: str) -> str:
        kubectl("wait", "--for=condition=PodScheduled=false", f"pod/{name}", "--timeout=60s")
        (condition,) = kubectl.json("get", "pod", name)["status"]["conditions"]
        assert condition["reason"] == "Unschedulable"
        return str(condition["message"]).partition(" preemption:")[0]

    kubectl("create", "-f", "-", stdin=pod("nowhere", nodeSelector={word: "here"}))
    assert unscheduled("nowhere") == (
        f"0/{total} nodes are available: {total} node(s) didn't match Pod's node affinity/selector."
    )
    term = {"matchExpressions": [{"key": word, "operator": "Exists"}]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    kubectl("create", "-f", "-", stdin=pod("affine", affinity={"nodeAffinity": required}))
    assert unscheduled("affine") == unscheduled("nowhere")
    try:
        kubectl("label", "node", nodes[0], f"{word}=here")
        kubectl("wait", "--for=condition=PodScheduled", "pod/nowhere", "pod/affine", "--timeout=60s")
        kubectl("taint", "node", nodes[0], f"{word}=x:NoSchedule")
        kubectl("create", "-f", "-", stdin=pod("shy", nodeSelector={word: "here"}))
        reasons = {f"node(s) had untolerated taint {{{word}: x}}": 1}
        reasons |= {"node(s) didn't match Pod's node affinity/selector": total - 1} if total > 1 else {}
        counted = ", ".join(sorted(f"{count} {reason}" for reason, count in reasons.items()))
        assert unscheduled("shy") == f"0/{total} nodes are available: {counted}."
        toleration = {"key": word, "operator": "Exists", "effect": "NoSchedule"}
        bold = pod("bold", nodeSelector={word: "here"}, tolerations=[toleration])
        kubectl("create", "-f", "-", stdin=bold)
        kubectl("wait", "--for=condition=PodScheduled", "pod/bold", "--timeout=60s")
    finally:
        kubectl.run("taint", "node", nodes[0], f"{word}:NoSchedule-")
        kubectl.run("label", "node", nodes[0], f"{word}-")
