"""The official asyncio client against the server, as netprobe itself uses it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.lab.api.conftest import Api

kubernetes = pytest.importorskip("kubernetes.aio")


@pytest.fixture
async def client(api: Api) -> AsyncIterator[Any]:
    from kubernetes.aio import config

    made = await config.new_client_from_config(str(api.server.kubeconfig))
    try:
        yield made
    finally:
        await made.close()


def manifest(name: str, **labels: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels},
        "spec": {"containers": [{"name": "c", "image": "x", "ports": [{"containerPort": 80}]}]},
    }


async def test_a_watch_goes_through_a_pods_life(client: Any) -> None:
    core = kubernetes.client.CoreV1Api(client)
    revision = (await core.list_namespaced_pod("default")).metadata.resource_version
    await core.create_namespaced_pod("default", manifest("p"))
    phases: list[str] = []

    async def follow() -> None:
        from kubernetes.aio import watch

        async with watch.Watch() as watching:
            stream = watching.stream(
                core.list_namespaced_pod, "default", resource_version=revision, timeout_seconds=10
            )
            async for event in stream:
                pod = event["object"]
                phases.append(f"{event['type']} {pod.status.phase}")
                if pod.status.phase == "Running" and not pod.metadata.deletion_timestamp:
                    await core.delete_namespaced_pod("p", "default")
                if event["type"] == "DELETED":
                    return

    await asyncio.wait_for(follow(), 10)
    assert phases[0] == "ADDED Pending"
    assert "MODIFIED Running" in phases
    assert phases[-1].startswith("DELETED")


async def test_exec(api: Api, client: Any) -> None:
    from kubernetes.aio import config
    from kubernetes.aio.stream import WsApiClient

    await api.pod("default", "p")
    await api.ready("default", "p")
    configuration = kubernetes.client.Configuration()
    await config.load_kube_config(str(api.server.kubeconfig), client_configuration=configuration)
    async with WsApiClient(configuration) as streaming:
        core = kubernetes.client.CoreV1Api(streaming)
        text = await core.connect_get_namespaced_pod_exec(
            "p", "default", command=["echo", "hello"], stdout=True, stderr=True, stdin=False, tty=False
        )
    assert text == "hello\n"


async def test_a_lease_is_renewed_and_contested(client: Any) -> None:
    coordination = kubernetes.client.CoordinationV1Api(client)
    spec = {"holderIdentity": "a", "leaseDurationSeconds": 15, "renewTime": "2026-11-23T05:00:00.123456Z"}
    lease = await coordination.create_namespaced_lease("default", {"metadata": {"name": "l"}, "spec": spec})
    assert lease.spec.renew_time.microsecond == 123456
    stale = lease.metadata.resource_version
    body = {"metadata": {"resourceVersion": stale}, "spec": {"holderIdentity": "b"}}
    await coordination.patch_namespaced_lease("l", "default", body)
    with pytest.raises(kubernetes.client.ApiException) as caught:
        await coordination.patch_namespaced_lease("l", "default", body)
    assert caught.value.status == 409
