"""Pods: how they come up, what their status says, how they end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from netprobe.lab.fabric.state import NetworkState
from netprobe.model.flow import PodRef
from netprobe.model.objects import Object
from tests.lab.api.conftest import Api

PODS = "/api/v1/namespaces/default/pods"
MERGE = "application/merge-patch+json"


async def test_a_pod_becomes_ready(api: Api) -> None:
    await api.pod("default", "p", labels={"app": "x"})
    pod = await api.ready("default", "p")
    status = pod["status"]
    assert status["phase"] == "Running"
    assert status["podIPs"] == [{"ip": status["podIP"]}]
    assert status["hostIP"].startswith("172.31.255.")
    assert pod["spec"]["nodeName"] in {"n1", "n2"}
    [container] = status["containerStatuses"]
    assert container["ready"]
    assert "running" in container["state"]
    assert {c["type"]: c["status"] for c in status["conditions"]} == {
        "PodReadyToStartContainers": "True",
        "Initialized": "True",
        "Ready": "True",
        "ContainersReady": "True",
        "PodScheduled": "True",
    }
    events = await api.get(
        "/api/v1/namespaces/default/events", fieldSelector=f"involvedObject.uid={pod['metadata']['uid']}"
    )
    assert [event["reason"] for event in events["items"]] == ["Scheduled", "Started"]


async def test_policies_apply_before_a_pod_starts(api: Api) -> None:
    """Placed, then enforced with it, then started: for each of many that come at once."""
    names = [f"p{number}" for number in range(30)]
    await asyncio.gather(*(api.pod("default", name) for name in names))
    for name in names:
        await api.ready("default", name)
    for name in names:
        ref = PodRef("default", name)
        kinds = [
            kind
            for kind, what in api.fabric.events
            if what == ref or (isinstance(what, NetworkState) and ref in what.members)
        ]
        assert kinds[:2] == ["place", "enforce"]
        assert kinds.index("start") > kinds.index("enforce")
    assert sum(kind == "enforce" for kind, _ in api.fabric.events) < len(names), "changes are not coalesced"


async def test_policies_see_labels_at_once(api: Api) -> None:
    await api.namespace("shop", tier="a")
    await api.pod("shop", "p", labels={"app": "x"})
    await api.ready("shop", "p")
    await api.ok("PATCH", "/api/v1/namespaces/shop", {"metadata": {"labels": {"tier": "b"}}}, kind=MERGE)
    change = {"metadata": {"labels": {"app": "y"}}}
    await api.ok("PATCH", "/api/v1/namespaces/shop/pods/p", change, kind=MERGE)
    policy = {"metadata": {"name": "deny"}, "spec": {}}
    await api.ok("POST", "/apis/networking.k8s.io/v1/namespaces/shop/networkpolicies", policy)
    await enforced(api, lambda state: len(state.policies) == 1)
    state = api.fabric.state
    assert state.namespaces["shop"] == {"tier": "b", "kubernetes.io/metadata.name": "shop"}
    member = state.members[PodRef("shop", "p")]
    assert member.labels == {"app": "y"}
    assert [(port.number, port.name) for port in member.ports] == [(80, "http")]


async def enforced(api: Api, holds: Any) -> None:
    async with asyncio.timeout(60):
        while not holds(api.fabric.state):
            api.fabric.enforced.clear()
            await api.fabric.enforced.wait()


async def test_a_readiness_gate_counts(api: Api) -> None:
    kind = "netprobe.dev/never"
    await api.pod("default", "p", {"readinessGates": [{"conditionType": kind}]})
    pod = await api.until(f"{PODS}/p", lambda pod: pod["status"]["phase"] == "Running")
    ready = next(c for c in pod["status"]["conditions"] if c["type"] == "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "ReadinessGatesNotReady")
    assert pod["status"]["podIP"]
    gate = {"status": {"conditions": [{"type": kind, "status": "True"}]}}
    strategic = "application/strategic-merge-patch+json"
    await api.ok("PATCH", f"{PODS}/p/status", gate, kind=strategic)
    await api.ready("default", "p")


async def test_an_annotation_makes_a_pod_not_ready(api: Api) -> None:
    await api.pod("default", "p")
    await api.ready("default", "p")
    for value, status in (("false", "False"), ("true", "True"), ("false", "False"), (None, "True")):
        change = {"metadata": {"annotations": {"netprobe.dev/ready": value}}}
        await api.ok("PATCH", f"{PODS}/p", change, kind=MERGE)

        def turned(pod: Object, status: str = status) -> bool:
            conditions = {c["type"]: c["status"] for c in pod["status"]["conditions"]}
            return {conditions["Ready"], conditions["ContainersReady"]} == {status}

        pod = await api.until(f"{PODS}/p", turned)
        assert pod["status"]["containerStatuses"][0]["ready"] == (status == "True")


PROBES: list[tuple[Object, str]] = [
    ({"tcpSocket": {"port": 80}}, ""),
    ({"httpGet": {"path": "/", "port": "http"}}, ""),
    ({"exec": {"command": ["false"]}}, ""),
    ({"tcpSocket": {"port": 9, "host": "example.org"}}, ""),
    ({"httpGet": {"path": "/", "port": 8080}}, "no container declares the TCP port 8080"),
    ({"httpGet": {"path": "/", "port": "other"}}, "no container declares the TCP port other"),
    ({"grpc": {"port": 9}}, "no container declares the TCP port 9"),
]


@pytest.mark.parametrize("kind", ["readinessProbe", "startupProbe"])
async def test_a_probe_succeeds_where_the_port_is_declared(api: Api, kind: str) -> None:
    container = {"image": "x", "ports": [{"containerPort": 80, "name": "http"}]}
    names = [f"p{number}" for number in range(len(PROBES))]
    for name, (probe, _) in zip(names, PROBES, strict=True):
        await api.pod("default", name, {"containers": [{**container, "name": "c", kind: probe}]})
    events = "/api/v1/namespaces/default/events"
    for name, (_, why) in zip(names, PROBES, strict=True):
        pod = await api.until(f"{PODS}/{name}", lambda pod: pod["status"]["phase"] == "Running")
        ready = next(c for c in pod["status"]["conditions"] if c["type"] == "Ready")
        assert ready["status"] == ("False" if why else "True"), name
        if why:
            assert ready["message"] == "containers with unready status: [c]"
            query = {"fieldSelector": f"involvedObject.name={name},reason=Unhealthy"}
            found = await api.until(events, lambda listed: listed["items"], **query)
            assert found["items"][0]["message"].endswith(why)


async def test_a_deadline_fails_a_pod_and_leaves_the_object(api: Api) -> None:
    await api.pod("default", "p", {"activeDeadlineSeconds": 1})
    pod = await api.until(f"{PODS}/p", lambda pod: pod["status"]["phase"] == "Failed")
    assert pod["status"]["reason"] == "DeadlineExceeded"
    assert pod["status"]["podIP"], "it ran"
    await enforced(api, lambda state: not state.members)
    assert PodRef("default", "p") not in api.fabric.placed


async def test_a_graceful_deletion_is_quick(api: Api) -> None:
    await api.pod("default", "p")
    await api.ready("default", "p")
    leaving = await api.ok("DELETE", f"{PODS}/p")
    assert leaving["metadata"]["deletionGracePeriodSeconds"] == 30
    await api.gone(f"{PODS}/p")
    await enforced(api, lambda state: not state.members)
    assert api.fabric.placed == {}


async def test_a_reused_name_is_another_pod(api: Api) -> None:
    for _ in range(3):
        await api.pod("default", "p")
        await api.ready("default", "p")
        await api.ok("DELETE", f"{PODS}/p", {"gracePeriodSeconds": 0})
    await enforced(api, lambda state: not state.members)
    assert api.fabric.placed == {}


async def test_nodes_are_chosen(api: Api) -> None:
    schedulable = await api.get("/api/v1/nodes", fieldSelector="spec.unschedulable=false")
    assert len(schedulable["items"]) == 2, "Kubernetes' own tests wait for such nodes"
    await api.pod("default", "by-name", {"nodeName": "n2"})
    await api.pod("default", "by-label", {"nodeSelector": {"kubernetes.io/hostname": "n2"}})
    for name in ("by-name", "by-label"):
        assert (await api.ready("default", name))["spec"]["nodeName"] == "n2"
    await api.pod("default", "nowhere", {"nodeSelector": {"kubernetes.io/hostname": "n9"}})

    def refused(pod: Object) -> bool:
        conditions = pod["status"].get("conditions", ())
        return any(c.get("reason") == "Unschedulable" for c in conditions)

    assert (await api.until(f"{PODS}/nowhere", refused))["status"]["phase"] == "Pending"
    await api.ok("DELETE", f"{PODS}/nowhere")
    assert (await api.fails("GET", f"{PODS}/nowhere"))["code"] == 404


async def test_a_taint_keeps_new_pods_off_a_node(api: Api) -> None:
    taint = {"key": "t", "value": "x", "effect": "NoExecute"}
    await api.ok("PATCH", "/api/v1/nodes/n2", {"spec": {"taints": [taint]}}, kind=MERGE)
    selector = {"nodeSelector": {"kubernetes.io/hostname": "n2"}}
    tolerated = {"tolerations": [{"key": "t", "operator": "Exists", "effect": "NoExecute"}]}
    await api.pod("default", "bold", {**selector, **tolerated})
    await api.ready("default", "bold")
    await api.pod("default", "shy", selector)
    pending = await api.until(f"{PODS}/shy", lambda pod: pod["status"].get("conditions"))
    assert pending["status"]["conditions"][0]["message"] == (
        "0/2 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, "
        "1 node(s) had untolerated taint {t: x}."
    )
    await api.ok("PATCH", "/api/v1/nodes/n2", {"spec": {"taints": []}}, kind=MERGE)
    await api.ready("default", "shy")


async def test_a_pod_of_the_host_network_has_the_address_of_its_node(api: Api) -> None:
    await api.pod("default", "p", {"hostNetwork": True, "nodeName": "n2"})
    pod = await api.ready("default", "p")
    assert pod["status"]["podIP"] == pod["status"]["hostIP"] == "172.31.255.2"
    assert pod["spec"]["containers"][0]["ports"][0]["hostPort"] == 80
    assert api.fabric.state.members[PodRef("default", "p")].host_network


async def test_no_selector_matches_an_external_host(api: Api) -> None:
    await api.namespace("netprobe-outside")
    annotations = {"netprobe.dev/address": "203.0.113.50"}
    await api.pod("netprobe-outside", "partner", annotations=annotations)
    pod = await api.ready("netprobe-outside", "partner")
    assert pod["status"]["podIP"] == "203.0.113.50"
    state = api.fabric.state
    assert "netprobe-outside" not in state.namespaces
    assert state.members[PodRef("netprobe-outside", "partner")].external


async def test_many_pods_start_quickly(api: Api) -> None:
    async with asyncio.timeout(60):
        await asyncio.gather(*(api.pod("default", f"p{number}") for number in range(200)))

        def up(pods: Object) -> bool:
            return len([pod for pod in pods["items"] if pod["status"]["phase"] == "Running"]) == 200

        await api.until(PODS, up)
