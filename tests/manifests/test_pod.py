"""Pods: what the network sees of them, and which pods there are if workloads are given too."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from netprobe.manifests import from_objects
from netprobe.model.cluster import Cluster
from netprobe.model.flow import ContainerPort, Pod, Protocol
from netprobe.model.labels import CHOSEN_LATER, Operator, Requirement, Selector
from tests.manifests.conftest import Problems, Read, places


def pod(spec: str = "", status: str = "", metadata: str = "name: p") -> Pod:
    """The only pod of a manifest whose parts are flow mappings."""
    text = f"{{apiVersion: v1, kind: Pod, metadata: {{{metadata}}}, spec: {{{spec}}}, status: {{{status}}}}}"
    (found,) = from_objects([yaml.safe_load(text)]).pods.values()
    return found


TCP, UDP = Protocol.TCP, Protocol.UDP
PORTS = {
    "none": ("containers: [{name: c}]", ()),
    "protocol is TCP": ("containers: [{ports: [{containerPort: 80}]}]", (ContainerPort(80),)),
    "of all containers": (
        (
            "containers: [{ports: [{containerPort: 80, name: http}]}, "
            "{ports: [{containerPort: 53, protocol: UDP}]}]"
        ),
        (ContainerPort(80, TCP, "http"), ContainerPort(53, UDP)),
    ),
    "of sidecars, after the containers": (
        (
            "initContainers: [{restartPolicy: Always, ports: [{containerPort: 1}]}], "
            "containers: [{ports: [{containerPort: 2}]}]"
        ),
        (ContainerPort(2), ContainerPort(1)),
    ),
    "not of init containers that end": ("initContainers: [{ports: [{containerPort: 1}]}]", ()),
    "the same twice is once": (
        "containers: [{ports: [{containerPort: 1}, {containerPort: 1}]}]",
        (ContainerPort(1),),
    ),
}


@pytest.mark.parametrize(("spec", "ports"), PORTS.values(), ids=PORTS)
def test_ports(spec: str, ports: tuple[ContainerPort, ...]) -> None:
    assert pod(spec).ports == ports


@pytest.mark.parametrize(
    ("status", "addresses"),
    [
        ("podIPs: [{ip: 10.0.0.1}, {ip: 'fd00::1'}]", ["10.0.0.1", "fd00::1"]),
        ("podIP: 10.0.0.1", ["10.0.0.1"]),
        ("podIP: 10.0.0.1, podIPs: [{ip: 10.0.0.1}]", ["10.0.0.1"]),
        ("podIP: ''", []),
        ("", []),
    ],
)
def test_addresses(status: str, addresses: list[str]) -> None:
    assert [str(address) for address in pod(status=status).addresses] == addresses


@pytest.mark.parametrize(
    ("status", "ready"),
    [
        ("", True),  # a manifest: it will be
        ("phase: Running", True),
        ("phase: Pending", False),
        ("phase: Running, conditions: [{type: Ready, status: 'True'}]", True),
        ("phase: Running, conditions: [{type: Ready, status: 'False'}]", False),
        ("phase: Running, conditions: [{type: Initialized, status: 'False'}]", True),
    ],
)
def test_readiness(status: str, ready: bool) -> None:
    assert pod(status=status).ready is ready


def test_node_and_host_network() -> None:
    found = pod("nodeName: n1, hostNetwork: true", "hostIPs: [{ip: 172.31.255.1}], podIP: 172.31.255.1")
    assert (found.node, found.host_network) == ("n1", True)
    assert list(map(str, found.node_addresses)) == ["172.31.255.1"]


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_finished_pods_are_left_out(phase: str) -> None:
    obj = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "status": {"phase": phase}}
    assert not from_objects([obj]).pods


def workload(kind: str, name: str, owner: str = "", **spec: Any) -> dict[str, Any]:
    template = {
        "metadata": {"labels": {"app": name}},
        "spec": {"containers": [{"ports": [{"containerPort": 80}]}]},
    }
    group = {"Job": "batch/v1", "CronJob": "batch/v1", "ReplicationController": "v1"}.get(kind, "apps/v1")
    body = {"jobTemplate": {"spec": {"template": template}}} if kind == "CronJob" else {"template": template}
    return {"apiVersion": group, "kind": kind, "metadata": metadata(name, owner), "spec": body | spec}


def metadata(name: str, owner: str = "", **labels: str) -> dict[str, Any]:
    found: dict[str, Any] = {"name": name, "namespace": "a", "labels": labels}
    if owner:
        kind, _, owner_name = owner.partition("/")
        found["ownerReferences"] = [{"kind": kind, "name": owner_name, "controller": True}]
    return found


def owned(name: str, owner: str, phase: str = "Running", **labels: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata(name, owner, **labels),
        "status": {"phase": phase},
    }


def pods(cluster: Cluster) -> dict[str, str | None]:
    return {ref.name: found.workload for ref, found in cluster.pods.items()}


DEPLOYMENT = workload("Deployment", "web")
REPLICA_SET = workload("ReplicaSet", "web-5d4f", "Deployment/web")
OLD_REPLICA_SET = workload("ReplicaSet", "web-1111", "Deployment/web", replicas=0)
PODS = [
    owned(f"web-5d4f-{suffix}", "ReplicaSet/web-5d4f", **{"pod-template-hash": "5d4f"}) for suffix in "xy"
]
OF_DEPLOYMENT: dict[str, str | None] = {"web-5d4f-x": "Deployment/web", "web-5d4f-y": "Deployment/web"}
DONE = {"status": {"conditions": [{"type": "Complete", "status": "True"}]}}

WHO = {
    "a workload is one pod": ([DEPLOYMENT], {"web": "Deployment/web"}),
    "a ReplicaSet of a Deployment that is here": ([DEPLOYMENT, REPLICA_SET], {"web": "Deployment/web"}),
    "the order has no meaning": ([REPLICA_SET, DEPLOYMENT], {"web": "Deployment/web"}),
    "a ReplicaSet alone": ([REPLICA_SET], {"web-5d4f": "ReplicaSet/web-5d4f"}),
    "an old ReplicaSet": ([OLD_REPLICA_SET], {}),
    "pods of a workload that is here": ([DEPLOYMENT, REPLICA_SET, OLD_REPLICA_SET, *PODS], OF_DEPLOYMENT),
    "the ReplicaSet between them is not here": ([DEPLOYMENT, *PODS], OF_DEPLOYMENT),
    "pods alone": (PODS, OF_DEPLOYMENT),
    "a pod of a ReplicaSet without a hash": (
        [owned("web-x", "ReplicaSet/web")],
        {"web-x": "ReplicaSet/web"},
    ),
    "a Job whose pods have ended": ([workload("Job", "j"), owned("j-x", "Job/j", "Succeeded")], {}),
    "a Job that is over": ([workload("Job", "j") | DONE], {}),
    "a Job of a CronJob that is here": (
        [workload("CronJob", "c"), workload("Job", "c-1", "CronJob/c")],
        {"c": "CronJob/c"},
    ),
    "the pods of that Job": (
        [workload("CronJob", "c"), workload("Job", "c-1", "CronJob/c"), owned("c-1-x", "Job/c-1")],
        {"c-1-x": "CronJob/c"},
    ),
    "each other kind": (
        [workload(kind, kind.lower()) for kind in ("StatefulSet", "DaemonSet", "ReplicationController")],
        {
            "statefulset-0": "StatefulSet/statefulset",
            "daemonset": "DaemonSet/daemonset",
            "replicationcontroller": "ReplicationController/replicationcontroller",
        },
    ),
    "two workloads of one name": (
        [DEPLOYMENT, workload("DaemonSet", "web")],
        {"web-deployment": "Deployment/web", "web-daemonset": "DaemonSet/web"},
    ),
    "a workload and a pod of one name": (
        [DEPLOYMENT, owned("web", "")],
        {"web": None, "web-deployment": "Deployment/web"},
    ),
    "scaled to nothing": ([workload("Deployment", "web", replicas=0)], {}),
}


@pytest.mark.parametrize(("objects", "expected"), WHO.values(), ids=WHO)
def test_no_pod_is_counted_twice(objects: list[dict[str, Any]], expected: dict[str, str | None]) -> None:
    assert pods(from_objects(objects)) == expected


def test_a_template_has_the_labels_and_ports_of_its_pods() -> None:
    (found,) = from_objects([workload("ReplicationController", "c")]).pods.values()
    assert (found.labels, found.ports) == ({"app": "c"}, (ContainerPort(80),))


def test_a_pod_has_the_labels_that_its_controller_adds() -> None:
    workloads = (
        workload("Job", "j"),
        workload("Job", "batch", completions=2, completionMode="Indexed"),
        workload("StatefulSet", "db", replicas=2, ordinals={"start": 3}),
    )
    found = from_objects(workloads).pods
    known = {
        ref.name: {k: v for k, v in pod.labels.items() if not v.startswith("?")} for ref, pod in found.items()
    }
    job, batch = ({"app": n, "batch.kubernetes.io/job-name": n, "job-name": n} for n in ("j", "batch"))
    index = "batch.kubernetes.io/job-completion-index"
    assert known == {
        "j": job,
        "batch-0": {**batch, index: "0"},
        "batch-1": {**batch, index: "1"},
        **{
            f"db-{ordinal}": {
                "app": "db",
                "statefulset.kubernetes.io/pod-name": f"db-{ordinal}",
                "apps.kubernetes.io/pod-index": str(ordinal),
            }
            for ordinal in (3, 4)
        },
    }


JOB_NAMES = {"job-name", "batch.kubernetes.io/job-name"}
JOB_UIDS = {"controller-uid", "batch.kubernetes.io/controller-uid"}
CHOSEN = [
    ("Deployment", {"pod-template-hash"}),
    ("ReplicaSet", set()),
    ("StatefulSet", {"controller-revision-hash"}),
    ("DaemonSet", {"controller-revision-hash", "pod-template-generation"}),
    ("Job", JOB_UIDS),
    ("CronJob", JOB_NAMES | JOB_UIDS),
]


@pytest.mark.parametrize(("kind", "keys"), CHOSEN)
def test_labels_that_a_controller_chooses(kind: str, keys: set[str]) -> None:
    (found,) = from_objects([workload(kind, "w")]).pods.values()
    assert {key for key, value in found.labels.items() if value.startswith(CHOSEN_LATER)} == keys
    selector = Selector.of(dict.fromkeys(keys, "w-1"), Requirement("app", Operator.IN, ("w",)))
    assert selector.may_match(found.labels)
    assert selector.matches(found.labels) == (not keys)
    assert not Selector.of({"app": "other"} | dict.fromkeys(keys, "w-1")).may_match(found.labels)


@pytest.mark.parametrize(
    ("subject", "peer", "warned"),
    [
        ({"pod-template-hash": "abc"}, {}, ["pod-template-hash", "a/web"]),
        ({}, {"pod-template-hash": "abc"}, ["pod-template-hash", "a/web"]),
        ({"job-name": "sweep-123"}, {}, ["job-name", "a/sweep"]),
        ({"job-name": "nightly"}, {}, []),
        ({"app": "other", "pod-template-hash": "abc"}, {}, []),
        ({"app": "web"}, {"app": "web"}, []),
    ],
)
def test_a_policy_that_selects_by_a_label_chosen_later_is_a_warning(
    subject: dict[str, str], peer: dict[str, str], warned: list[str], read: Read
) -> None:
    peers = [{"podSelector": {"matchLabels": peer}}]
    spec = {"podSelector": {"matchLabels": subject}, "ingress": [{"from": peers}]}
    policy = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata("p")}
    objects = [workload("Deployment", "web"), workload("CronJob", "sweep"), {**policy, "spec": spec}]
    warnings = read(yaml.safe_dump_all(objects)).cluster.warnings
    assert len(warnings) == bool(warned)
    assert all(word in warnings[0] for word in warned)


def test_owners_in_a_circle_have_an_end() -> None:
    circle = [workload("Job", "a", "Job/b"), workload("Job", "b", "Job/a"), owned("p", "Job/a")]
    assert pods(from_objects(circle)) == {"p": "Job/b"}


def test_everything_wrong_with_a_pod_at_once(problems: Problems) -> None:
    found = problems(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: p, labels: {a: on, b/: c}}\n"
        "spec:\n  hostNetwork: 'yes'\n"
        "  containers:\n  - ports:\n    - {containerPort: 0}\n    - {containerPort: http}\n    - {name: x}\n"
        "    - {containerPort: 1, protocol: tcp}\n    - {containerPort: 2, name: UPPER}\n  - 7\n"
        "status: {podIPs: [{ip: nowhere}]}\n"
    )
    assert places(found) == [
        "m.yaml:3:30 metadata.labels",
        "m.yaml:3:37 metadata.labels",
        "m.yaml:14:20 status.podIPs[0].ip",
        "m.yaml:8:8 spec.containers[0].ports[0].containerPort",
        "m.yaml:9:8 spec.containers[0].ports[1].containerPort",
        "m.yaml:10:7 spec.containers[0].ports[2].containerPort",
        "m.yaml:11:26 spec.containers[0].ports[3].protocol",
        "m.yaml:12:26 spec.containers[0].ports[4].name",
        "m.yaml:13:5 spec.containers[1]",
        "m.yaml:5:3 spec.hostNetwork",
    ]


def test_a_workload_without_a_template(problems: Problems) -> None:
    found = problems("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec: {replicas: 2}\n")
    assert found == ["m.yaml:4:1: spec.template: Required value: a Deployment has a template for its pods"]
