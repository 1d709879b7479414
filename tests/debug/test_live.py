"""On a lab: what is created, said and left, and what happens where a shadow pod may not be."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest

from netprobe.debug import Answer, Request, debug, watch
from netprobe.debug.guests import EphemeralContainers
from netprobe.kube import connect
from netprobe.kube.client import KubeCluster
from netprobe.lab import Lab
from netprobe.model.flow import PodRef
from netprobe.model.objects import Object
from netprobe.probe.run_objects import PodOptions
from netprobe.run.target import ClusterChoice
from tests.debug import faults

pytestmark = pytest.mark.lab


SHOP = "live-shop"


@pytest.fixture(scope="module", autouse=True)
def shop(lab: Lab) -> Iterator[None]:
    """The shop without faults."""

    async def create() -> None:
        async with connect(str(lab.kubeconfig)) as cluster:
            await faults.apply(cluster, faults.fault("shop", "live").objects)
            await faults.settled(cluster, [SHOP], 3)

    async def delete() -> None:
        async with connect(str(lab.kubeconfig)) as cluster:
            await cluster.delete("Namespace", SHOP)

    asyncio.run(create())
    yield
    asyncio.run(delete())


@pytest.fixture
def question(lab: Lab) -> Request:
    return faults.request(ClusterChoice(lab=lab.name), [f"{SHOP}/web", f"svc:{SHOP}/db"])


def ignore(_: object) -> None:
    pass


def test_the_answer_comes_first_and_then_everything_is_removed(lab: Lab, question: Request) -> None:
    async def ask() -> tuple[Answer, list[str], list[str]]:
        async with connect(str(lab.kubeconfig)) as cluster:
            before = await everything(cluster)
            tasks = []

            def on_answer(_: Answer) -> None:
                tasks.append(asyncio.ensure_future(faults.leftovers(cluster)))

            answer = await debug(question, ignore, on_answer)
            during = await tasks[0]
            assert await everything(cluster) == before
            return answer, during, await faults.leftovers(cluster)

    answer, during, after = asyncio.run(ask())
    assert (answer.exit_status, answer.connects, answer.causes) == (0, True, ())
    assert during, "the answer was printed after the removal"
    assert after == []


async def everything(cluster: KubeCluster) -> list[tuple[str, str]]:
    kinds = ("Pod", "Service", "Deployment", "StatefulSet", "NetworkPolicy", "Namespace", "Job")
    found = [obj for kind in kinds for obj in await cluster.find(kind)]
    return sorted((obj["kind"], obj["metadata"]["uid"]) for obj in found)


def test_reading_only_sends_nothing(question: Request) -> None:
    answer = asyncio.run(debug(replace(question, probe=False), ignore, ignore))
    assert (answer.exit_status, answer["packets"].text) == (3, "--no-probe only reads")


GOSSIP: Object = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "gossip", "namespace": SHOP},
    "spec": {
        "clusterIP": "None",
        "publishNotReadyAddresses": True,
        "selector": {"app": "web"},
        "ports": [{"port": 8080}],
    },
}


ALLOWED: Object = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "db", "namespace": SHOP},
    "spec": {
        "podSelector": {"matchLabels": {"app": "db"}},
        "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "web"}}}]}],
    },
}
"""Because of its peer, the shadow needs the label that the Service selects."""


def test_where_a_shadow_pod_would_disturb_an_ephemeral_container_asks(lab: Lab, question: Request) -> None:
    said: list[str] = []

    async def ask() -> tuple[Answer, Answer]:
        async with connect(str(lab.kubeconfig)) as cluster:
            await faults.apply(cluster, [GOSSIP, ALLOWED])
            try:
                refused = await debug(question, ignore, ignore)
                ephemeral = replace(question, ephemeral=True, say=said.append)
                answer = await debug(ephemeral, ignore, ignore)
                await all_ended(cluster, "web")
                return refused, answer
            finally:
                await cluster.delete("Service", "gossip", SHOP)
                await cluster.delete("NetworkPolicy", "db", SHOP)

    refused, ephemeral = asyncio.run(ask())
    text = refused["packets"].text
    assert text.startswith(f"a shadow pod would disturb other workloads: Service {SHOP}/gossip publishes")
    assert text.endswith("(--disturb creates it anyway)")
    assert (refused.exit_status, refused["path"].status.value) == (3, "ok")
    assert ephemeral.exit_status == 0
    assert len(said) == 1
    assert "it ends with this command and cannot be removed" in said[0]


async def all_ended(cluster: KubeCluster, app: str) -> None:
    """Wait until all ephemeral containers of a pod of the shop have ended."""
    async with asyncio.timeout(faults.READY_S):
        while True:
            [pod] = await cluster.find("Pod", SHOP, {"app": app})
            if all("terminated" in one["state"] for one in pod["status"]["ephemeralContainerStatuses"]):
                return
            await asyncio.sleep(0.1)


def test_every_ephemeral_container_ends_when_its_client_detaches(lab: Lab) -> None:
    async def attach() -> None:
        async with connect(str(lab.kubeconfig)) as cluster:
            [pod] = await cluster.find("Pod", SHOP, {"app": "web"})
            ref = PodRef(SHOP, pod["metadata"]["name"])
            containers = EphemeralContainers(cluster, PodOptions(), ready_s=faults.READY_S)
            for name in (f"cat-{number}" for number in range(8)):
                await containers.add(ref, name, ["sh", "-c", "cat", "netprobe"])
                async with containers.exec(ref.namespace, ref.name, name, ()) as execution:
                    await execution.send("text\n")
            await all_ended(cluster, "web")

    asyncio.run(attach())


def test_watching_ends_when_the_result_changes(lab: Lab, question: Request) -> None:
    async def ask() -> list[tuple[Answer, float | None]]:
        seen: list[tuple[Answer, float | None]] = []
        async with connect(str(lab.kubeconfig)) as cluster:
            policy = faults.fault("ingress-policy", "live").objects[0]
            changes: list[asyncio.Future[Object]] = []

            def on_answer(answer: Answer, after_s: float | None) -> None:
                seen.append((answer, after_s))
                if after_s is None:
                    changes.append(asyncio.ensure_future(cluster.apply(policy)))

            async with asyncio.timeout(60):
                await watch(question, ignore, on_answer)
            return seen

    (first, none), (second, after_s) = asyncio.run(ask())
    assert (first.exit_status, none) == (0, None)
    assert [name for name, _ in second.causes] == ["ingress-policy"]
    assert after_s
