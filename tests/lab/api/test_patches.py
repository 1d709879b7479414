"""The patches, one by one, without a server."""

from __future__ import annotations

from typing import Any

import pytest

from netprobe.lab.api.patch import json_patch, merge, strategic_merge
from netprobe.lab.api.schema import definition
from netprobe.lab.api.status import ApiError

MERGES: list[tuple[Any, Any, Any]] = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": ["b"]}, {"a": ["c"]}, {"a": ["c"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": "foo"}, {"a": {"bb": {"c": None}}}, {"a": {"bb": {}}}),
]


def test_merge_patch() -> None:
    for target, patch, result in MERGES:
        assert merge(target, patch) == result


def test_json_patch() -> None:
    step = {"op": "replace", "path": "/a~1b/0", "value": 3}
    assert json_patch({"a/b": [1, 2]}, [step]) == {"a/b": [3, 2]}


IMPOSSIBLE: list[Any] = [
    {"op": "remove", "path": "/x"},
    {"op": "replace", "path": "/x", "value": 1},
    {"op": "test", "path": "/a", "value": 2},
    {"op": "add", "path": "/l/9", "value": 1},
    {"op": "add", "path": "/a/b", "value": 1},
    {"op": "paint", "path": "/a"},
    {"op": "add", "path": "a", "value": 1},
]


def test_a_json_patch_that_does_not_apply_changes_nothing() -> None:
    target = {"a": 1, "l": []}
    for step in IMPOSSIBLE:
        with pytest.raises(ApiError) as caught:
            json_patch(target, [step])
        assert caught.value.code == 422, step
    assert target == {"a": 1, "l": []}


C, D = {"name": "c", "image": "x"}, {"name": "d", "image": "y"}
ORDER = {"$setElementOrder/containers": [{"name": "d"}, {"name": "c"}]}
STRATEGIC: dict[str, Any] = {
    "by key": ([C, D], {"containers": [{"name": "d", "image": "z"}]}, [C, {"name": "d", "image": "z"}]),
    "a new key is added": ([C], {"containers": [D]}, [C, D]),
    "delete": ([C, D], {"containers": [{"name": "c", "$patch": "delete"}]}, [D]),
    "replace": ([C, D], {"containers": [{"$patch": "replace"}, D]}, [D]),
    "an order without items changes nothing": ([C, D], ORDER, [C, D]),
    "order": ([C, D], {**ORDER, "containers": [{"name": "c", "image": None}]}, [D, {"name": "c"}]),
}


def test_strategic_merge_patch() -> None:
    for sentence, (containers, patch, result) in STRATEGIC.items():
        patched = strategic_merge({"containers": containers}, patch, definition("PodSpec"))
        assert patched["containers"] == result, sentence


def test_a_list_without_a_key_is_replaced() -> None:
    spec = {"policyTypes": ["Ingress"], "ingress": [{}]}
    patched = strategic_merge(spec, {"ingress": []}, definition("NetworkPolicySpec"))
    assert patched == {"policyTypes": ["Ingress"], "ingress": []}


def test_scalars_are_joined_and_deleted() -> None:
    of = definition("ObjectMeta")
    joined = strategic_merge({"finalizers": ["a", "b"]}, {"finalizers": ["c"]}, of)
    assert joined["finalizers"] == ["a", "b", "c"]
    less = strategic_merge(joined, {"$deleteFromPrimitiveList/finalizers": ["a"]}, of)
    assert less["finalizers"] == ["b", "c"]
