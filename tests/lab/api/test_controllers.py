"""The loops behind the API: owners and dependents, namespaces, workloads, endpoints."""

from __future__ import annotations

from typing import Any

import pytest

from netprobe.lab.api.admission.workloads import COMPLETES
from netprobe.model.objects import Object
from tests.lab.api.conftest import Api

MAPS = "/api/v1/namespaces/{namespace}/configmaps"
PODS = "/api/v1/namespaces/{namespace}/pods"
EVENTS = "/api/v1/namespaces/{namespace}/events"
APPS = "/apis/apps/v1/namespaces/{namespace}"
JOBS = "/apis/batch/v1/namespaces/{namespace}/jobs"
MERGE = "application/merge-patch+json"


def owner(obj: Object, **more: Any) -> Object:
    metadata = obj["metadata"]
    kind = {"apiVersion": obj["apiVersion"], "kind": obj["kind"]}
    return {**kind, "name": metadata["name"], "uid": metadata["uid"], **more}


async def test_dependents_are_deleted_with_their_last_owner(api: Api) -> None:
    one = await api.ok("POST", MAPS, {"metadata": {"name": "one"}})
    two = await api.ok("POST", MAPS, {"metadata": {"name": "two"}})
    policies = "/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies"
    metadata = {"name": "p", "ownerReferences": [owner(one), owner(two)]}
    await api.ok("POST", policies, {"metadata": metadata, "spec": {}})
    await api.ok("DELETE", f"{MAPS}/one")
    kept = await api.until(f"{policies}/p", lambda p: len(p["metadata"]["ownerReferences"]) == 1)
    assert kept["metadata"]["ownerReferences"][0]["name"] == "two"
    await api.ok("DELETE", f"{MAPS}/two")
    await api.gone(f"{policies}/p")


async def test_orphans_stay(api: Api) -> None:
    one = await api.ok("POST", MAPS, {"metadata": {"name": "one"}})
    await api.ok("POST", MAPS, {"metadata": {"name": "d", "ownerReferences": [owner(one)]}})
    await api.ok("DELETE", f"{MAPS}/one", {"propagationPolicy": "Orphan"})
    await api.gone(f"{MAPS}/one")
    assert "ownerReferences" not in (await api.get(f"{MAPS}/d"))["metadata"]


async def test_deleting_a_namespace_deletes_its_objects(api: Api) -> None:
    await api.pod("p")
    await api.ready("p")
    held = {"metadata": {"name": "m", "finalizers": ["example.com/hold"]}}
    maps = "/api/v1/namespaces/{namespace}/configmaps"
    await api.ok("POST", maps, held)
    leaving = await api.ok("DELETE", "/api/v1/namespaces/{namespace}")
    assert leaving["status"]["phase"] == "Terminating"
    await api.gone("/api/v1/namespaces/{namespace}/pods/p")
    error = await api.fails("POST", maps, {"metadata": {"name": "n"}})
    assert error["reason"] == "Forbidden"
    assert error["details"]["causes"][0]["reason"] == "NamespaceTerminating"
    assert (await api.get("/api/v1/namespaces/{namespace}"))["status"]["phase"] == "Terminating"
    await api.ok("PATCH", f"{maps}/m", {"metadata": {"finalizers": None}}, kind=MERGE)
    await api.gone("/api/v1/namespaces/{namespace}")
    assert api.placed == set()


async def test_a_new_namespace_has_a_service_account_and_the_ca(api: Api) -> None:
    await api.until("/api/v1/namespaces/{namespace}/serviceaccounts/default", bool)
    bundle = await api.until("/api/v1/namespaces/{namespace}/configmaps/kube-root-ca.crt", bool)
    assert bundle["data"]["ca.crt"].startswith("-----BEGIN CERTIFICATE-----")


def workload(name: str, **spec: Any) -> Object:
    labels = {"app": name}
    ports = [{"containerPort": 80, "name": "http"}]
    template = {
        "metadata": {"labels": labels},
        "spec": {"containers": [{"name": "c", "image": "x:1", "ports": ports}]},
    }
    return {
        "metadata": {"name": name},
        "spec": {"selector": {"matchLabels": labels}, "template": template, **spec},
    }


