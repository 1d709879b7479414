"""Files, folders, streams and lists: what is read, what is skipped, and what is wrong with the rest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from netprobe.errors import InputError
from netprobe.manifests import Loaded, from_objects, load, read_documents
from netprobe.model.flow import PodRef
from netprobe.model.policy import PolicyRef
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


STREAMS = {
    "empty": ("", []),
    "only comments": ("# nothing\n", []),
    "empty documents": ("---\n---\n# x\n---\nnull\n", []),
    "two documents": (f"{NAMESPACE % 'a'}---\n{NAMESPACE % 'b'}", ["a", "b"]),
    "text after the border": (f"--- # first\n{NAMESPACE % 'a'}--- # second\n{NAMESPACE % 'b'}", ["a", "b"]),
    "a document on the border's line": (
        "--- {apiVersion: v1, kind: Namespace, metadata: {name: a}}\n",
        ["a"],
    ),
    "an end mark": (f"{NAMESPACE % 'a'}...\n---\n{NAMESPACE % 'b'}...\n", ["a", "b"]),
    "a directive": (f"%YAML 1.1\n---\n{NAMESPACE % 'a'}", ["a"]),
    "a byte order mark": (f"\ufeff{NAMESPACE % 'a'}", ["a"]),
    "one in the middle": (f"{NAMESPACE % 'a'}---\n\ufeff{NAMESPACE % 'b'}", ["a", "b"]),
    "line ends of Windows": ((NAMESPACE % "a").replace("\n", "\r\n"), ["a"]),
    "flow style": ("{apiVersion: v1, kind: Namespace, metadata: {name: a}}", ["a"]),
    "quoted keys": ('"apiVersion": "v1"\n"kind": "Namespace"\n"metadata": {"name": "a"}\n', ["a"]),
    "a border inside a text": (
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  x: |\n    ---\n    kind: Pod\n",
        [],
    ),
    "a list": (
        (
            f"apiVersion: v1\nkind: List\nitems:\n- {NAMESPACE.replace(chr(10), chr(10) + '  ') % 'a'}\n"
            "- {apiVersion: v1, kind: Namespace, metadata: {name: b}}\n"
        ),
        ["a", "b"],
    ),
    "a list as kubectl prints it": (
        (
            "apiVersion: v1\nitems:\n- apiVersion: v1\n  kind: Namespace\n  metadata:\n    name: a\n"
            "- apiVersion: v1\n  kind: Namespace\n  metadata:\n    name: b\nkind: List\nmetadata:\n"
            '  resourceVersion: ""\n'
        ),
        ["a", "b"],
    ),
    "a list with an anchor": (
        (
            "apiVersion: v1\nkind: List\n"
            "items: &i\n- {apiVersion: v1, kind: Namespace, metadata: {name: a}}\n"
            "copy: *i\n"
        ),
        ["a"],
    ),
    "a list without items": ("apiVersion: v1\nkind: List\nitems: []\n", []),
    "a list of nothing": ("apiVersion: v1\nkind: List\nitems:\n", []),
    "a list in a list": (
        (
            "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: List\n  items:\n"
            "  - {apiVersion: v1, kind: Namespace, metadata: {name: a}}\n"
        ),
        ["a"],
    ),
    "a typed list, whose items need not say their kind": (
        "apiVersion: v1\nkind: NamespaceList\nitems:\n- metadata:\n    name: a\n",
        ["a"],
    ),
    "an anchor in one item and its alias in another": (
        (
            "apiVersion: v1\nkind: List\nitems:\n"
            "- apiVersion: v1\n  kind: Namespace\n  metadata: {name: a, labels: &l {k: v}}\n"
            "- apiVersion: v1\n  kind: Namespace\n  metadata: {name: b, labels: *l}\n"
        ),
        ["a", "b"],
    ),
}


@pytest.mark.parametrize(("text", "expected"), STREAMS.values(), ids=STREAMS)
def test_a_stream(text: str, expected: list[str], read: Read) -> None:
    assert names(read(text)) == expected


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


NOT_AN_OBJECT = "not an object: expected apiVersion, kind, metadata"
BAD = {  # each problem as it begins
    "a list at the top": ("- a\n", [f"m.yaml:1:1: {NOT_AN_OBJECT}"]),
    "text": ("hello\n", [f"m.yaml:1: {NOT_AN_OBJECT}"]),
    "no kind": ("apiVersion: v1\nmetadata: {name: x}\n", ["m.yaml:1:1: kind: Required value"]),
    "items that are not a list": (
        "apiVersion: v1\nkind: List\nitems: x\n",
        ["m.yaml:3:1: items: must be a list, not a string"],
    ),
    "a version that never was": (
        POLICY.replace("networking.k8s.io/v1", "networking.k8s.io/v1beta1") % "p",
        ["m.yaml:1:1: apiVersion: there is no NetworkPolicy in networking.k8s.io/v1beta1; write networking"],
    ),
    "a misspelt group": (
        "apiVersion: networking.k8.io/v1\nkind: NetworkPolicy\nmetadata: {name: p}\n",
        ["m.yaml:1:1: apiVersion: there is no NetworkPolicy in networking.k8.io/v1; write networking.k8s.io"],
    ),
    "a group without a dot": (
        "apiVersion: networking/v1\nkind: NetworkPolicy\nmetadata: {name: p}\n",
        ["m.yaml:1:1: apiVersion: there is no NetworkPolicy in networking/v1; write networking.k8s.io/v1"],
    ),
    "a kind in small letters": (
        "apiVersion: networking.k8s.io/v1\nkind: Networkpolicy\nmetadata: {name: p}\n",
        ["m.yaml:2:1: kind: there is no Networkpolicy in networking.k8s.io/v1; did you mean NetworkPolicy?"],
    ),
    "a misspelt kind": (
        "apiVersion: apps/v1\nkind: Deploymet\nmetadata: {name: p}\n",
        ["m.yaml:2:1: kind: there is no Deploymet in apps/v1; did you mean Deployment?"],
    ),
    "a misspelt kind of Calico": (
        "apiVersion: projectcalico.org/v3\nkind: GlobalNetworkpolicy\nmetadata: {name: p}\n",
        ["m.yaml:2:1: kind: there is no GlobalNetworkpolicy in projectcalico.org/v3; did you mean GlobalN"],
    ),
    "a version that a policy kind does not have": (
        "apiVersion: crd.projectcalico.org/v3\nkind: Tier\nmetadata: {name: p}\n",
        ["m.yaml:1:1: apiVersion: there is no Tier in crd.projectcalico.org/v3; write projectcalico.org/v3"],
    ),
    "a duplicate key": (
        POLICY % "p" + "kind: NetworkPolicy\n",
        ["m.yaml:5:1: kind: this key is already in line 2"],
    ),
    "in an item of a list": (
        (
            "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Namespace\n  metadata:\n"
            "    name: a\n    name: b\n"
        ),
        ["m.yaml:8:5: metadata.name: this key is already in line 7"],
    ),
    "in a list itself": (
        "apiVersion: v1\nkind: List\nitems: []\nkind: List\n",
        ["m.yaml:4:1: kind: this key is already in line 2"],
    ),
    "no name": ("apiVersion: v1\nkind: Pod\n", ["m.yaml:1:1: metadata.name: Required value"]),
    "one name twice": (
        f"{POLICY % 'p'}---\n{POLICY % 'p'}".removesuffix("{}}\n") + "{matchLabels: {a: b}}}\n",
        [
            "m.yaml:8:12: metadata.name: NetworkPolicy default/p is already at m.yaml:1, with different",
        ],
    ),
    "a name that is a boolean": (
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: on}\n",
        ["m.yaml:3:12: metadata.name: Invalid value: true: must be a string, not a boolean; `on` is read a"],
    ),
    "a template": (
        "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {{ .Release.Namespace }}\n",
        ["m.yaml:4: this is a template, not a manifest: render it first (helm template)"],
    ),
    "two broken documents and a good one": (
        f"kind: [\n---\n{NAMESPACE % 'a'}---\napiVersion: v1\nkind: Pod\n  x: y\n",
        [
            "m.yaml:2:1: not YAML: did not find expected node content (while parsing a flow node)",
            "m.yaml:9:4: not YAML: mapping values are not allowed in this context",
        ],
    ),
    "an unknown field, and more": (
        (
            "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata:\n  name: p\n  labels:\n"
            "    a: 1\nspec:\n  podselector: {}\n  ingress:\n  - form: []\n    ports:\n    - port: '80'\n"
        ),
        [
            "m.yaml:6:5: metadata.labels: Invalid value: 1: must be a string",
            'm.yaml:8:3: spec.podselector: unknown field "spec.podselector"; did you mean podSelector?',
            'm.yaml:10:5: spec.ingress[0].form: unknown field "spec.ingress[0].form"; did you mean from?',
            "m.yaml:12:7: spec.ingress[0].ports[0].port: Invalid value",
        ],
    ),
    "JSON that was cut": ('{"apiVersion": "v1", "kind": ', ["m.json:1:30: not JSON: Expecting value"]),
    "a key twice in JSON": (
        '{"apiVersion": "v1", "kind": "Namespace",\n"metadata": {"name": "a", "name": "b"}}',
        ["m.json:2:27: metadata.name: this key is already in line 2"],
    ),
    "deep JSON": (
        '{"a":' * 100_000 + "1" + "}" * 100_000,
        ["m.json:1:1: not JSON: nested too deeply"],
    ),
    "a list that was cut in its items": (
        (
            '{"kind": "List", "apiVersion": "v1", "items": [\n{"apiVersion": "v1", "kind": "Namespace", '
            '"metadata": {"name": "a"}},\n{"kind"'
        ),
        ["m.json:3:8: not JSON: Expecting ':' delimiter"],
    ),
}


@pytest.mark.parametrize(("text", "expected"), BAD.values(), ids=BAD)
def test_what_is_wrong_has_its_place(text: str, expected: list[str], problems: Problems) -> None:
    found = problems(text, "m.json" if text.startswith('{"') else "m.yaml")
    assert [problem[: len(start)] for problem, start in zip(found, expected, strict=True)] == expected


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
