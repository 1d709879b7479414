"""What is stored through the API is what the kernel does: objects by kubectl, packets by nc."""

from __future__ import annotations

import time

import pytest

from tests.lab.kubectl.conftest import DEADLINE_S, Kubectl

pytestmark = pytest.mark.lab

TOPOLOGY = """\
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec: {nodeName: n1, containers: [{name: c, image: x, ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: other, labels: {app: other}}
spec: {nodeName: n2, containers: [{name: c, image: x}]}
---
apiVersion: v1
kind: Pod
metadata: {name: db, labels: {app: db}}
spec: {nodeName: n2, containers: [{name: c, image: x, ports: [{containerPort: 5432, name: pg}]}]}
"""
DENY = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny}
spec: {podSelector: {}}
"""
ALLOW = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web-to-db}
spec:
  podSelector: {matchLabels: {app: db}}
  ingress: [{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: pg}]}]
"""


def connects(kubectl: Kubectl, source: str, address: str, port: int = 5432) -> bool:
    done = kubectl.run("exec", source, "--", "nc", "-zv", "-w", "1", address, str(port))
    assert "rror" not in done.stderr, done.stderr
    return done.returncode == 0


def becomes(kubectl: Kubectl, source: str, address: str, *, allowed: bool) -> None:
    end = time.monotonic() + DEADLINE_S
    while connects(kubectl, source, address) is not allowed:
        assert time.monotonic() < end, f"{source} never {'connected' if allowed else 'was denied'}"


def test_policies_and_labels_take_effect(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", kubectl.file("topology.yaml", TOPOLOGY))
    kubectl("wait", "--for=condition=Ready", "pod", "--all", "--timeout=60s")
    db = kubectl("get", "pod", "db", "-o", "jsonpath={.status.podIP}")
    assert connects(kubectl, "web", db)
    kubectl("apply", "-f", kubectl.file("deny.yaml", DENY), "-f", kubectl.file("allow.yaml", ALLOW))
    becomes(kubectl, "other", db, allowed=False)
    assert connects(kubectl, "web", db)
    kubectl("label", "pod", "other", "app=web", "--overwrite")
    becomes(kubectl, "other", db, allowed=True)
    kubectl("delete", "networkpolicy", "web-to-db")
    becomes(kubectl, "web", db, allowed=False)


def test_a_new_pod_is_isolated_from_the_start(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", kubectl.file("topology.yaml", TOPOLOGY), "-f", kubectl.file("deny.yaml", DENY))
    kubectl("wait", "--for=condition=Ready", "pod", "--all", "--timeout=60s")
    db = kubectl("get", "pod", "db", "-o", "jsonpath={.status.podIP}")
    becomes(kubectl, "web", db, allowed=False)
    kubectl("run", "late", "--image=x", "--labels=app=late", "--port=80")
    kubectl("wait", "--for=condition=Ready", "pod/late", "--timeout=60s")
    late = kubectl("get", "pod", "late", "-o", "jsonpath={.status.podIP}")
    assert not connects(kubectl, "web", late, 80)
    assert connects(kubectl, "late", late, 80), "a pod reaches itself"