async def pods_of(api: Api, name: str) -> list[Object]:
    items: list[Object] = (await api.get(PODS, labelSelector=f"app={name}"))["items"]
    return items


def settled(number: int) -> Any:
    def holds(obj: Object) -> bool:
        status = obj.get("status", {})
        return bool(
            status.get("readyReplicas", 0) == number
            and status.get("replicas", 0) == number
            and status.get("updatedReplicas", number) == number
            and status["observedGeneration"] == obj["metadata"]["generation"]
        )

    return holds


async def test_a_deployment_rolls(api: Api) -> None:
    path = f"{APPS}/deployments/web"
    await api.ok("POST", f"{APPS}/deployments", workload("web", replicas=3))
    await api.until(path, settled(3))
    pods = await pods_of(api, "web")
    [replica_set] = (await api.get(f"{APPS}/replicasets"))["items"]
    hashed = replica_set["metadata"]["labels"]["pod-template-hash"]
    assert replica_set["metadata"]["name"] == f"web-{hashed}"
    for pod in pods:
        assert pod["metadata"]["name"].startswith(f"web-{hashed}-")
        assert pod["metadata"]["labels"] == {"app": "web", "pod-template-hash": hashed}
        [reference] = pod["metadata"]["ownerReferences"]
        assert (reference["kind"], reference["controller"]) == ("ReplicaSet", True)
    change = {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "x:2"}]}}}}
    await api.ok("PATCH", path, change, kind=MERGE)
    await api.until(path, settled(3))
    assert {pod["spec"]["containers"][0]["image"] for pod in await pods_of(api, "web")} == {"x:2"}
    scaled = await api.ok("PATCH", f"{path}/scale", {"spec": {"replicas": 1}}, kind=MERGE)
    assert (scaled["kind"], scaled["spec"]["replicas"]) == ("Scale", 1)
    await api.until(path, settled(1))
    message = [e["message"] for e in (await api.get(EVENTS))["items"] if e["reason"] == "ScalingReplicaSet"]
    assert f"Scaled up replica set web-{hashed} from 0 to 3" in message
    assert f"Scaled down replica set web-{hashed} from 3 to 0" in message
    await api.ok("DELETE", path)
    await api.until(PODS, lambda pods: not pods["items"])


async def test_a_bare_replica_set_adopts_and_heals(api: Api) -> None:
    await api.pod("found", labels={"app": "rs"})
    await api.ok("POST", f"{APPS}/replicasets", workload("rs", replicas=2))
    await api.until(f"{APPS}/replicasets/rs", settled(2))
    names = {pod["metadata"]["name"] for pod in await pods_of(api, "rs")}
    assert len(names) == 2
    assert "found" in names
    await api.ok("DELETE", f"{PODS}/found")
    await api.gone(f"{PODS}/found")
    await api.until(f"{APPS}/replicasets/rs", settled(2))


async def test_a_stateful_set_numbers_its_pods_and_leaves_others_alone(api: Api) -> None:
    path, others = f"{APPS}/statefulsets/db", {"other", "db-x", "db-0-1"}
    for name in others:
        await api.pod(name, labels={"app": "db"})
    await api.ok("POST", f"{APPS}/statefulsets", workload("db", replicas=3, serviceName="db"))
    await api.until(path, settled(3))
    pods = {pod["metadata"]["name"]: pod["metadata"] for pod in await pods_of(api, "db")}
    assert pods.keys() == others | {"db-0", "db-1", "db-2"}
    assert {name for name, metadata in pods.items() if "ownerReferences" not in metadata} == others
    await api.ok("PATCH", path, {"spec": {"replicas": 1}}, kind=MERGE)
    await api.until(path, settled(1))
    await api.until(PODS, lambda pods: len(pods["items"]) == len(others) + 1)
    assert {pod["metadata"]["name"] for pod in await pods_of(api, "db")} == others | {"db-0"}


