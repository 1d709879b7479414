"""Making and removing the pods of a run, on the scripted cluster."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any

import pytest

from netprobe.errors import ClusterError, ConflictError, ForbiddenError, WorkbenchError
from netprobe.model.cluster import Namespace
from netprobe.model.flow import ContainerPort, Pod, PodRef
from netprobe.model.objects import Object
from netprobe.probe import Deadlines, Fixture, PodOptions, Workbench, run_objects
from netprobe.probe.run_objects import RUN
from tests.probe.clock import now, virtually
from tests.probe.fake import FakeCluster

FIXTURE = Fixture(
    (Namespace("shop", {"tier": "front", "kubernetes.io/metadata.name": "shop"}),),
    (Pod(PodRef("shop", "web"), {"app": "web"}, ports=(ContainerPort(80, name="http"),)),),
)


def ns(name: str, labels: dict[str, str] | None = None) -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels or {}}}


def entered(cluster: FakeCluster, **options: Any) -> float:
    """Enter a bench and leave it; the time at which it was entered."""

    async def run() -> float:
        async with Workbench(cluster, FIXTURE, run="r1", **options):
            return now()

    return virtually(run())


def holding(*objects: Object, **options: Any) -> FakeCluster:
    """A cluster in which these exist already."""
    cluster = FakeCluster(**options)
    for obj in objects:
        meta = obj["metadata"]
        cluster.objects[obj["kind"], meta.get("namespace"), meta["name"]] = obj
    return cluster


@pytest.mark.parametrize(
    ("verb", "changes", "missing"),
    [
        ("delete namespaces", 1, True),
        ("get pods/exec", 1, True),
        ("create leases", 1, True),
        ("patch pods", 1, False),  # only steps need it
        ("patch pods", 2, True),
    ],
)
def test_a_missing_permission_is_named_before_anything_is_made(
    verb: str, changes: int, missing: bool
) -> None:
    cluster = FakeCluster(forbidden=frozenset({verb}))
    if not missing:
        entered(cluster, changes=changes)
        return
    with pytest.raises(ForbiddenError, match=f"lack 1 of .*: {verb}.*Nothing was created"):
        entered(cluster, changes=changes)
    assert not cluster.calls


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        pytest.param({}, "shop already exists and was not created by netprobe", id="of somebody else"),
        pytest.param(
            {RUN: "old"}, r"dead .*netprobe clean --run old --by-label removes it", id="of a dead run"
        ),
    ],
)
def test_a_namespace_that_exists_is_neither_used_nor_deleted(labels: dict[str, str], sentence: str) -> None:
    cluster = holding(ns("shop", labels))
    with pytest.raises(ConflictError, match=sentence):
        entered(cluster)
    assert set(cluster.objects) == {("Namespace", None, "shop")}


def test_a_namespace_that_is_being_removed_is_waited_for() -> None:
    cluster = FakeCluster(linger_s=4)

    async def run() -> float:
        await cluster.create(ns("shop"))
        await cluster.delete("Namespace", "shop")
        async with Workbench(cluster, FIXTURE):
            return now()

    assert 4 <= virtually(run()) < 5


UNREADY = {
    "phase": "Pending",
    "containerStatuses": [
        {"state": {"waiting": {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "alpine"'}}}
    ],
}
UNSCHEDULABLE = {
    "phase": "Pending",
    "conditions": [
        {"type": "PodScheduled", "status": "False", "message": "0/2 nodes are available: 2 Insufficient cpu."}
    ],
}


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        pytest.param(UNREADY, r'pod shop/web cannot become ready: .*pulling image "alpine"', id="at once"),
        pytest.param(UNSCHEDULABLE, r"not ready after 7 s: shop/web: .*Insufficient cpu", id="in time"),
    ],
)
def test_a_pod_that_does_not_become_ready_is_explained_and_removed(status: Object, sentence: str) -> None:
    """Also one that never started, which no node ends."""
    cluster = FakeCluster(unready={"web": status})
    with pytest.raises(WorkbenchError, match=sentence) as caught:
        entered(cluster, deadlines=Deadlines(ready_s=7))
    assert not getattr(caught.value, "__notes__", ())
    assert not cluster.objects


@pytest.mark.parametrize("cancel_at", [[1], [3], [3, 4]], ids=["while building", "inside", "twice"])
def test_cancelled_everything_is_removed_first(cancel_at: list[int]) -> None:
    building = cancel_at == [1]
    cluster = FakeCluster(linger_s=5, unready={"web": UNSCHEDULABLE} if building else {})

    async def inside() -> None:
        async with Workbench(cluster, FIXTURE):
            assert not building
            await asyncio.sleep(1000)

    async def run() -> None:
        task = asyncio.create_task(inside())
        for at in cancel_at:
            await asyncio.sleep(at - now())
            assert cluster.objects
            task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not cluster.objects

    virtually(run())


def test_what_cannot_be_removed_is_named_after_what_ended_the_run() -> None:
    left = r"^run r1 is not all removed after 30 s: .*later: netprobe clean --run r1"
    with pytest.raises(ClusterError, match=left):
        entered(FakeCluster(linger_s=1000), deadlines=Deadlines(removed_s=30))
    cluster = FakeCluster(unready={"web": UNSCHEDULABLE}, linger_s=1000)
    with pytest.raises(WorkbenchError, match="not ready after 7 s") as caught:
        entered(cluster, deadlines=Deadlines(ready_s=7, removed_s=30))
    (note,) = caught.value.__notes__
    assert re.match(left, note)


@pytest.mark.parametrize(
    ("back_s", "removed"), [pytest.param(20, True, id="it comes back"), pytest.param(1000, False, id="lost")]
)
def test_nobody_is_waited_for_who_cannot_be_reached(*, back_s: float, removed: bool) -> None:
    cluster = FakeCluster()

    async def run() -> float:
        async with Workbench(cluster, FIXTURE, run="r1"):
            left = now()
            cluster.lost = lambda at: at - left < back_s
        return now() - left

    if removed:
        assert virtually(run()) < back_s + 2
        assert not cluster.objects
    else:
        with pytest.raises(
            ClusterError, match=r"all removed after 3\d s \(.*no connection\).*clean --run r1"
        ):
            virtually(run())


def test_what_may_not_be_created_need_not_be_looked_for_at_removal() -> None:
    """Who may not create a kind may often not get it either."""

    class Closed(FakeCluster):
        async def create(self, obj: Object) -> Object:
            if obj["kind"] == "ClusterNetworkPolicy":
                raise ForbiddenError("cannot create clusternetworkpolicies")
            return await super().create(obj)

        async def get(self, kind: str, name: str, namespace: str | None = None) -> Object:
            self._refuse(kind)
            return await super().get(kind, name, namespace)

        async def find(
            self, kind: str, namespace: str | None = None, labels: Mapping[str, str | None] | None = None
        ) -> list[Object]:
            self._refuse(kind)
            return await super().find(kind, namespace, labels)

        def _refuse(self, kind: str) -> None:
            if kind == "ClusterNetworkPolicy":
                raise ForbiddenError("cannot read clusternetworkpolicies")

    cluster = Closed()

    async def run() -> None:
        async with Workbench(cluster, FIXTURE) as bench:
            with pytest.raises(ForbiddenError, match="cannot create"):
                await bench.create({"kind": "ClusterNetworkPolicy", "metadata": {"name": "deny"}})

    virtually(run())
    assert cluster.objects == {}


def test_what_is_not_the_runs_is_left_alone() -> None:
    cluster = FakeCluster()

    async def run() -> None:
        await cluster.create(ns("other"))
        async with Workbench(cluster, FIXTURE) as bench:
            policy = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy"}
            for call in (
                bench.apply({**policy, "metadata": {"name": "p", "namespace": "other"}}),
                bench.delete("NetworkPolicy", "p", "other"),
                bench.label("other", {"a": "b"}),
                bench.label(PodRef("other", "web"), {"a": "b"}),
            ):
                with pytest.raises(ConflictError, match="does not belong to this run"):
                    await call

    virtually(run())
    assert set(cluster.objects) == {("Namespace", None, "other")}


@pytest.mark.parametrize("asks", [1, 2])
def test_a_pod_that_requests_too_much_of_the_cluster_is_requested_again_with_less(asks: int) -> None:
    """By the words of a LimitRange; `asks` is how often it refuses."""
    tried: list[Object] = []

    class Stingy(FakeCluster):
        async def create(self, obj: Object) -> Object:
            if obj["kind"] == "Pod" and obj["metadata"]["name"] == "web":
                tried.append(obj["spec"]["containers"][0]["resources"])
                if len(tried) <= asks:
                    raise ForbiddenError("cpu max limit to request ratio per Container is 4")
            return await super().create(obj)

    if asks == 2:
        with pytest.raises(ForbiddenError, match="limit to request ratio"):
            entered(Stingy())
    else:
        entered(Stingy())
    assert len(tried) == 2
    assert tried[0]["requests"] != tried[0]["limits"]
    assert tried[1]["requests"] == tried[1]["limits"]


def test_a_pod_is_created_once_its_namespace_has_a_service_account_and_a_refusal_is_final() -> None:
    refusals = [
        "violates PodSecurity",
        'error looking up service account shop/default: "default" not found',
        "status unknown for quota: q",
    ]

    class Young(FakeCluster):
        async def create(self, obj: Object) -> Object:
            if obj["kind"] == "Pod" and obj["metadata"]["name"] == "web" and refusals:
                raise ForbiddenError(refusals.pop())
            return await super().create(obj)

    with pytest.raises(ForbiddenError, match="PodSecurity"):
        entered(Young())
    assert refusals == []
    entered(Young())


def test_pods_and_namespaces_come_and_go_while_a_run_lasts() -> None:
    """A pod of the same name that is still being removed is waited for, and is not taken for the new one."""

    class Slow(FakeCluster):
        async def delete(self, kind: str, name: str, namespace: str | None = None, **options: Any) -> None:
            if (kind, name) == ("Pod", "late"):
                self.objects[kind, namespace, name]["metadata"]["deletionTimestamp"] = "now"
                self._later(3, lambda: self.objects.__delitem__((kind, namespace, name)))
            else:
                await super().delete(kind, name, namespace, **options)

    cluster = Slow(linger_s=2)
    late = PodRef("more", "late")

    async def run() -> None:
        async with Workbench(cluster, FIXTURE, run="r1") as bench:
            await bench.namespace("more", {})
            pod = run_objects.pod(late, "r1", PodOptions())
            assert (await bench.start([pod]))[late]["status"]["podIP"]
            await bench.delete("Pod", "late", "more")
            begun = now()
            await bench.start([pod])
            assert 3 <= now() - begun < 4
            begun = now()
            await bench.remove_namespace("more")
            assert now() - begun == pytest.approx(2, abs=0.5)
            with pytest.raises(ConflictError, match="does not belong to this run"):
                await bench.remove_namespace("default")

    virtually(run())
    assert not cluster.objects
