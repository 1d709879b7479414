"""Files, folders, streams and lists: what is read, what is skipped, and what is wrong with the rest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from netprobe.errors import InputError
from netprobe.manifests import Loaded, from_objects, load, read_documents
from netprobe.model.flow import PodRef
from netprobe.model.policy import PolicyRef
from tests.conftest import Answers
from tests.manifests.conftest import Problems, Read

NAMESPACE = "apiVersion: v1\nkind: Namespace\nmetadata: {name: %s}\n"
POLICY = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: %s}
spec: {podSelector: {}}
"""
LABEL = "kubernetes.io/metadata.name"


def names(loaded: Loaded) -> list[str]:
    return list(loaded.cluster.namespaces)


BYTES = {
    "a byte order mark": (f"\ufeff{NAMESPACE % 'a'}", ["a"]),
    "one in the middle": (f"{NAMESPACE % 'a'}---\n\ufeff{NAMESPACE % 'b'}", ["a", "b"]),
    "line ends of Windows": ((NAMESPACE % "a").replace("\n", "\r\n"), ["a"]),
}


@pytest.mark.parametrize(("text", "expected"), BYTES.values(), ids=BYTES)
def test_bytes_that_are_not_text(text: str, expected: list[str], read: Read) -> None:
    assert names(read(text)) == expected


def test_a_stream(answers: Answers, read: Read) -> None:
    """The namespaces of each."""
    answers("streams.txt", lambda text: names(read(text)))


@pytest.mark.parametrize("indent", [None, 1])
def test_json_has_the_same_places_as_yaml(indent: int | None, tmp_path: Path) -> None:
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "p"},
        "spec": {"podSelector": {}, "ingress": [{}, {"from": [{}]}]},
    }
    items = {"apiVersion": "v1", "items": [policy], "kind": "List"}
    path = tmp_path / "m.json"
    path.write_text(json.dumps(items, indent=indent))
    with pytest.raises(InputError) as caught:
        load([path])
    (problem,) = caught.value.problems
    line, column = map(int, problem.place.rsplit(":", 2)[1:])
    assert problem.path == "spec.ingress[1].from[0]"
    text = path.read_text()
    peer = text.rindex("{}")
    assert (line, column) == (text.count("\n", 0, peer) + 1, peer - text.rfind("\n", 0, peer))


def test_a_stream_of_json_values(read: Read) -> None:
    objects = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in "ab"]
    assert names(read("\n".join(map(json.dumps, objects)))) == ["a", "b"]


def test_each_generated_name_is_another_policy(read: Read) -> None:
    policy = POLICY.replace("name: %s", "generateName: p-")
    refs = [policy.ref for policy in read(f"{policy}---\n{policy}").cluster.policies]
    assert refs == [PolicyRef("default", "p-00001"), PolicyRef("default", "p-00002")]


OTHERS = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: c}
data: {a: 1, a: 2}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: d}
---
{apiVersion: example.com/v1, kind: Pod, metadata: {name: p}}
---
apiVersion: crd.antrea.io/v1beta1
kind: NetworkPolicy
spec: {priority: 1}
---
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
spec: {}
"""


def test_kinds_that_do_not_matter_are_counted(read: Read) -> None:
    loaded = read(OTHERS)
    assert loaded.skipped == {
        "ConfigMap": 2,
        "Pod.example.com": 1,
    }
    assert loaded.not_simulated == {
        "NetworkPolicy.crd.antrea.io": 1,
        "CiliumNetworkPolicy.cilium.io": 1,
    }


def test_what_is_wrong_has_its_place(answers: Answers, problems: Problems) -> None:
    answers("problems.txt", lambda text: problems(text, "m.json" if text.startswith('{"') else "m.yaml"))


def test_deep_json(problems: Problems) -> None:
    text = '{"a":' * 100_000 + "1" + "}" * 100_000
    assert problems(text, "m.json") == ["m.json:1:1: not JSON: nested too deeply"]


def test_namespaces_have_a_label_with_their_name(read: Read) -> None:
    loaded = read(
        f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: a, labels: {{tier: x, {LABEL}: other}}}}\n---\n"
        + POLICY % "p"
        + "---\napiVersion: v1\nkind: Pod\nmetadata: {name: w, namespace: b}\n"
    )
    labels = {name: dict(namespace.labels) for name, namespace in loaded.cluster.namespaces.items()}
    assert labels == {"a": {"tier": "x", LABEL: "a"}, "b": {LABEL: "b"}, "default": {LABEL: "default"}}
    assert [policy.ref for policy in loaded.cluster.policies] == [PolicyRef("default", "p")]


def test_policies_have_a_place_in_their_file(tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_text(NAMESPACE % "a" + "---\n# a comment\n\n" + POLICY % "p")
    (document, policy) = read_documents([path])
    assert (document.kind, policy.kind) == ("Namespace", "NetworkPolicy")
    assert str(policy.origin) == f"{path}:7"
    assert policy.origin.at("spec.podSelector") == (10, 8)
    assert policy.origin.at("spec.podSelector.matchLabels") == (10, 8)


def test_live_objects(read: Read) -> None:
    cluster = from_objects(
        [
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "a"}},
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "z"}},
            {
                "apiVersion": "networking.k8s.io/v1",
                "kind": "NetworkPolicy",
                "metadata": {"name": "n", "namespace": "a"},
                "spec": {"podSelector": {}, "fieldOfTheFuture": 1},
            },
        ]
    )
    assert list(cluster.pods) == [PodRef("a", "p")]
    assert list(cluster.namespaces) == ["a"]
    (policy,) = cluster.policies
    assert policy.origin is None


def test_a_live_object_that_is_wrong_is_named() -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "a"}, "spec": 7}
    with pytest.raises(InputError, match=r"^Pod a/p: spec: Invalid value: 7: must be a mapping"):
        from_objects([pod])