async def test_a_relabelled_pod_is_released_and_replaced(api: Api) -> None:
    """How people take a pod out of service to look at it."""
    await api.ok("POST", f"{APPS}/replicasets", workload("rs", replicas=1))
    await api.until(f"{APPS}/replicasets/rs", settled(1))
    [pod] = await pods_of(api, "rs")
    path = f"{PODS}/{pod['metadata']['name']}"
    await api.ok("PATCH", path, {"metadata": {"labels": {"app": "aside"}}}, kind=MERGE)
    free = await api.until(path, lambda p: "ownerReferences" not in p["metadata"])
    assert free["metadata"]["labels"] == {"app": "aside"}
    await api.until(f"{APPS}/replicasets/rs", settled(1))
    [new] = await pods_of(api, "rs")
    assert new["metadata"]["name"] != pod["metadata"]["name"]


def job(name: str, **spec: Any) -> Object:
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "pause"}]}}
    return {"metadata": {"name": name}, "spec": {"template": template, **spec}}


async def test_a_job_fails_with_its_pods(api: Api) -> None:
    """A pod that is over its own deadline fails; the Job replaces as many as its backoffLimit allows."""
    made = job("run", backoffLimit=1)
    made["spec"]["template"]["spec"]["activeDeadlineSeconds"] = 1
    await api.ok("POST", JOBS, made)
    ended = await api.until(f"{JOBS}/run", lambda j: j.get("status", {}).get("conditions"))
    assert [condition["type"] for condition in ended["status"]["conditions"]] == ["FailureTarget", "Failed"]
    assert len((await api.get(PODS, labelSelector="job-name=run"))["items"]) == 2


async def test_a_job_with_a_time_to_complete(api: Api) -> None:
    made = job("run", completions=3, parallelism=2)
    made["spec"]["template"]["metadata"] = {"annotations": {COMPLETES: "0.1"}}
    await api.ok("POST", JOBS, made)
    done = await api.until(f"{JOBS}/run", lambda j: j.get("status", {}).get("completionTime"))
    assert (done["status"]["succeeded"], done["status"].get("failed", 0)) == (3, 0)
    assert [c["type"] for c in done["status"]["conditions"]] == ["SuccessCriteriaMet", "Complete"]
    pods = (await api.get(PODS, labelSelector="job-name=run"))["items"]
    assert [pod["status"]["phase"] for pod in pods] == ["Succeeded"] * 3
    await api.ok("DELETE", f"{JOBS}/run")
    await api.until(PODS, lambda found: not found["items"])


