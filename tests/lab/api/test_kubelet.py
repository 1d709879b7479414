"""Pods: how they come up, what their status says, how they end."""

from __future__ import annotations

import asyncio

from netprobe.lab.fabric.state import NetworkState
from netprobe.model.objects import Object
from tests.lab.api.conftest import Api

PODS = "/api/v1/namespaces/{namespace}/pods"
MERGE = "application/merge-patch+json"


async def test_a_pod_becomes_ready(api: Api) -> None:
    await api.pod("p", labels={"app": "x"})
    pod = await api.ready("p")
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
        "/api/v1/namespaces/{namespace}/events", fieldSelector=f"involvedObject.uid={pod['metadata']['uid']}"
    )
    assert [event["reason"] for event in events["items"]] == ["Scheduled", "Started"]


async def test_policies_apply_before_a_pod_starts(api: Api) -> None:
    """Placed, then enforced with it, then started: for each of many that come at once."""
    names = [f"p{number}" for number in range(30)]
    before = len(api.fabric.events)
    await asyncio.gather(*(api.pod(name) for name in names))
    for name in names:
        await api.ready(name)
    for name in names:
        ref = api.ref(name)
        kinds = [
            kind
            for kind, what in api.fabric.events[before:]
            if what == ref or (isinstance(what, NetworkState) and ref in what.members)
        ]
        assert kinds[:2] == ["place", "enforce"]
        assert kinds.index("start") > kinds.index("enforce")
    assert sum(kind == "enforce" for kind, _ in api.fabric.events[before:]) < len(names), (
        "changes are not coalesced"
    )


async def test_an_annotation_makes_a_pod_not_ready(api: Api) -> None:
    await api.pod("p")
    await api.ready("p")
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


async def test_a_probe_succeeds_where_the_port_is_declared(api: Api) -> None:
    container = {"image": "x", "ports": [{"containerPort": 80, "name": "http"}]}
    names = [f"p{number}" for number in range(len(PROBES))]
    for number, (name, (probe, _)) in enumerate(zip(names, PROBES, strict=True)):
        kind = ("readinessProbe", "startupProbe")[number % 2]
        await api.pod(name, {"containers": [{**container, "name": "c", kind: probe}]})
    events = "/api/v1/namespaces/{namespace}/events"
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
    await api.pod("p", {"activeDeadlineSeconds": 1})
    pod = await api.until(f"{PODS}/p", lambda pod: pod["status"]["phase"] == "Failed")
    assert pod["status"]["reason"] == "DeadlineExceeded"
    assert pod["status"]["podIP"], "it ran"
    await api.removed()
    assert api.ref("p") not in api.fabric.placed


async def test_a_graceful_deletion_is_quick(api: Api) -> None:
    await api.pod("p")
    await api.ready("p")
    leaving = await api.ok("DELETE", f"{PODS}/p")
    assert leaving["metadata"]["deletionGracePeriodSeconds"] == 30
    await api.gone(f"{PODS}/p")
    await api.removed()
    for _ in range(2):  # the name again, for another pod, at once
        await api.pod("p")
        await api.ready("p")
        await api.ok("DELETE", f"{PODS}/p", {"gracePeriodSeconds": 0})
    await api.removed()


async def test_nodes_are_chosen(api: Api) -> None:
    schedulable = await api.get("/api/v1/nodes", fieldSelector="spec.unschedulable=false")
    assert len(schedulable["items"]) == 2, "Kubernetes' own tests wait for such nodes"
    await api.pod("by-name", {"nodeName": "n2"})
    await api.pod("by-label", {"nodeSelector": {"kubernetes.io/hostname": "n2"}})
    for name in ("by-name", "by-label"):
        assert (await api.ready(name))["spec"]["nodeName"] == "n2"
    await api.pod("nowhere", {"nodeSelector": {"kubernetes.io/hostname": "n9"}})

    def refused(pod: Object) -> bool:
        conditions = pod["status"].get("conditions", ())
        return any(c.get("reason") == "Unschedulable" for c in conditions)

    assert (await api.until(f"{PODS}/nowhere", refused))["status"]["phase"] == "Pending"
    await api.ok("DELETE", f"{PODS}/nowhere")
    assert (await api.fails("GET", f"{PODS}/nowhere"))["code"] == 404


async def test_pods_that_want_the_same_host_port_run_on_different_nodes(api: Api) -> None:
    container = {"name": "c", "image": "x", "ports": [{"containerPort": 80, "hostPort": 34345}]}
    nodes = set()
    for name in ("one", "two"):
        await api.pod(name, {"containers": [container]})
        await api.ready(name)
        nodes |= {placed.node for ref, placed in api.fabric.placed.items() if ref == api.ref(name)}
    assert nodes == {"n1", "n2"}
    await api.pod("three", {"containers": [container]})
    pending = await api.until(f"{PODS}/three", lambda pod: pod["status"].get("conditions"))
    assert "free ports" in pending["status"]["conditions"][0]["message"]


async def test_a_pod_of_the_host_network_has_the_address_of_its_node(api: Api) -> None:
    await api.pod("p", {"hostNetwork": True, "nodeName": "n2"})
    pod = await api.ready("p")
    assert pod["status"]["podIP"] == pod["status"]["hostIP"] == "172.31.255.2"
    assert pod["spec"]["containers"][0]["ports"][0]["hostPort"] == 80
    assert api.fabric.state.members[api.ref("p")].host_network
