"""A diff of changes: git applies it, the objects become what the operations say, and all else stays."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from netprobe.manifests import read_documents
from netprobe.manifests.change import Apply, Delete, Patch, SetLabels, patched, setting
from netprobe.manifests.unified import unified

BLOCK = """\
# the shop
kind: NetworkPolicy
apiVersion: networking.k8s.io/v1
metadata:
  name: web   # the shop's front
spec:
  podSelector:
    matchLabels:
      app: web
  ingress:
    # the gateway
    - from:
        - podSelector: {matchLabels: {app: gateway}}  # on port 80

        # and the prober
        - podSelector:
            matchLabels:
              app: prober
      ports:
      - port: 80
    - {}
  policyTypes:
  - Ingress   # only

# end
"""
FLOW = """\
kind: NetworkPolicy
apiVersion: networking.k8s.io/v1
metadata: {name: web}
spec: {podSelector: {matchLabels: {app: web}}, policyTypes: [ Ingress ], ingress: [
    {from: [{podSelector: {matchLabels: {app: gateway}}},
            {podSelector: {matchLabels: {app: prober}}}], ports: [{port: 80}]},
    {}]}   # all
"""
OTHER = "kind: ConfigMap\napiVersion: v1\nmetadata: {name: x}  # not ours\n"
LIST = "kind: List\napiVersion: v1\nitems:\n" + "".join(
    f"- {text}".replace("\n", "\n  ").removesuffix("  ") for text in (FLOW, FLOW.replace("web", "db"))
)
JSON = (
    '{"kind": "NetworkPolicy", "apiVersion": "networking.k8s.io/v1", "metadata": {"name": "web"}, "spec": '
    '{"podSelector": {"matchLabels": {"app": "web"}},\n "policyTypes": ["Ingress"], "ingress": [\n'
    '{"from": [{"podSelector": {"matchLabels": {"app": "gateway"}}}, {"podSelector": {}}], '
    '"ports": [{"port": 80}]}, {}]}}'
)
TEXTS = {
    "block style": BLOCK,
    "flow style": FLOW,
    "the last of several": f"{OTHER}---\n{BLOCK}",
    "the first of several": f"---\n{BLOCK}---\n{OTHER}",
    "a List": LIST,
    "JSON": JSON,
    "no line break at the end": FLOW.rstrip(),
    "Windows line ends": BLOCK.replace("\n", "\r\n"),
    "byte order mark": f"\ufeff{BLOCK}",
    "more than ASCII": f"# café \U0001f511\n{BLOCK}",
}
PEER = {"podSelector": {"matchLabels": {"app": "new", "on": "true"}}}
OPERATIONS: dict[str, dict[str, Any]] = {
    "append": {"op": "add", "path": "/spec/ingress/0/from/-", "value": PEER},
    "insert": {"op": "add", "path": "/spec/ingress/0", "value": {"from": [PEER], "ports": [{"port": 53}]}},
    "insert between": {"op": "add", "path": "/spec/ingress/0/from/1", "value": PEER},
    "add a type": {"op": "add", "path": "/spec/policyTypes/-", "value": "Egress"},
    "add a key": {"op": "add", "path": "/spec/egress", "value": [{"to": [PEER]}]},
    "add a label": {"op": "add", "path": "/spec/podSelector/matchLabels/a.b~1c", "value": "yes"},
    "replace a scalar": {"op": "replace", "path": "/spec/ingress/0/ports/0/port", "value": 8080},
    "replace a list": {"op": "replace", "path": "/spec/ingress/0/from", "value": [PEER]},
    "replace an item": {"op": "replace", "path": "/spec/ingress/0/from/1", "value": PEER},
    "replace a mapping": {"op": "replace", "path": "/spec/podSelector", "value": {}},
    "remove the first": {"op": "remove", "path": "/spec/ingress/0"},
    "remove the last": {"op": "remove", "path": "/spec/ingress/0/from/1"},
    "remove the only one": {"op": "remove", "path": "/spec/policyTypes/0"},
    "remove a key": {"op": "remove", "path": "/spec/ingress/0/ports"},
    "remove the first key": {"op": "remove", "path": "/spec/ingress/0/from"},
}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def git_apply(*changes: Any) -> str:
    """Apply the diff of changes to the files of the current directory."""
    diff = "".join(unified(changes))
    done = subprocess.run(["git", "apply", "-"], input=diff.encode(), capture_output=True, check=False)
    assert done.returncode == 0, f"{done.stderr.decode()}\n{diff}"
    return diff


def load(text: str) -> list[Any]:
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    return [one for one in yaml.safe_load_all(text) if one is not None]


def patch(*operations: dict[str, Any], file: str = "p.yaml") -> Patch:
    document = next(one for one in read_documents([file]) if one.kind == "NetworkPolicy")
    return Patch("NetworkPolicy", "default/web", operations, document.origin)


def line_ends(text: str) -> tuple[bool, bool]:
    return "\r\n" in text, "\n" in text.replace("\r\n", "")


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_each_operation(text: str) -> None:
    """One file and one patch for each operation, in one diff."""
    files = {name: Path(f"{name}.yaml") for name in OPERATIONS}
    for file in files.values():
        file.write_bytes(text.encode())
    git_apply(*(patch(operation, file=str(files[name])) for name, operation in OPERATIONS.items()))
    for name, operation in OPERATIONS.items():
        after = files[name].read_bytes().decode()
        expected = load(text)
        for document in expected:
            for obj in document.get("items", [document]):
                if obj["metadata"] == {"name": "web"}:
                    obj.update(patched(obj, (operation,)))
        assert load(after) == expected, name
        assert after.startswith("\ufeff") == text.startswith("\ufeff"), name
        assert line_ends(after) == line_ends(text), name
        if operation["op"] == "add":
            assert len(set(text.split("\n")) - set(after.split("\n"))) <= 1, f"{name}: other lines stay"


def test_several_changes_of_several_files_are_one_diff() -> None:
    files = ("p.yaml", "dir/a file.yml", "dir/caf\u00e9.yaml")
    Path("dir").mkdir()
    for name in files:
        Path(name).write_text(f"{OTHER}---\n{BLOCK}")
    git_apply(
        patch(OPERATIONS["insert"], OPERATIONS["append"]),
        patch(OPERATIONS["add a key"]),
        patch(OPERATIONS["append"], file=files[1]),
        patch(OPERATIONS["add a type"], file=files[2]),
    )
    one, two, three = (load(Path(name).read_text())[1]["spec"] for name in files)
    assert (len(one["ingress"]), one["ingress"][0]["from"][-1], "egress" in one) == (3, PEER, True)
    assert two["ingress"][0]["from"][-1] == PEER
    assert three["policyTypes"] == ["Ingress", "Egress"]


NEW = {"kind": "NetworkPolicy", "metadata": {"namespace": "n", "name": "new"}, "spec": {"egress": []}}


def test_a_new_object_goes_to_the_end_and_can_be_changed_in_the_same_diff() -> None:
    Path("p.yaml").write_text(BLOCK.rstrip())
    more = Patch("NetworkPolicy", "n/new", ({"op": "add", "path": "/spec/egress/-", "value": {}},))
    git_apply(Apply(NEW, patch().origin), more)
    assert load(Path("p.yaml").read_text())[1:] == [{**NEW, "spec": {"egress": [{}]}}]


@pytest.mark.parametrize(
    ("text", "left"), [(f"{OTHER}---\n{BLOCK}", 1), (f"{BLOCK}---\n{OTHER}", 1), (LIST, 1), (BLOCK, 0)]
)
def test_an_object_is_deleted(text: str, left: int) -> None:
    Path("p.yaml").write_text(text)
    git_apply(Delete("NetworkPolicy", "default/web", patch().origin))
    assert Path("p.yaml").exists() == bool(left)
    assert not left or "web" not in Path("p.yaml").read_text()


def test_what_is_in_no_file_is_a_command() -> None:
    changes: list[Any] = [
        Patch("NetworkPolicy", "n/p", ({"op": "remove", "path": "/spec/ingress/0"},)),
        Patch(
            "NetworkPolicy.projectcalico.org",
            "n/default.p",
            ({"op": "remove", "path": "/spec/order"},),
            group="crd.projectcalico.org",
        ),
        SetLabels("Namespace", "n", {"team": "a"}),
        SetLabels("Pod", "n/p", {"app": "x"}),
        SetLabels(
            "Deployment",
            "n/web",
            {"role": "front"},
            Patch(
                "Deployment",
                "n/web",
                ({"op": "add", "path": "/spec/template/metadata/labels/role", "value": "front"},),
            ),
        ),
        Delete("GlobalNetworkPolicy", "all"),
        Apply({"kind": "NetworkPolicy", "metadata": {"namespace": "n", "name": "new"}}),
    ]
    assert "".join(unified(changes)) == (
        """\