async def test_endpoints_follow_pods(api: Api) -> None:
    services = "/api/v1/namespaces/{namespace}/services"
    port = {"port": 8080, "targetPort": "http"}
    service = {"metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}, "ports": [port]}}
    await api.ok("POST", services, service)
    await api.pod("p", labels={"app": "web"})
    pod = await api.ready("p")
    gated = {"readinessGates": [{"conditionType": "netprobe.dev/never"}]}
    await api.pod("q", gated, labels={"app": "web"})
    endpoints = await api.until(
        "/api/v1/namespaces/{namespace}/endpoints/web",
        lambda e: e.get("subsets") and e["subsets"][0].get("notReadyAddresses"),
    )
    [subset] = endpoints["subsets"]
    assert [address["ip"] for address in subset["addresses"]] == [pod["status"]["podIP"]]
    assert subset["ports"] == [{"port": 80, "protocol": "TCP"}]
    slices = "/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
    query = {"labelSelector": "kubernetes.io/service-name=web"}
    listed = await api.until(slices, lambda s: s["items"] and len(s["items"][0]["endpoints"]) == 2, **query)
    ready = {e["targetRef"]["name"]: e["conditions"]["ready"] for e in listed["items"][0]["endpoints"]}
    assert ready == {"p": True, "q": False}
    await api.ok("PATCH", f"{services}/web", {"spec": {"publishNotReadyAddresses": True}}, kind=MERGE)

    def published(slices: Object) -> bool:
        return all(endpoint["conditions"]["ready"] for endpoint in slices["items"][0]["endpoints"])

    await api.until(slices, published, **query)
    await api.ok("DELETE", f"{services}/web")
    await api.until(slices, lambda s: not s["items"], **query)
    await api.gone("/api/v1/namespaces/{namespace}/endpoints/web")


async def test_pods_have_the_labels_that_real_controllers_set(api: Api) -> None:
    job_spec = {"completionMode": "Indexed", "completions": 2, "parallelism": 2}
    await api.ok("POST", JOBS, job("run", **job_spec))
    await api.ok("POST", f"{APPS}/statefulsets", workload("db", replicas=1, serviceName="data"))
    await api.ok("POST", f"{APPS}/daemonsets", workload("agent"))
    await api.until(f"{JOBS}/run", lambda j: j.get("status", {}).get("ready") == 2)
    await api.until(f"{APPS}/statefulsets/db", settled(1))
    await api.until(f"{APPS}/daemonsets/agent", lambda ds: ds["status"].get("numberReady") == 2)

    def volatile(labels: Object) -> set[str]:
        return {key for key in labels if key.endswith(("controller-uid", "hash", "generation"))}

    seen = {}
    for pod in (await api.get(PODS))["items"]:
        labels = pod["metadata"]["labels"]
        seen[pod["metadata"]["name"].rpartition("-")[0]] = (
            {key: labels[key] for key in labels.keys() - volatile(labels)},
            volatile(labels),
            (pod["spec"].get("hostname"), pod["spec"].get("subdomain")),
        )
    revision, uid = "controller-revision-hash", {"controller-uid", "batch.kubernetes.io/controller-uid"}
    names = {"job-name": "run", "batch.kubernetes.io/job-name": "run"}
    assert seen == {
        "run-0": ({**names, "batch.kubernetes.io/job-completion-index": "0"}, uid, ("run-0", None)),
        "run-1": ({**names, "batch.kubernetes.io/job-completion-index": "1"}, uid, ("run-1", None)),
        "agent": ({"app": "agent"}, {revision, "pod-template-generation"}, (None, None)),
        "db": (
            {
                "app": "db",
                "statefulset.kubernetes.io/pod-name": "db-0",
                "apps.kubernetes.io/pod-index": "0",
            },
            {revision},
            ("db-0", "data"),
        ),
    }


@pytest.mark.parametrize("kind", ["statefulsets", "daemonsets"])
async def test_a_new_template_replaces_pod_by_pod(api: Api, kind: str) -> None:
    path = f"{APPS}/{kind}/w"
    await api.ok(
        "POST", f"{APPS}/{kind}", workload("w", **({"replicas": 2} if kind == "statefulsets" else {}))
    )
    change = {"spec": {"template": {"metadata": {"annotations": {"turn": "2"}}}}}
    await api.ok("PATCH", path, change, kind=MERGE)

    def replaced(pods: Object) -> bool:
        items = pods["items"]
        turns = [pod["metadata"].get("annotations", {}).get("turn") for pod in items]
        return turns == ["2", "2"] and all(pod["status"]["phase"] == "Running" for pod in items)

    await api.until(PODS, replaced)


async def test_recreate_removes_the_old_pods_first(api: Api) -> None:
    path = f"{APPS}/deployments/web"
    await api.ok("POST", f"{APPS}/deployments", workload("web", replicas=2, strategy={"type": "Recreate"}))
    await api.until(path, settled(2))
    change = {"spec": {"template": {"metadata": {"annotations": {"turn": "2"}}}}}
    await api.ok("PATCH", path, change, kind=MERGE)
    await api.until(path, settled(2))
    [left] = (await api.until(f"{APPS}/replicasets", lambda found: len(found["items"]) == 1))["items"]
    assert left["spec"]["template"]["metadata"]["annotations"] == {"turn": "2"}


async def test_a_partition_keeps_pods_below_it_on_the_old_template(api: Api) -> None:
    path = f"{APPS}/statefulsets/db"
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}
    await api.ok("POST", f"{APPS}/statefulsets", workload("db", replicas=2, updateStrategy=strategy))
    await api.until(path, settled(2))
    change = {"spec": {"template": {"metadata": {"annotations": {"turn": "2"}}}}}
    await api.ok("PATCH", path, change, kind=MERGE)
    await api.until(
        path, lambda db: db["status"].get("updatedReplicas") == db["status"]["readyReplicas"] - 1 == 1
    )
    turns = {p["metadata"]["name"]: p["metadata"].get("annotations") for p in await pods_of(api, "db")}
    assert turns == {"db-0": None, "db-1": {"turn": "2"}}
