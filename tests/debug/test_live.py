"""On a lab: what is created, said and left, and what happens where a shadow pod may not be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from netprobe.debug import Answer, Request, debug, watch
from netprobe.kube import connect
from netprobe.kube.client import KubeCluster
from netprobe.lab import Lab
from netprobe.model.objects import Object
from netprobe.run.target import ClusterChoice
from tests.debug import faults

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("debug live")]


@asynccontextmanager
async def shop(lab: Lab, tag: str, *more: Object) -> AsyncIterator[KubeCluster]:
    """The shop without faults, and more objects."""
    async with connect(str(lab.kubeconfig)) as cluster:
        try:
            await faults.apply(cluster, [*faults.fault("shop", tag).objects, *more])
            await faults.settled(cluster, [f"{tag}-shop"], 3)
            yield cluster
        finally:
            await cluster.delete("Namespace", f"{tag}-shop")


def question(lab: Lab, tag: str, *arguments: str) -> Request:
    return faults.request(ClusterChoice(lab=lab.name), [f"{tag}-shop/web", f"svc:{tag}-shop/db", *arguments])


def ignore(_: object) -> None:
    pass


def test_the_answer_comes_first_and_then_everything_is_removed(lab: Lab) -> None:
    async def ask() -> tuple[Answer, list[str], list[str]]:
        during: list[str] = []
        async with shop(lab, "a1") as cluster:
            before = await everything(cluster)
            tasks = []

            def on_answer(_: Answer) -> None:
                tasks.append(asyncio.ensure_future(faults.leftovers(cluster)))

            answer = await debug(question(lab, "a1"), ignore, on_answer)
            during += await tasks[0]
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


def test_reading_only_creates_nothing(lab: Lab) -> None:
    async def ask() -> Answer:
        async with shop(lab, "a2"):
            return await debug(replace(question(lab, "a2"), probe=False), ignore, ignore)

    answer = asyncio.run(ask())
    assert (answer.exit_status, answer["packets"].text) == (3, "--no-probe only reads")


GOSSIP: Object = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "gossip", "namespace": "a3-shop"},
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
    "metadata": {"name": "db", "namespace": "a3-shop"},
    "spec": {
        "podSelector": {"matchLabels": {"app": "db"}},
        "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "web"}}}]}],
    },
}


def test_where_a_shadow_pod_would_disturb_it_is_not_created(lab: Lab) -> None:
    async def ask() -> tuple[Answer, Answer, Answer]:
        async with shop(lab, "a3", GOSSIP, ALLOWED):
            request = question(lab, "a3")
            refused = await debug(request, ignore, ignore)
            disturbing = await debug(replace(request, disturb=True), ignore, ignore)
            return refused, disturbing, await debug(replace(request, ephemeral=True), ignore, ignore)

    refused, disturbing, ephemeral = asyncio.run(ask())
    text = refused["packets"].text
    assert text.startswith("a shadow pod would disturb other workloads: Service a3-shop/gossip publishes")
    assert text.endswith("(--disturb creates it anyway)")
    assert (refused.exit_status, refused["path"].status.value) == (3, "ok")
    assert (disturbing.exit_status, ephemeral.exit_status) == (0, 0)


def test_an_ephemeral_container_is_announced_and_ends(lab: Lab) -> None:
    async def ask() -> tuple[Answer, list[str], list[Object]]:
        said: list[str] = []
        async with shop(lab, "a4") as cluster:
            request = replace(question(lab, "a4"), ephemeral=True, say=said.append)
            answer = await debug(request, ignore, ignore)
            pods = await cluster.find("Pod", "a4-shop", {"app": "web"})
            return answer, said, pods[0]["status"]["ephemeralContainerStatuses"]

    answer, said, containers = asyncio.run(ask())
    assert answer.exit_status == 0
    assert len(said) == len(containers) == 1
    assert "it ends with this command and cannot be removed" in said[0]
    assert ["terminated" in one["state"] for one in containers] == [True]


def test_watching_ends_when_the_result_changes(lab: Lab) -> None:
    async def ask() -> list[tuple[Answer, float | None]]:
        seen: list[tuple[Answer, float | None]] = []
        async with shop(lab, "a5") as cluster:
            policy = faults.fault("ingress-policy", "a5").objects[0]

            def on_answer(answer: Answer, after_s: float | None) -> None:
                seen.append((answer, after_s))
                if after_s is None:
                    changes.append(asyncio.ensure_future(cluster.apply(policy)))

            changes: list[asyncio.Future[Object]] = []
            async with asyncio.timeout(60):
                await watch(question(lab, "a5"), ignore, on_answer)
            return seen

    (first, none), (second, after_s) = asyncio.run(ask())
    assert (first.exit_status, none) == (0, None)
    assert [name for name, _ in second.causes] == ["ingress-policy"]
    assert after_s
