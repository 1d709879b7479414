"""Server-side apply: who owns what, what is a conflict, what goes when it is no longer wanted."""

from __future__ import annotations

import json
from typing import Any

import pytest

from netprobe.lab.api import fields
from netprobe.lab.api.schema import definition
from netprobe.model.objects import Object
from tests.lab.api.conftest import Api

MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"


def config(data: dict[str, str], **metadata: Any) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m", **metadata}, "data": data}


async def apply(api: Api, data: dict[str, str], manager: str = "a", **query: str) -> Object:
    return await api.ok("PATCH", f"{MAPS}/m", config(data), kind=APPLY, fieldManager=manager, **query)


def owners(obj: Object) -> dict[tuple[str, str], Object]:
    return {(e["manager"], e["operation"]): e["fieldsV1"] for e in obj["metadata"]["managedFields"]}


async def test_the_first_apply_creates(api: Api) -> None:
    status, made = await api.ask("PATCH", f"{MAPS}/m", config({"k": "1"}), kind=APPLY, fieldManager="a")
    assert status == 201
    assert owners(made) == {("a", "Apply"): {"f:data": {"f:k": {}}}}


async def test_what_is_no_longer_wanted_goes(api: Api) -> None:
    await apply(api, {"k": "1", "l": "2"})
    changed = await apply(api, {"l": "3"})
    assert changed["data"] == {"l": "3"}
    assert owners(changed) == {("a", "Apply"): {"f:data": {"f:l": {}}}}


async def test_an_apply_that_changes_nothing_writes_nothing(api: Api) -> None:
    made = await apply(api, {"k": "1"})
    again = await apply(api, {"k": "1"})
    assert again["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


async def test_two_managers_beside_each_other(api: Api) -> None:
    await apply(api, {"k": "1"})
    both = await apply(api, {"l": "1"}, manager="b")
    assert both["data"] == {"k": "1", "l": "1"}
    left = await apply(api, {"x": "1"}, manager="a")
    assert left["data"] == {"l": "1", "x": "1"}


async def test_a_field_that_two_want_alike_stays_until_both_let_go(api: Api) -> None:
    await apply(api, {"k": "1"})
    await apply(api, {"k": "1"}, manager="b")
    assert (await apply(api, {}, manager="a"))["data"] == {"k": "1"}
    assert "data" not in await apply(api, {}, manager="b")


async def test_a_conflict_names_manager_and_field(api: Api) -> None:
    await apply(api, {"k": "1"})
    await api.ok("PATCH", f"{MAPS}/m", {"data": {"k": "2"}}, kind=MERGE, fieldManager="editor")
    error = await api.fails("PATCH", f"{MAPS}/m", config({"k": "3"}), kind=APPLY, fieldManager="a")
    assert error["code"] == 409
    assert error["reason"] == "Conflict"
    assert error["message"] == 'Apply failed with 1 conflict: conflict with "editor" using v1: .data.k'
    assert error["details"]["causes"] == [
        {"reason": "FieldManagerConflict", "message": 'conflict with "editor" using v1', "field": ".data.k"}
    ]
    forced = await apply(api, {"k": "3"}, force="true")
    assert forced["data"] == {"k": "3"}
    assert owners(forced) == {("a", "Apply"): {"f:data": {"f:k": {}}}}


async def test_lists_with_keys_are_joined(api: Api) -> None:
    def pod(*ports: Object, image: str = "x") -> Object:
        container = {"name": "c", "image": image, "ports": list(ports)}
        kind = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}}
        return {**kind, "spec": {"containers": [container]}}

    path, query = f"{PODS}/p", {"kind": APPLY, "fieldManager": "a"}
    made = await api.ok("PATCH", path, pod({"containerPort": 80}), **query)
    [container] = made["spec"]["containers"]
    assert container["ports"] == [{"containerPort": 80, "protocol": "TCP"}]
    owned = owners(made)["a", "Apply"]["f:spec"]["f:containers"]['k:{"name":"c"}']
    assert owned["f:ports"] == {'k:{"containerPort":80,"protocol":"TCP"}': {".": {}, "f:containerPort": {}}}
    changed = await api.ok("PATCH", path, pod({"containerPort": 80}, image="y"), **query)
    [container] = changed["spec"]["containers"]
    assert container["image"] == "y"
    assert container["terminationMessagePath"] == "/dev/termination-log"


async def test_an_update_takes_over_what_it_changes(api: Api) -> None:
    await apply(api, {"k": "1", "l": "1"})
    changed = await api.ok("PATCH", f"{MAPS}/m", {"data": {"l": "2"}}, kind=MERGE, fieldManager="editor")
    assert owners(changed) == {
        ("a", "Apply"): {"f:data": {"f:k": {}}},
        ("editor", "Update"): {"f:data": {"f:l": {}}},
    }


TREES: list[Any] = [
    {"f:data": {"f:a": {}, "f:b": {}}},
    {"f:spec": {"f:containers": {'k:{"name":"c"}': {".": {}, "f:image": {}}}}},
    {"f:metadata": {"f:finalizers": {".": {}, 'v:"x/y"': {}}}},
]


@pytest.mark.parametrize("tree", TREES, ids=json.dumps)
def test_fields_are_read_and_written_alike(tree: Object) -> None:
    assert fields.dump(fields.load(tree)) == tree


def test_a_selector_is_owned_as_a_whole() -> None:
    policy = {"spec": {"podSelector": {"matchLabels": {"a": "b"}}, "policyTypes": ["Ingress"]}}
    paths = fields.values(policy, definition("networking.v1.NetworkPolicy"))
    assert set(paths) == {("f:spec", "f:podSelector"), ("f:spec", "f:policyTypes")}
