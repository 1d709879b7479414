"""Objects through the API: create, read, update, patch, delete, and what is refused."""

from __future__ import annotations

from typing import Any

from netprobe.model.objects import Object
from tests.lab.api.conftest import Api

PODS = "/api/v1/namespaces/{namespace}/pods"
MAPS = "/api/v1/namespaces/{namespace}/configmaps"
POLICIES = "/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"


async def test_a_policy_counts_its_generations(api: Api) -> None:
    made = await api.ok("POST", POLICIES, {"metadata": {"name": "p"}, "spec": {}})
    assert made["metadata"]["generation"] == 1
    change = {"spec": {"policyTypes": ["Ingress", "Egress"]}}
    changed = await api.ok("PATCH", f"{POLICIES}/p", change, kind=MERGE)
    assert changed["metadata"]["generation"] == 2
    labelled = await api.ok("PATCH", f"{POLICIES}/p", {"metadata": {"labels": {"a": "b"}}}, kind=MERGE)
    assert labelled["metadata"]["generation"] == 2


FROM_ALL: list[Object] = [{"from": [{"namespaceSelector": {}}]}]
POLICY_DEFAULTS: list[tuple[Object, Object]] = [
    ({}, {}),
    ({"egress": [{}]}, {"egress": [{}], "policyTypes": ["Ingress", "Egress"]}),
    ({"egress": []}, {}),
    ({"ingress": [{"ports": [{"port": 80}]}]}, {"ingress": [{"ports": [{"port": 80, "protocol": "TCP"}]}]}),
    ({"ingress": FROM_ALL}, {"ingress": FROM_ALL}),
]


async def test_defaults_of_a_policy(api: Api) -> None:
    for number, (given, stored) in enumerate(POLICY_DEFAULTS):
        made = await api.ok("POST", POLICIES, {"metadata": {"name": f"p{number}"}, "spec": given})
        assert made["spec"] == {"podSelector": {}, "policyTypes": ["Ingress"], **stored}


async def test_refusals(api: Api) -> None:
    missing = await api.fails("GET", f"{PODS}/nobody")
    assert missing["message"] == 'pods "nobody" not found'
    assert missing["details"] == {"name": "nobody", "kind": "pods"}
    await api.ok("POST", MAPS, {"metadata": {"name": "a"}})
    twice = await api.fails("POST", MAPS, {"metadata": {"name": "a"}})
    assert (twice["code"], twice["reason"]) == (409, "AlreadyExists")
    nowhere = await api.fails("POST", "/api/v1/namespaces/no/configmaps", {"metadata": {"name": "a"}})
    assert nowhere["message"] == 'namespaces "no" not found'
    assert (await api.fails("GET", "/apis/example.com/v1/things"))["reason"] == "NotFound"
    assert (await api.fails("PUT", PODS, {}))["code"] == 405
    assert (await api.fails("POST", MAPS, b"{"))["code"] == 400
    assert (await api.fails("POST", MAPS, b"x", kind="text/plain"))["code"] == 415
    badly = await api.fails("POST", MAPS, {"metadata": {"name": "Not_Good"}})
    assert [cause["field"] for cause in badly["details"]["causes"]] == ["metadata.name"]


async def test_a_request_without_the_token_is_refused(api: Api) -> None:
    for header in ("", "Bearer wrong"):
        async with api.session.get("/version", headers={"Authorization": header}) as response:
            assert response.status == 401
            assert (await response.json())["reason"] == "Unauthorized"


async def test_a_stale_update_conflicts(api: Api) -> None:
    made = await api.ok("POST", MAPS, {"metadata": {"name": "a"}, "data": {"k": "1"}})
    assert await api.ok("PUT", f"{MAPS}/a", made) == made, "a write without changes keeps the revision"
    await api.ok("PATCH", f"{MAPS}/a", {"data": {"k": "2"}}, kind=MERGE)
    error = await api.fails("PUT", f"{MAPS}/a", {**made, "data": {"k": "3"}})
    assert error["reason"] == "Conflict"
    del made["metadata"]["resourceVersion"]
    assert (await api.ok("PUT", f"{MAPS}/a", {**made, "data": {"k": "3"}}))["data"] == {"k": "3"}


async def test_a_dry_run_stores_nothing(api: Api) -> None:
    made = await api.ok("POST", PODS, {**_pod("p")}, dryRun="All")
    assert made["spec"]["restartPolicy"] == "Always"
    assert (await api.fails("GET", f"{PODS}/p"))["code"] == 404
    await api.ok("POST", MAPS, {"metadata": {"name": "a"}})
    await api.ok("DELETE", f"{MAPS}/a", dryRun="All")
    await api.get(f"{MAPS}/a")


