"""What a namespace refuses, fills in and warns of, on the lab and on a real cluster: in the same words.

Quotas, limits, Pod Security, and what the scheduler says of nodes: all that a probe pod may meet in a
namespace that is not its own.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.contract.conftest import IMAGE
from tests.lab.kubectl.conftest import Kubectl


@pytest.fixture
def inside(kubectl: Kubectl) -> Iterator[Kubectl]:
    """kubectl in a new, empty namespace."""
    name = f"contract-{secrets.token_hex(3)}"
    made = replace(kubectl, namespace=name)
    made("create", "namespace", name)
    made("wait", "--for=create", "serviceaccount/default", "--timeout=60s")
    yield made
    made("delete", "namespace", name, "--wait=false")


def pod(name: str = "p", *, requests: str = "", limits: str = "", **spec: Any) -> str:
    container: dict[str, Any] = {"name": "c", "image": IMAGE, "command": ["sleep", "3600"]}
    listed = {"requests": requests, "limits": limits}
    if resources := {key: {"cpu": value} for key, value in listed.items() if value}:
        container["resources"] = resources
    spec = {"terminationGracePeriodSeconds": 0, "containers": [container], **spec}
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})


def test_nodes_that_do_not_fit(inside: Kubectl) -> None:
    """By a label and a taint of this test's own; a taint that drives pods away is for the lab's own tests."""
    nodes = [node["metadata"]["name"] for node in inside.json("get", "nodes")["items"]]
    word = f"contract-{secrets.token_hex(3)}"
    total = len(nodes)

    def unscheduled(name: str) -> str:
        inside("wait", "--for=condition=PodScheduled=false", f"pod/{name}", "--timeout=60s")
        (condition,) = inside.json("get", "pod", name)["status"]["conditions"]
        assert condition["reason"] == "Unschedulable"
        return str(condition["message"]).partition(" preemption:")[0]

    inside("create", "-f", "-", stdin=pod("nowhere", nodeSelector={word: "here"}))
    assert unscheduled("nowhere") == (
        f"0/{total} nodes are available: {total} node(s) didn't match Pod's node affinity/selector."
    )
    term = {"matchExpressions": [{"key": word, "operator": "Exists"}]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    inside("create", "-f", "-", stdin=pod("affine", affinity={"nodeAffinity": required}))
    assert unscheduled("affine") == unscheduled("nowhere")
    try:
        inside("label", "node", nodes[0], f"{word}=here")
        inside("wait", "--for=condition=PodScheduled", "pod/nowhere", "pod/affine", "--timeout=60s")
        inside("taint", "node", nodes[0], f"{word}=x:NoSchedule")
        inside("create", "-f", "-", stdin=pod("shy", nodeSelector={word: "here"}))
        reasons = {f"node(s) had untolerated taint {{{word}: x}}": 1}
        reasons |= {"node(s) didn't match Pod's node affinity/selector": total - 1} if total > 1 else {}
        counted = ", ".join(sorted(f"{count} {reason}" for reason, count in reasons.items()))
        assert unscheduled("shy") == f"0/{total} nodes are available: {counted}."
        toleration = {"key": word, "operator": "Exists", "effect": "NoSchedule"}
        bold = pod("bold", nodeSelector={word: "here"}, tolerations=[toleration])
        inside("create", "-f", "-", stdin=bold)
        inside("wait", "--for=condition=PodScheduled", "pod/bold", "--timeout=60s")
    finally:
        inside.run("taint", "node", nodes[0], f"{word}:NoSchedule-")
        inside.run("label", "node", nodes[0], f"{word}-")


def _exists(scope: str, operator: str = "Exists") -> dict[str, Any]:
    return {"scopeName": scope, "operator": operator}