kubectl patch networkpolicy -n n p --type=json -p '[{"op": "remove", "path": "/spec/ingress/0"}]'
kubectl patch networkpolicy.crd.projectcalico.org -n n default.p --type=json \
-p '[{"op": "remove", "path": "/spec/order"}]'
kubectl label --overwrite namespace n team=a
kubectl label --overwrite pod -n n p app=x
kubectl patch deployment -n n web --type=json -p \
'[{"op": "add", "path": "/spec/template/metadata/labels/role", "value": "front"}]'
kubectl delete globalnetworkpolicy all
kubectl apply -f - <<'EOF'
kind: NetworkPolicy
metadata: {namespace: n, name: new}
EOF
"""
    )


SHARED = """\
kind: List
apiVersion: v1
items:
- {kind: NetworkPolicy, apiVersion: networking.k8s.io/v1, metadata: {name: a}, spec: &s {podSelector: {}}}
- {kind: NetworkPolicy, apiVersion: networking.k8s.io/v1, metadata: {name: b}, spec: *s}
"""


@pytest.mark.parametrize(
    ("text", "reason"),
    [(BLOCK.encode("utf-16"), "it is not UTF-8"), (SHARED.encode(), "would change something else as well")],
)
def test_what_cannot_be_edited_is_a_comment_with_the_reason(text: bytes, reason: str) -> None:
    Path("p.yaml").write_bytes(text)
    (line,) = unified([patch(OPERATIONS["add a key"])])
    assert line.startswith("# p.yaml:")
    assert f"not edited: the edit {reason}" in line or f"not edited: {reason}" in line


def test_git_changes_nothing_outside_of_the_current_directory() -> None:
    Path("p.yaml").write_text(BLOCK)
    change = patch(OPERATIONS["append"])
    assert change.origin is not None
    (line,) = unified([replace(change, origin=replace(change.origin, file="../p.yaml"))])
    assert "outside of the current directory" in line


@pytest.mark.parametrize(
    ("value", "keys", "expected"),
    [
        ({"a": {"b": {}}}, ("a", "b", "c"), {"op": "add", "path": "/a/b/c", "value": 1}),
        ({"a": {"b": None}}, ("a", "b", "c"), {"op": "add", "path": "/a/b", "value": {"c": 1}}),
        ({"a": [{}]}, ("a", 0, "b", "c"), {"op": "add", "path": "/a/0/b", "value": {"c": 1}}),
        ({"a": {"b": 2}}, ("a", "b"), {"op": "replace", "path": "/a/b", "value": 1}),
    ],
)
def test_setting_makes_the_mappings_above(value: Any, keys: Any, expected: Any) -> None:
    assert setting(value, keys, 1) == expected
