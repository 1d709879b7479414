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

RESTRICTED = (
    'violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false (container "c" must set '
    "securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container "
    '"c" must set securityContext.capabilities.drop=["ALL"]), runAsNonRoot != true (pod or container "c" '
    'must set securityContext.runAsNonRoot=true), seccompProfile (pod or container "c" must set '
    'securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")'
)
FINE: dict[str, Any] = {  # what `restricted` lets through
    "securityContext": {
        "runAsNonRoot": True,
        "runAsUser": 65534,
        "seccompProfile": {"type": "RuntimeDefault"},
        "sysctls": [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}],
    },
    "containers": [
        {
            "name": "c",
            "image": IMAGE,
            "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        }
    ],
}
LIMITS = {
    "apiVersion": "v1",
    "kind": "LimitRange",
    "metadata": {"name": "l"},
    "spec": {
        "limits": [
            {
                "type": "Container",
                "default": {"cpu": "500m"},
                "defaultRequest": {"cpu": "100m"},
                "max": {"cpu": "1"},
                "min": {"cpu": "50m"},
            },
            {"type": "Pod", "max": {"cpu": "1"}},
        ]
    },
}


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


def refusal(kubectl: Kubectl, text: str) -> str:
    """What is said of an object that is forbidden, after its name."""
    said = kubectl.fails("create", "-f", "-", stdin=text)
    assert said.startswith("Error from server (Forbidden): "), said
    return said.partition(" is forbidden: ")[2].rstrip("\n")


def test_a_quota(inside: Kubectl) -> None:
    hard = "pods=1,requests.cpu=1,services.nodeports=0,count/deployments.apps=0,configmaps=2"
    inside("create", "quota", "q", f"--hard={hard}")
    inside("wait", "--for=jsonpath={.status.used.configmaps}=1", "quota/q", "--timeout=60s")
    assert refusal(inside, pod()) == "failed quota: q: must specify requests.cpu for: c"
    inside("create", "-f", "-", stdin=pod(requests="600m"))
    assert refusal(inside, pod("more", requests="600m")) == (
        "exceeded quota: q, requested: pods=1,requests.cpu=600m, "
        "used: pods=1,requests.cpu=600m, limited: pods=1,requests.cpu=1"
    )
    assert "requested: services.nodeports=1, used: services.nodeports=0" in inside.fails(
        "create", "service", "nodeport", "n", "--tcp=80"
    )
    assert "requested: count/deployments.apps=1, used: count/deployments.apps=0" in inside.fails(
        "create", "deployment", "d", f"--image={IMAGE}"
    )
    inside("create", "configmap", "last")
    assert "used: configmaps=2, limited: configmaps=2" in inside.fails("create", "configmap", "over")
    for name, used in {"configmaps": "2", "pods": "1", "requests\\.cpu": "600m"}.items():
        inside("wait", f"--for=jsonpath={{.status.used.{name}}}={used}", "quota/q", "--timeout=60s")
    shown = inside("get", "quota", "q").splitlines()[1]
    assert "configmaps: 2/2, count/deployments.apps: 0/0, pods: 1/1, requests.cpu: 600m/1" in shown


def test_a_range_of_limits(inside: Kubectl) -> None:
    inside("create", "-f", "-", stdin=json.dumps(LIMITS))
    made = json.loads(inside("create", "-f", "-", "-o", "json", stdin=pod()))
    assert made["spec"]["containers"][0]["resources"] == {
        "limits": {"cpu": "500m"},
        "requests": {"cpu": "100m"},
    }
    assert made["metadata"]["annotations"]["kubernetes.io/limit-ranger"] == (
        "LimitRanger plugin set: cpu request for container c; cpu limit for container c"
    )
    assert made["status"]["qosClass"] == "Burstable"
    assert refusal(inside, pod("q", limits="2")) == (
        "[maximum cpu usage per Container is 1, but limit is 2, "
        "maximum cpu usage per Pod is 1, but limit is 2]"
    )
    assert refusal(inside, pod("q", requests="10m")) == (
        "minimum cpu usage per Container is 50m, but request is 10m"
    )


