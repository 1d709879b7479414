"""The loops behind the API: owners and dependents, namespaces, workloads, endpoints."""

from __future__ import annotations

from typing import Any

import pytest

from netprobe.model.objects import Object
from tests.lab.api.conftest import Api

SPACE = "/api/v1/namespaces/{namespace}"
MAPS = f"{SPACE}/configmaps"
PODS = f"{SPACE}/pods"
EVENTS = f"{SPACE}/events"
APPS = "/apis/apps/v1/namespaces/{namespace}"
JOBS = "/apis/batch/v1/namespaces/{namespace}/jobs"
MERGE = "application/merge-patch+json"
TURN = {"spec": {"template": {"metadata": {"annotations": {"turn": "2"}}}}}
"""A change of a template."""


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
    await api.ok("POST", MAPS, {"metadata": {"name": "d", "ownerReferences": [owner(two)]}})
    await api.ok("DELETE", f"{MAPS}/two", {"propagationPolicy": "Orphan"})
    await api.gone(f"{MAPS}/two")
    assert "ownerReferences" not in (await api.get(f"{MAPS}/d"))["metadata"]
    three = await api.ok("POST", MAPS, {"metadata": {"name": "three"}})
    metadata = {"name": "q", "ownerReferences": [owner(three)]}
    await api.ok("POST", policies, {"metadata": metadata, "spec": {}})
    await api.ok("DELETE", f"{MAPS}/three")
    await api.gone(f"{policies}/q")


async def test_deleting_a_namespace_deletes_its_objects(api: Api) -> None:
    await api.pod("p")
    await api.ready("p")
    await api.ok("POST", MAPS, {"metadata": {"name": "m", "finalizers": ["example.com/hold"]}})
    owned = {"name": f"{api.namespace}-owned", "ownerReferences": [owner(await api.get(SPACE))]}
    await api.ok("POST", "/api/v1/namespaces", {"metadata": owned})
    leaving = await api.ok("DELETE", SPACE)
    assert leaving["status"]["phase"] == "Terminating"
    await api.gone(f"{PODS}/p")
    error = await api.fails("POST", MAPS, {"metadata": {"name": "n"}})
    assert error["reason"] == "Forbidden"
    assert error["details"]["causes"][0]["reason"] == "NamespaceTerminating"
    assert (await api.get(SPACE))["status"]["phase"] == "Terminating"
    await api.ok("PATCH", f"{MAPS}/m", {"metadata": {"finalizers": None}}, kind=MERGE)
    await api.gone(SPACE)
    await api.gone(f"{SPACE}-owned")
    assert api.placed == set()
    assert (await api.fails("DELETE", "/api/v1/namespaces/default"))["reason"] == "Forbidden"


async def test_a_new_namespace_has_a_service_account_and_the_ca(api: Api) -> None:
    await api.until(f"{SPACE}/serviceaccounts/default", bool)
    bundle = await api.until(f"{MAPS}/kube-root-ca.crt", bool)
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


async def test_a_bare_replica_set_adopts_heals_and_releases(api: Api) -> None:
    """Another label takes a pod out of service, and the pod stays for people to look at."""
    path = f"{APPS}/replicasets/rs"
    await api.pod("found", labels={"app": "rs"})
    await api.ok("POST", f"{APPS}/replicasets", workload("rs", replicas=2))
    await api.until(path, settled(2))
    [other] = {pod["metadata"]["name"] for pod in await pods_of(api, "rs")} - {"found"}
    await api.ok("DELETE", f"{PODS}/found")
    await api.gone(f"{PODS}/found")
    await api.until(path, settled(2))
    change = {"metadata": {"labels": {"app": "aside"}}}
    await api.ok("PATCH", f"{PODS}/{other}", change, kind=MERGE)
    free = await api.until(f"{PODS}/{other}", lambda p: "ownerReferences" not in p["metadata"])
    assert free["metadata"]["labels"] == {"app": "aside"}
    await api.until(path, settled(2))
    assert other not in {pod["metadata"]["name"] for pod in await pods_of(api, "rs")}


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


def job(name: str, **spec: Any) -> Object:
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "pause"}]}}
    return {"metadata": {"name": name}, "spec": {"template": template, **spec}}