def _pod(name: str, **spec: Any) -> Object:
    return {"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "x"}], **spec}}


async def test_a_field_of_the_wrong_type(api: Api) -> None:
    error = await api.fails("POST", PODS, _pod("p", nodeName=3))
    assert error["code"] == 400
    assert "Pod.spec.nodeName of type string" in error["message"]


async def test_the_spec_of_a_pod_cannot_change(api: Api) -> None:
    await api.ok("POST", PODS, _pod("p"))
    change = {"spec": {"hostNetwork": True}}
    error = await api.fails("PATCH", f"{PODS}/p", change, kind=MERGE)
    assert "pod updates may not change fields other than" in error["message"]
    image = {"spec": {"containers": [{"name": "c", "image": "y"}]}}
    changed = await api.ok("PATCH", f"{PODS}/p", image, kind=STRATEGIC)
    assert [c["image"] for c in changed["spec"]["containers"]] == ["y"]


async def test_every_error_of_a_pod_is_reported_at_once(api: Api) -> None:
    container = {"name": "C", "ports": [{"containerPort": 0}, {"containerPort": 80, "name": "80"}]}
    error = await api.fails("POST", PODS, {"metadata": {"name": "p"}, "spec": {"containers": [container]}})
    fields = [cause["field"] for cause in error["details"]["causes"]]
    assert fields == [
        "spec.containers[0].name",
        "spec.containers[0].image",
        "spec.containers[0].ports[0].containerPort",
        "spec.containers[0].ports[1].name",
    ]


async def test_status_and_spec_are_written_separately(api: Api) -> None:
    await api.ok("POST", PODS, _pod("p", nodeName="elsewhere"))
    both: Object = {"spec": {"activeDeadlineSeconds": 5}, "status": {"message": "hello"}}
    main = await api.ok("PATCH", f"{PODS}/p", both, kind=MERGE)
    assert main["spec"]["activeDeadlineSeconds"] == 5
    assert "message" not in main["status"]
    both["spec"]["activeDeadlineSeconds"] = 3
    status = await api.ok("PATCH", f"{PODS}/p/status", both, kind=MERGE)
    assert status["status"]["message"] == "hello"
    assert status["spec"]["activeDeadlineSeconds"] == 5


async def test_preconditions_of_a_deletion(api: Api) -> None:
    made = await api.ok("POST", MAPS, {"metadata": {"name": "a"}})
    wrong = {"preconditions": {"uid": "00000000-0000-0000-0000-000000000000"}}
    error = await api.fails("DELETE", f"{MAPS}/a", wrong)
    assert error["reason"] == "Conflict"
    right = {"preconditions": {"uid": made["metadata"]["uid"]}}
    gone = await api.ok("DELETE", f"{MAPS}/a", right)
    assert gone["details"] == {"name": "a", "kind": "configmaps", "uid": made["metadata"]["uid"]}


async def test_services_get_addresses_and_ports(api: Api) -> None:
    path = "/api/v1/namespaces/{namespace}/services"
    port = {"port": 80, "targetPort": "http"}
    body = {"metadata": {"name": "a"}, "spec": {"ports": [port], "type": "NodePort"}}
    first = (await api.ok("POST", path, body))["spec"]
    assert first["clusterIP"].startswith("10.96.")
    assert first["clusterIPs"] == [first["clusterIP"]]
    assert 30000 <= first["ports"][0]["nodePort"] <= 32767
    assert first["ports"][0]["protocol"] == "TCP"
    second = (await api.ok("POST", path, {**body, "metadata": {"name": "b"}}))["spec"]
    assert second["clusterIP"] != first["clusterIP"]
    assert second["ports"][0]["nodePort"] != first["ports"][0]["nodePort"]
    taken = {"metadata": {"name": "c"}, "spec": {"ports": [{"port": 1}], "clusterIP": first["clusterIP"]}}
    assert "provided IP is already allocated" in (await api.fails("POST", path, taken))["message"]
    headless = {"metadata": {"name": "d"}, "spec": {"clusterIP": "None", "selector": {"a": "b"}}}
    assert (await api.ok("POST", path, headless))["spec"]["clusterIP"] == "None"
    kept = await api.ok("PATCH", f"{path}/a", {"spec": {"ports": [{"port": 80}]}}, kind=STRATEGIC)
    assert kept["spec"]["ports"][0]["nodePort"] == first["ports"][0]["nodePort"]
    moved = await api.fails("PATCH", f"{path}/a", {"spec": {"clusterIP": "10.96.9.9"}}, kind=MERGE)
    assert "may not change once set" in moved["message"]


async def test_a_malformed_selector_of_a_workload_is_refused(api: Api) -> None:
    container = {"name": "c", "image": "x"}
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [container]}}
    spec = {"selector": {"matchExpressions": [{"key": "a"}]}, "template": template}
    path = "/apis/apps/v1/namespaces/{namespace}/deployments"
    error = await api.fails("POST", path, {"metadata": {"name": "d"}, "spec": spec})
    assert "spec.selector.matchExpressions[0].operator" in error["message"]