def test_pod_security(inside: Kubectl) -> None:
    def label(**levels: str) -> str:
        words = [f"pod-security.kubernetes.io/{mode}={level}" for mode, level in levels.items()]
        return inside.run("label", "--overwrite", "namespace", inside.namespace, *words).stderr

    inside("create", "-f", "-", stdin=pod("early"))
    assert label(enforce="restricted", warn="restricted") == (
        f'Warning: existing pods in namespace "{inside.namespace}" violate the new PodSecurity enforce level '
        '"restricted:latest"\nWarning: early: allowPrivilegeEscalation != false, unrestricted capabilities, '
        "runAsNonRoot != true, seccompProfile\n"
    )
    assert refusal(inside, pod()) == RESTRICTED
    assert refusal(inside, pod(hostNetwork=True)) == RESTRICTED.replace(
        'latest": ', 'latest": host namespaces (hostNetwork=true), '
    )
    inside("create", "-f", "-", stdin=pod("fine", **FINE))
    made = inside.run("create", "deployment", "d", f"--image={IMAGE}")
    assert made.returncode == 0
    warning = f"Warning: would {RESTRICTED}\n".replace("violates", "violate").replace('"c"', '"alpine"')
    assert made.stderr == warning
    inside("wait", "--for=condition=ReplicaFailure", "deployment/d", "--timeout=60s")
    events = inside.json("get", "events", "--field-selector", "reason=FailedCreate")["items"]
    assert {event["involvedObject"]["kind"] for event in events} == {"ReplicaSet"}
    assert all(event["message"].startswith('Error creating: pods "d-') for event in events)
    label(enforce="baseline", warn="privileged")
    inside("create", "-f", "-", stdin=pod("ordinary"))
    context = {"privileged": True, "capabilities": {"add": ["NET_ADMIN", "CHOWN"]}}
    ports = [{"containerPort": 80, "hostPort": 80}]
    bad = {"name": "c", "image": IMAGE, "securityContext": context, "ports": ports}
    volume = {"name": "v", "hostPath": {"path": "/"}}
    text = pod("bad", containers=[bad], hostNetwork=True, hostPID=True, volumes=[volume])
    assert refusal(inside, text) == (
        'violates PodSecurity "baseline:latest": non-default capabilities (container "c" must not include '
        '"NET_ADMIN" in securityContext.capabilities.add), host namespaces (hostNetwork=true, hostPID=true), '
        'hostPath volumes (volume "v"), hostPort (container "c" uses hostPort 80), privileged (container "c" '
        "must not set securityContext.privileged=true)"
    )
    said = label(enforce="nonsense")
    assert 'Invalid value: "nonsense": must be one of privileged, baseline, restricted' in said


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


def test_quotas_with_scopes(inside: Kubectl) -> None:
    """Each is about the pods of its scope alone, whether the old list or a selector says so."""
    word = f"contract-{secrets.token_hex(3)}"
    told: dict[str, dict[str, Any]] = {
        "ending": {"scopes": ["Terminating"]},
        "lasting": {
            "scopeSelector": {"matchExpressions": list(map(_exists, ("NotTerminating", "NotBestEffort")))}
        },
        "urgent": {
            "scopeSelector": {"matchExpressions": [{**_exists("PriorityClass", "In"), "values": [word]}]}
        },
    }
    quotas = [
        {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": name},
            "spec": {"hard": {"pods": "0"}, **scope},
        }
        for name, scope in told.items()
    ]
    assert refusal(inside, pod(priorityClassName=word)) == f"no PriorityClass with name {word} was found"
    inside("create", "priorityclass", word, "--value=1000")
    try:
        inside("create", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": quotas}))
        inside("wait", "--for=jsonpath={.status.used.pods}=0", "quota", "--all", "--timeout=60s")
        over = "requested: pods=1, used: pods=0, limited: pods=0"
        assert refusal(inside, pod(activeDeadlineSeconds=60)) == f"exceeded quota: ending, {over}"
        assert refusal(inside, pod(requests="1m")) == f"exceeded quota: lasting, {over}"
        assert refusal(inside, pod(priorityClassName=word)) == f"exceeded quota: urgent, {over}"
        made = json.loads(inside("create", "-f", "-", "-o", "json", stdin=pod()))
        assert (made["spec"]["priority"], made["spec"]["preemptionPolicy"]) == (0, "PreemptLowerPriority")
    finally:
        inside("delete", "priorityclass", word)
    inside("get", "priorityclass", "system-cluster-critical", "system-node-critical")


def _exists(scope: str, operator: str = "Exists") -> dict[str, Any]:
    return {"scopeName": scope, "operator": operator}