async def test_a_job_keeps_its_pods_and_waits_while_it_is_suspended(api: Api) -> None:
    made = job("run", completions=3, parallelism=2, suspend=True)
    made["spec"]["template"]["spec"]["activeDeadlineSeconds"] = 1
    await api.ok("POST", JOBS, made)
    await api.until(f"{JOBS}/run", lambda j: j.get("status", {}).get("startTime"))
    assert (await api.get(PODS))["items"] == []
    await api.ok("PATCH", f"{JOBS}/run", {"spec": {"suspend": False}}, kind=MERGE)

    def failed(pods: Object) -> bool:
        return [pod["status"]["phase"] for pod in pods["items"]] == ["Failed"] * 2

    await api.until(PODS, failed, labelSelector="job-name=run")
    await api.until(f"{JOBS}/run", lambda j: j["status"]["active"] == 0)
    assert failed(await api.get(PODS)), "they are not replaced"
    await api.ok("DELETE", f"{JOBS}/run")
    await api.until(PODS, lambda found: not found["items"])


async def test_endpoints_follow_pods(api: Api) -> None:
    services = f"{SPACE}/services"
    port = {"port": 8080, "targetPort": "http"}
    service = {"metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}, "ports": [port]}}
    await api.ok("POST", services, service)
    await api.pod("p", labels={"app": "web"})
    pod = await api.ready("p")
    gated = {"readinessGates": [{"conditionType": "netprobe.dev/never"}]}
    await api.pod("q", gated, labels={"app": "web"})
    slices = "/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
    query = {"labelSelector": "kubernetes.io/service-name=web"}
    listed = await api.until(slices, lambda s: s["items"] and len(s["items"][0]["endpoints"]) == 2, **query)
    ready = {e["targetRef"]["name"]: e["conditions"]["ready"] for e in listed["items"][0]["endpoints"]}
    assert ready == {"p": True, "q": False}
    [first] = (e for e in listed["items"][0]["endpoints"] if e["targetRef"]["name"] == "p")
    assert first["addresses"] == [pod["status"]["podIP"]]
    assert listed["items"][0]["ports"] == [{"name": "", "port": 80, "protocol": "TCP"}]
    await api.ok("PATCH", f"{services}/web", {"spec": {"publishNotReadyAddresses": True}}, kind=MERGE)

    def published(slices: Object) -> bool:
        return all(endpoint["conditions"]["ready"] for endpoint in slices["items"][0]["endpoints"])

    await api.until(slices, published, **query)
    await api.ok("DELETE", f"{services}/web")
    await api.until(slices, lambda s: not s["items"], **query)


async def test_where_pods_of_workloads_run_and_what_they_are_called(api: Api) -> None:
    """Their labels are compared with a real cluster's (tests/contract)."""
    indexed = {"completionMode": "Indexed", "completions": 2, "parallelism": 2}
    await api.ok("POST", JOBS, job("run", **indexed))
    await api.ok("POST", f"{APPS}/statefulsets", workload("db", replicas=1, serviceName="data"))
    await api.ok("POST", f"{APPS}/daemonsets", workload("agent"))
    pods = await api.until(PODS, lambda pods: all_running(pods["items"], 5))
    seen = {
        (
            pod["metadata"]["name"].rpartition("-")[0],
            pod["spec"].get("hostname"),
            pod["spec"].get("subdomain"),
        )
        for pod in pods["items"]
    }
    named = {("run-0", "run-0", None), ("run-1", "run-1", None), ("db", "db-0", "data")}
    assert seen == {*named, ("agent", None, None)}
    assert {pod["spec"]["nodeName"] for pod in await pods_of(api, "agent")} == {"n1", "n2"}


@pytest.mark.parametrize(("kind", "spec"), [("daemonsets", {}), ("statefulsets", {"replicas": 2})])
async def test_a_new_template_replaces_pod_by_pod(api: Api, kind: str, spec: Object) -> None:
    await api.ok("POST", f"{APPS}/{kind}", workload("w", **spec))
    await api.until(PODS, lambda pods: all_running(pods["items"], 2))
    await api.ok("PATCH", f"{APPS}/{kind}/w", TURN, kind=MERGE)

    def replaced(pods: Object) -> bool:
        seen = [pod["metadata"].get("annotations", {}).get("turn") for pod in pods["items"]]
        return seen == ["2", "2"] and all_running(pods["items"], 2)

    await api.until(PODS, replaced)


def all_running(pods: list[Object], number: int) -> bool:
    return [pod["status"]["phase"] for pod in pods] == ["Running"] * number
