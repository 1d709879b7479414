"""kubectl on objects: apply, get in every form, edit, patch, label, wait, delete."""

from __future__ import annotations

import subprocess

import pytest
import yaml

from tests.lab.kubectl.conftest import Kubectl

pytestmark = pytest.mark.lab

PODS = """\
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec: {containers: [{name: c, image: "nginx:1", ports: [{containerPort: 80, name: http}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: db, labels: {app: db}}
spec: {containers: [{name: c, image: "postgres:1", ports: [{containerPort: 5432}]}]}
"""
POLICY = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: to-db}
spec:
  podSelector: {matchLabels: {app: db}}
  ingress:
    - from: [{podSelector: {matchLabels: {app: web}}}]
      ports: [{port: 5432, protocol: TCP}]
"""


@pytest.fixture
def pods(kubectl: Kubectl) -> Kubectl:
    kubectl("apply", "-f", kubectl.file("pods.yaml", PODS))
    kubectl("wait", "--for=condition=Ready", "pod", "--all", "--timeout=60s")
    return kubectl


def words(table: str) -> list[list[str]]:
    return [line.split() for line in table.splitlines()]


def test_get_in_many_forms(pods: Kubectl) -> None:
    header, db, web = words(pods("get", "pods", "-o", "wide"))
    columns = "NAME READY STATUS RESTARTS AGE IP NODE READINESS GATES"
    assert " ".join(header) == columns
    assert db[:4] == ["db", "1/1", "Running", "0"]
    assert web[:4] == ["web", "1/1", "Running", "0"]
    assert db[5].startswith("10.244.")
    assert yaml.safe_load(pods("get", "pod", "web", "-o", "yaml"))["metadata"]["name"] == "web"
    assert pods("get", "pods", "-o", "jsonpath={.items[*].metadata.labels.app}") == "db web"
    assert words(pods("get", "po/web", "po/db", "--show-labels", "--no-headers"))[1][-1] == "app=db"
    assert pods("get", "pods", "-l", "app in (web)", "-o", "name") == "pod/web\n"
    assert "NotFound" in pods.fails("get", "pod", "nobody")


def test_apply_again_and_changed(kubectl: Kubectl) -> None:
    path = kubectl.file("policy.yaml", POLICY)
    assert kubectl("apply", "-f", path) == "networkpolicy.networking.k8s.io/to-db created\n"
    assert kubectl("apply", "-f", path) == "networkpolicy.networking.k8s.io/to-db unchanged\n"
    kubectl.file("policy.yaml", POLICY.replace("5432", "5433"))
    assert "5433" in kubectl.run("diff", "-f", path).stdout
    assert kubectl("apply", "-f", path) == "networkpolicy.networking.k8s.io/to-db configured\n"
    policy = kubectl.json("get", "netpol", "to-db")
    assert policy["spec"]["ingress"][0]["ports"] == [{"port": 5433, "protocol": "TCP"}]
    kubectl.file("policy.yaml", POLICY.partition("      ports:")[0])
    kubectl("apply", "-f", path)
    assert "ports" not in kubectl.json("get", "netpol", "to-db")["spec"]["ingress"][0]
    patch = '{"spec":{"podSelector":{"matchLabels":{"app":"other"}}}}'
    kubectl("patch", "netpol", "to-db", "--type=merge", "-p", patch)
    kubectl("apply", "--server-side", "-f", path)
    header, row = words(kubectl("get", "networkpolicies"))
    assert (header, row[:2]) == (["NAME", "POD-SELECTOR", "AGE"], ["to-db", "app=db"])


def test_kubectl_create(kubectl: Kubectl) -> None:
    """kubectl 1.33 sends these in protobuf, older ones in JSON."""
    kubectl("create", "configmap", "cm", "--from-literal=a=b")
    assert kubectl.json("get", "cm", "cm")["data"] == {"a": "b"}
    kubectl("create", "deployment", "d", "--image=x:1", "--replicas=2", "--port=80")
    deployment = kubectl.json("get", "deployment", "d")
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    assert container["ports"] == [{"containerPort": 80, "protocol": "TCP"}]
    assert deployment["spec"]["replicas"] == 2
    kubectl("create", "role", "r", "--verb=get,list", "--resource=pods")
    assert kubectl.json("get", "role", "r")["rules"][0]["verbs"] == ["get", "list"]
    kubectl("create", "poddisruptionbudget", "b", "--selector=app=d", "--min-available=1")
    kinds = "deploy,rs,po,svc,ep,endpointslices,jobs,roles,pdb,sa,quota,cm,secrets,events"
    assert "deployment.apps/d" in kubectl("get", kinds, "-o", "wide")
    assert "already exists" in kubectl.fails("create", "configmap", "cm")


def test_a_watch_shows_a_pod_start_and_end(kubectl: Kubectl) -> None:
    web, _, db = PODS.partition("---")
    kubectl("apply", "-f", kubectl.file("db.yaml", db))
    command = kubectl.command("get", "pods", "-w", "--no-headers", "--output-watch-events")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        assert watching.stdout.readline().split()[:2] == ["ADDED", "db"]  # it is watching
        kubectl("wait", "--for=condition=Ready", "pod/db", "--timeout=60s")
        kubectl("apply", "-f", kubectl.file("web.yaml", web))
        kubectl("wait", "--for=condition=Ready", "pod/web", "--timeout=60s")
        kubectl("delete", "pod", "web")
        seen: list[list[str]] = []
        for line in watching.stdout:
            if line.split()[1] == "web":
                seen.append(line.split())
            if line.startswith("DELETED"):
                break
        watching.terminate()
    seen_states = [(kind, status) for kind, _, _, status, *_ in seen]
    assert seen_states[0] == ("ADDED", "Pending")
    order = [("MODIFIED", "ContainerCreating"), ("MODIFIED", "Running"), ("MODIFIED", "Terminating")]
    assert [seen_states.index(step) for step in order] == sorted(seen_states.index(step) for step in order)


def test_describe_and_delete(pods: Kubectl) -> None:
    text = pods("describe", "pod", "web")
    assert "Started container c (netprobe lab: images are not run)" in text
    assert "Labels:           app=web" in text
    pods("apply", "-f", pods.file("p.yaml", POLICY))
    text = pods("describe", "networkpolicy", "to-db")
    assert "To Port: 5432/TCP" in text
    assert "PodSelector: app=web" in text
    pods("expose", "pod", "web", "--port=80")
    assert "Endpoints:                10.244." in pods("describe", "service", "web")
    assert pods.namespace in pods("describe", "node")
    pods("delete", "pods", "--all", "--grace-period=0", "--force")
    pods("delete", "namespace", pods.namespace, "--timeout=60s")
    assert "NotFound" in pods.fails("get", "namespace", pods.namespace)


def test_discovery_and_explain(kubectl: Kubectl) -> None:
    assert "netprobe" in kubectl("version", "--output=yaml")
    resources = kubectl("api-resources", "-o", "name").split()
    assert {"pods", "networkpolicies.networking.k8s.io", "deployments.apps"} <= set(resources)
    assert "networking.k8s.io/v1" in kubectl("api-versions").split()
    assert "*.*" in kubectl("auth", "can-i", "--list")
    assert "kubernetes-admin" in kubectl("auth", "whoami")
    assert "Which connections the selected pods may have." in kubectl("explain", "networkpolicy")
    assert [row[0] for row in words(kubectl("get", "nodes"))] == ["NAME", "n1", "n2"]
    assert kubectl("get", "--raw", "/readyz") == "ok"
