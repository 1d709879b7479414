"""What is removed, by whose proof, and what is left alone; on the scripted cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from netprobe.errors import ConflictError, ForbiddenError
from netprobe.model.objects import Object
from netprobe.probe import Cleaned, Workbench, clean, lease
from netprobe.probe.ownership import RECORD, TOKEN, ObjectRef, Record
from netprobe.probe.run_objects import RUN, run_namespace
from tests.probe.clock import virtually
from tests.probe.fake import FakeCluster
from tests.probe.test_workbench import FIXTURE, UNSCHEDULABLE

DEAD = "nowhere/boot/ns/1/1"
CLUSTER_POLICY = {"apiVersion": "policy.networking.k8s.io/v1alpha2", "kind": "ClusterNetworkPolicy"}


def obj(ref: str) -> Object:
    kind, namespace, name = ObjectRef.parse(ref) or ("", None, "")
    meta: Object = {"name": name, "labels": {}} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": "v1", "kind": kind, "metadata": meta, "spec": {}}


def put(cluster: FakeCluster, made: Object) -> None:
    meta = made["metadata"]
    meta.setdefault("uid", f"uid of {meta['name']}")
    cluster.objects[made["kind"], meta.get("namespace"), meta["name"]] = made


@dataclass
class Killed:
    """What a killed run left: `objects` with its token, all named in its record but those in `unrecorded`."""

    cluster: FakeCluster
    run: str = "dead"

    def left(self, *objects: str, unrecorded: tuple[str, ...] = (), home: bool = True) -> Record:
        record = Record(self.run)
        home_ref = f"Namespace/{run_namespace(self.run)}"
        record.refs = {ref for text in (home_ref, *objects) if (ref := ObjectRef.parse(text))}
        for text in (home_ref, *objects, *unrecorded) if home else (*objects, *unrecorded):
            put(self.cluster, record.mark(obj(text)))
        if home:
            held = lease.lease(record)
            held["spec"]["holderIdentity"] = DEAD
            put(self.cluster, held)
        return record


def cleaned(cluster: FakeCluster, run: str | None = None, **options: Any) -> Cleaned:
    return virtually(clean(cluster, run, **options))


def names(cluster: FakeCluster) -> set[str]:
    return {str(ObjectRef(*key)) for key in cluster.objects}


def listed(found: Cleaned) -> tuple[dict[str, Any], dict[str, Any]]:
    """What was removed, and what nothing proves, by run."""
    return {one.run: one.objects for one in found.removed}, {one.run: one.objects for one in found.unproven}


HOME = f"Namespace/{run_namespace('dead')}"


def test_what_the_record_names_is_removed_and_the_rest_is_listed() -> None:
    cluster = FakeCluster(unready={"pending": UNSCHEDULABLE})
    for text in ("Namespace/theirs", "Pod/theirs/own"):
        put(cluster, obj(text))
    ours = ("Namespace/shop", "Pod/theirs/guest", "Job/theirs/owner", "ClusterNetworkPolicy/deny")
    Killed(cluster).left(*ours, unrecorded=("Namespace/forged", "Pod/theirs/forged"))
    before = names(cluster)
    would = cleaned(cluster, dry_run=True)
    assert listed(would) == (
        {"dead": tuple(sorted((HOME, *ours)))},
        {"dead": ("Namespace/forged", "Pod/theirs/forged")},
    )
    assert names(cluster) == before, "a dry run removes nothing"
    assert cleaned(cluster) == would
    assert names(cluster) == {"Namespace/theirs", "Pod/theirs/own", "Namespace/forged", "Pod/theirs/forged"}


def without_token(made: Object) -> None:
    made["metadata"]["annotations"] = {}


def another_token(made: Object) -> None:
    made["metadata"]["annotations"] = {TOKEN: "another"}


@pytest.mark.parametrize("forge", [without_token, another_token])
def test_a_label_proves_nothing(forge: Any) -> None:
    """Also if the record names the object: the run died before it created it, and somebody else did."""
    cluster = FakeCluster()
    Killed(cluster).left("Namespace/shop", "Pod/theirs/guest")
    for key in (("Namespace", None, "shop"), ("Pod", "theirs", "guest")):
        forge(cluster.objects[key])
    assert listed(cleaned(cluster)) == ({"dead": (HOME,)}, {"dead": ("Namespace/shop", "Pod/theirs/guest")})
    assert names(cluster) == {"Namespace/shop", "Pod/theirs/guest"}


@pytest.mark.parametrize("by_label", [False, True])
def test_a_run_without_a_record_is_removed_by_label_only(by_label: bool) -> None:
    cluster = FakeCluster()
    Killed(cluster).left("Namespace/shop", "Pod/theirs/guest", home=False)
    Killed(cluster, "other").left("Namespace/others", home=False)
    removed, unproven = listed(cleaned(cluster, "dead", by_label=by_label))
    assert (removed, unproven)[not by_label] == {"dead": ("Namespace/shop", "Pod/theirs/guest")}
    assert (removed, unproven)[by_label] == {}
    assert names(cluster) == {"Namespace/others"} | (
        set() if by_label else {"Namespace/shop", "Pod/theirs/guest"}
    )


@pytest.mark.parametrize("lease_s", [None, 5], ids=["killed", "alive"])
def test_a_run_between_its_first_two_requests(lease_s: float | None) -> None:
    """It has a namespace and no Lease yet. The namespace proves itself, and is watched like a Lease."""
    cluster, record = FakeCluster(), Record("dead")
    home = lease.home(record)
    home["metadata"]["annotations"][lease.HOLDER] = DEAD
    put(cluster, home)
    forged = obj("Namespace/netprobe-forged")
    forged["metadata"]["labels"] = {RUN: "forged"}
    put(cluster, forged)

    async def run() -> Cleaned:
        if lease_s:
            held = lease.lease(record)
            asyncio.get_running_loop().call_later(lease_s, put, cluster, held)
        return await clean(cluster)

    found = virtually(run())
    assert [one.run for one in found.spared] == (["dead"] if lease_s else [])
    assert listed(found) == ({} if lease_s else {"dead": (HOME,)}, {"forged": ("Namespace/netprobe-forged",)})
    assert (HOME in names(cluster)) is bool(lease_s)


@pytest.mark.parametrize("name", ["default", "kube-system", "kube-public", "kube-anything"])
@pytest.mark.parametrize("by_label", [False, True])
def test_a_namespace_of_the_cluster_is_never_deleted(name: str, by_label: bool) -> None:
    """Whatever the record says; objects of the run inside it go one by one."""
    cluster = FakeCluster()
    put(cluster, obj(f"Pod/{name}/own"))
    Killed(cluster).left(f"Namespace/{name}", f"Pod/{name}/guest")
    removed, unproven = listed(cleaned(cluster, "dead", by_label=by_label))
    assert removed == {"dead": (HOME, f"Pod/{name}/guest")}
    assert unproven == {}
    assert names(cluster) == {f"Namespace/{name}", f"Pod/{name}/own"}


def test_an_object_that_took_the_name_meanwhile_is_left_alone() -> None:
    """Between the moment it is found and the moment it is deleted, another one gets the name."""

    class Swapping(FakeCluster):
        async def find(
            self, kind: str, namespace: str | None = None, labels: Mapping[str, str | None] | None = None
        ) -> list[Object]:
            found = await super().find(kind, namespace, labels)
            if kind == "Pod" and found:
                put(self, obj("Pod/theirs/guest") | {"spec": "theirs"})
                self.objects["Pod", "theirs", "guest"]["metadata"]["uid"] = "another"
            return found

    cluster = Swapping()
    Killed(cluster).left("Pod/theirs/guest")
    cleaned(cluster)
    assert names(cluster) == {"Pod/theirs/guest"}


def test_living_runs_are_spared_whatever_the_option() -> None:
    cluster = FakeCluster()

    async def run() -> None:
        async with Workbench(cluster, FIXTURE, run="alive"):
            put(cluster, obj("Namespace/forged"))
            cluster.objects["Namespace", None, "forged"]["metadata"]["labels"] = {RUN: "alive"}
            before = names(cluster)
            found = await clean(cluster, "alive", by_label=True)
            assert [one.run for one in found.spared] == ["alive"]
            assert listed(found) == ({}, {})
            assert names(cluster) == before
            assert (await clean(cluster, "nobody")) == Cleaned()

    virtually(run())
    assert names(cluster) == {"Namespace/forged"}, "the run itself does not remove it either"


def test_what_may_not_be_listed_is_found_by_name_if_the_record_has_it() -> None:
    class Narrow(FakeCluster):
        async def find(
            self, kind: str, namespace: str | None = None, labels: Mapping[str, str | None] | None = None
        ) -> list[Object]:
            if kind == "Job":
                raise ForbiddenError(f"cannot list {kind}")
            return await super().find(kind, namespace, labels)

    cluster = Narrow()
    Killed(cluster).left("Job/theirs/owner", unrecorded=("Job/theirs/other",))
    found = cleaned(cluster)
    assert listed(found) == ({"dead": ("Job/theirs/owner", HOME)}, {})
    assert found.unlisted == ("Job",)
    assert names(cluster) == {"Job/theirs/other"}


def test_the_record_is_written_before_anything_is_created() -> None:
    """And everything that is created carries the run and its token."""

    class Strict(FakeCluster):
        async def create(self, obj: Object) -> Object:
            meta = obj["metadata"]
            if obj["kind"] in {"SelfSubjectAccessReview", "Lease"} or meta["name"] == run_namespace("r1"):
                return await super().create(obj)
            assert meta["labels"][RUN] == "r1"
            held = self.objects["Lease", run_namespace("r1"), lease.NAME]
            record = Record.read(held)
            assert record is not None
            assert meta["annotations"][TOKEN] == record.token
            ref = ObjectRef.of(obj)
            assert ref in record.refs or record.covers(ref), f"{ref} is not in {held}"
            return await super().create(obj)

    cluster = Strict()

    async def run() -> None:
        put(cluster, {**CLUSTER_POLICY, "metadata": {"name": "theirs", "resourceVersion": "1"}})
        async with Workbench(cluster, FIXTURE, run="r1") as bench:
            mine: Object = {**CLUSTER_POLICY, "metadata": {"name": "mine"}}
            await bench.apply(mine)
            await bench.apply({**mine, "spec": {"changed": True}})
            assert cluster.objects["ClusterNetworkPolicy", None, "mine"]["spec"] == {"changed": True}
            await bench.delete("ClusterNetworkPolicy", "mine")
            await bench.apply(mine)
            theirs: Object = {**CLUSTER_POLICY, "metadata": {"name": "theirs"}}
            with pytest.raises(ConflictError):
                await bench.apply(theirs)
            with pytest.raises(ConflictError, match="left alone"):
                await bench.delete("ClusterNetworkPolicy", "theirs")

    virtually(run())
    assert names(cluster) == {"ClusterNetworkPolicy/theirs"}


@pytest.mark.parametrize(
    "annotation", [None, "", "nonsense", "[]", '{"token": ""}', '{"token": "t", "objects": 5}']
)
def test_a_record_that_cannot_be_read_proves_nothing(annotation: str | None) -> None:
    held = lease.lease(Record("r1"))
    held["metadata"]["annotations"] = {RECORD: annotation} if annotation is not None else {}
    assert Record.read(held) is None
