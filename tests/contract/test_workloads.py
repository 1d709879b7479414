"""Pods under kubectl, on the lab and on a real cluster: who created them, and why one is not scheduled."""

from __future__ import annotations

import json
import secrets
from typing import Any

import yaml

from netprobe.manifests import from_objects
from netprobe.model.cluster import Cluster
from netprobe.model.flow import Pod, Protocol
from netprobe.model.labels import may_be
from netprobe.simulate import Simulator, ends, flow
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


OBJECTS = """
{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: db}, spec: {replicas: 2, serviceName: db,
  podManagementPolicy: Parallel, selector: {matchLabels: {app: db}}, template: {
  metadata: {labels: {app: db}}, spec: {terminationGracePeriodSeconds: 0, containers: [
  {name: c, image: IMAGE, command: [sleep, "3600"], ports: [{containerPort: 5432, name: sql}]}]}}}}
---
{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {selector: {matchLabels: {app: web}},
  template: {metadata: {labels: {app: web}}, spec: {terminationGracePeriodSeconds: 0, containers: [
  {name: c, image: IMAGE, command: [sleep, "3600"]}]}}}}
---
{apiVersion: batch/v1, kind: Job, metadata: {name: many}, spec: {completions: 2, parallelism: 2,
  completionMode: Indexed, template: {metadata: {labels: {app: many}}, spec: {restartPolicy: Never,
  terminationGracePeriodSeconds: 0, containers: [{name: c, image: IMAGE, command: [sleep, "3600"]}]}}}}
---
{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: primary}, spec: {
  podSelector: {matchLabels: {statefulset.kubernetes.io/pod-name: db-0}}, ingress: [
  {from: [{podSelector: {matchLabels: {batch.kubernetes.io/job-name: many}}}], ports: [{port: sql}]}]}}
---
{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: replica}, spec: {
  podSelector: {matchLabels: {apps.kubernetes.io/pod-index: "1"}}, ingress: [
  {from: [{podSelector: {matchLabels: {app: web}}}]},
  {from: [{podSelector: {matchLabels: {batch.kubernetes.io/job-completion-index: "1"}}}]}]}}
""".replace("IMAGE", json.dumps(IMAGE))
WORKLOADS = {"StatefulSet/db": 2, "Deployment/web": 1, "Job/many": 2}


def verdicts(cluster: Cluster, namespace: str) -> dict[str, list[str]]:
    """The verdicts of each workload's pods on the database's pods, by what tells pods apart."""
    simulator, found = Simulator(cluster), {}
    for name in ("web", "many"):
        for replica in ("db-0", "db-1"):
            (to,) = ends(cluster, f"{namespace}/{replica}")
            flows = [flow(one, to, 5432, Protocol.TCP) for one in ends(cluster, f"{namespace}/{name}")]
            found[f"{name} > {replica}"] = sorted(simulator.decide(one).verdict.value for one in flows)
    return found


def test_manifests_describe_the_pods_that_the_controllers_make(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=OBJECTS)
    kubectl("rollout", "status", "statefulset/db", "--timeout=120s")
    kubectl("rollout", "status", "deployment/web", "--timeout=120s")
    kubectl("wait", "--for=jsonpath={.status.ready}=2", "job/many", "--timeout=120s")
    namespace = str(kubectl.json("get", "job", "many")["metadata"]["namespace"])
    made = from_objects(
        kubectl.json("get", "pods,replicasets,deployments,statefulsets,jobs,networkpolicies")["items"]
    )
    written = []
    for obj in yaml.safe_load_all(OBJECTS):
        obj["metadata"]["namespace"] = namespace
        written.append(obj)
    described = from_objects(written)
    assert verdicts(described, namespace) == verdicts(made, namespace)
    for workload, number in WORKLOADS.items():
        real = sorted((p for p in made.pods.values() if p.workload == workload), key=_index)
        read = sorted((p for p in described.pods.values() if p.workload == workload), key=_index)
        assert len(real) == len(read) == number
        for pod_made, pod_read in zip(real, read, strict=True):
            assert pod_made.labels.keys() == pod_read.labels.keys()
            for key, value in pod_read.labels.items():
                assert may_be(value, pod_made.labels[key]), key
            assert pod_made.ports == pod_read.ports


def _index(pod: Pod) -> str:
    return next((value for key, value in sorted(pod.labels.items()) if key.endswith("-index")), "")
