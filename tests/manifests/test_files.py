"""Files, folders and standard input: what is read, what is left out, and what cannot be read."""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from netprobe.errors import InputError
from netprobe.manifests import load
from netprobe.manifests.files import read_exactly
from tests.manifests.test_read import NAMESPACE, names


def test_folders_files_and_standard_input_are_one_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "deep" / "er"
    folder.mkdir(parents=True)
    (folder / "a.yml").write_text(NAMESPACE % "a")
    (folder / "kustomization.yaml").write_text("resources: [a.yml]\n")
    (folder / ".hidden.yaml").write_text("{")
    (folder / "notes.txt").write_text("{")
    (tmp_path / "b.json").write_text('{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "b"}}')
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO((NAMESPACE % "c").encode())))
    loaded = load([tmp_path, folder / "a.yml", "-"])  # the file that is named twice is read once
    assert names(loaded) == ["a", "b", "c"]


def test_patches_of_kustomize_are_left_out_and_overlays_are_named(tmp_path: Path) -> None:
    base, overlay = tmp_path / "base", tmp_path / "overlay"
    for folder in (base, overlay):
        folder.mkdir()
    (base / "kustomization.yaml").write_text("resources: [a.yaml]\n")
    (base / "a.yaml").write_text(NAMESPACE % "a")
    (overlay / "b.yaml").write_text(NAMESPACE % "b")
    for name in ("one", "two"):
        (overlay / f"{name}.yaml").write_text("kind: Namespace\n")
    (overlay / "kustomization.yaml").write_text(
        "resources: [../base]\npatches: [{path: one.yaml}]\npatchesStrategicMerge: [./two.yaml]\n"
    )
    loaded = load([tmp_path])
    assert names(loaded) == ["a", "b"]
    (warning,) = loaded.cluster.warnings
    assert warning.startswith(f"{overlay}: its files are read as they are, without Kustomize")


def test_a_chart_is_skipped_and_a_broken_kustomization_ignored(tmp_path: Path) -> None:
    templates = tmp_path / "chart" / "templates"
    templates.mkdir(parents=True)
    (tmp_path / "chart" / "Chart.yaml").write_text("name: c\n")
    (templates / "np.yaml").write_text("kind: {{ .Values.kind }}\n")
    (tmp_path / "kustomization.yaml").write_text("{")
    with pytest.raises(InputError, match=r"chart: a Helm chart, .*helm template"):
        load([tmp_path])
    (tmp_path / "a.yaml").write_text(NAMESPACE % "a")
    (warning,) = load([tmp_path]).cluster.warnings
    assert warning.startswith(f"{tmp_path / 'chart'}: skipped: a Helm chart")


def test_what_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError) as caught:
        load([tmp_path / "empty", tmp_path / "nowhere.yaml", tmp_path / ("x" * 300), tmp_path / "a\0b"])
    assert [str(problem).replace(f"{tmp_path}/", "") for problem in caught.value.problems] == [
        "empty: no .yaml, .yml or .json file in this folder",
        "nowhere.yaml: no such file or folder",
        f"{'x' * 300}: File name too long",
        "a\0b: embedded null byte",
    ]


def test_a_folder_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.yaml").write_text(NAMESPACE % "a")
    (tmp_path / "closed").mkdir()
    listing = os.scandir

    def refusing(path: str) -> object:  # root, who may run this, is refused nothing
        if Path(path).name == "closed":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return listing(path)

    monkeypatch.setattr("os.scandir", refusing)
    with pytest.raises(InputError, match=r"closed: Permission denied"):
        load([tmp_path])


def test_a_pipe_in_a_folder_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    with pytest.raises(InputError, match=r"pipe\.yaml: neither a file nor a folder"):
        load([tmp_path])


def test_a_url_is_not_fetched() -> None:
    with pytest.raises(InputError, match=r"^https://example\.org/p\.yaml: URLs are not fetched"):
        load(["https://example.org/p.yaml"])


def test_an_empty_standard_input_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b"\n")))
    with pytest.raises(InputError, match="<stdin>: no input"):
        load(["-"])


def test_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_bytes((NAMESPACE % "a").encode() + b"# caf\xe9\n")
    with pytest.raises(InputError, match=r"m.yaml:4: not UTF-8: byte 0xe9"):
        load([path])


CODECS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"]


@pytest.mark.parametrize("codec", CODECS)
def test_every_encoding_of_yaml_is_read_and_kept(codec: str, tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_bytes((NAMESPACE % "a" + "# café\r\n").encode(codec))
    assert names(load([path])) == ["a"]
    read = read_exactly(path)
    assert read is not None
    text, encoding = read
    assert text == NAMESPACE % "a" + "# café\r\n"
    assert encoding.encode(text) == path.read_bytes()


FOREIGN = {  # a repository around one manifest: nothing of it is refused
    "package.json": '{"name": "shop", "version": "1.0.0"}',
    "tsconfig.json": '{\n  // comments\n  "strict": true}',
    "values.yaml": "replicas: 3\nimage: {tag: v1}\n",
    "list.yaml": "- 1\n- 2\n",
    "text.yml": "just text\n",
    "tabs.yaml": "a:\n\tb: 1\n",
    "drone.yml": "kind: pipeline\ntype: docker\n",
    "patch.json": '[{"op": "remove", "path": "/spec"}]',
}
TEMPLATES = {
    "helm.yaml": ("kind: Pod\nmetadata: {{ toYaml .Values.x }}\n", "helm template"),
    "jinja.yaml": ("kind: Namespace\n{% if x %}\nmetadata: {}\n{% endif %}\n", "a template"),
    "flux.yaml": (NAMESPACE % '"${CLUSTER}"', "the variable ${CLUSTER} is not substituted"),
    "default.yaml": (NAMESPACE % '"${CLUSTER:=a}"', "the variable ${CLUSTER} is not substituted"),
    "oc.yaml": ("apiVersion: v1\nkind: Template\nobjects: []\n", "oc process"),
    "quoted.yaml": (NAMESPACE % '"{{ ns }}"', "a template"),
    "argo.yaml": (NAMESPACE % "$(NS)", "the placeholder NS is not replaced"),
}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for name, text in (FOREIGN | {name: text for name, (text, _) in TEMPLATES.items()}).items():
        (tmp_path / name).write_text(text)
    (tmp_path / "a.yaml").write_text(NAMESPACE % "a")
    return tmp_path


def test_a_folder_may_contain_anything(repository: Path) -> None:
    loaded = load([repository])
    assert names(loaded) == ["a"]
    assert sorted(Path(name).name for name in loaded.others) == sorted(FOREIGN)
    warnings = "\n".join(loaded.cluster.warnings)
    for name, (_, message) in TEMPLATES.items():
        assert message in warnings, name


@pytest.mark.parametrize("name", [*FOREIGN, *TEMPLATES])
def test_a_file_that_is_named_is_a_manifest(name: str, repository: Path) -> None:
    with pytest.raises(InputError, match=name):
        load([repository / name])


def test_marks_of_templates_in_free_text_make_no_template(tmp_path: Path) -> None:
    pod = "{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: a, annotations: {x: '{{ y }}'}}, spec: "
    pod += "{containers: [{name: c, env: [{name: A, value: '$(B) ${C}'}]}]}}"
    (tmp_path / "p.yaml").write_text(pod)
    loaded = load([tmp_path])
    assert (len(loaded.cluster.pods), loaded.cluster.warnings) == (1, ())


KUBECTL = {
    "NAME   READY   STATUS    RESTARTS   AGE\nweb    1/1     Running   0          5d\n": "table output",
    "NAMESPACE   NAME   POD-SELECTOR   AGE\nshop   deny   <none>   5d\n": "table output",
    "Name:         deny\nNamespace:    shop\nLabels:       <none>\n": "kubectl describe",
    "networkpolicy.networking.k8s.io/deny\n": "kubectl -o name",
    "No resources found in shop namespace.\n": "a message of kubectl",
}


@pytest.mark.parametrize(("text", "name"), KUBECTL.items(), ids=KUBECTL.values())
def test_output_of_kubectl_for_people(text: str, name: str, tmp_path: Path) -> None:
    (tmp_path / "out.txt").write_text(text)
    with pytest.raises(InputError, match=f"{name}, not a manifest: use kubectl get -o yaml"):
        load([tmp_path / "out.txt"])


def variants(folder: Path, *texts: str) -> list[str]:
    """The problems of one file in each of the folders a, b, …"""
    for name, text in zip("abc", texts, strict=False):
        (folder / name).mkdir()
        (folder / name / "m.yaml").write_text(text)
    try:
        load([folder])
    except InputError as error:
        return [str(problem).replace(f"{folder}/", "") for problem in error.problems]
    return []


def test_an_identical_object_counts_once(tmp_path: Path) -> None:
    listed = f"apiVersion: v1\nkind: List\nitems:\n- {NAMESPACE.replace(chr(10), chr(10) + '  ') % 'x'}\n"
    as_json = '{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "x", "resourceVersion": "7"}}'
    assert not variants(tmp_path, NAMESPACE % "x", listed, as_json)


def test_different_objects_of_one_name_are_variants(tmp_path: Path) -> None:
    other = NAMESPACE.replace("}", ", labels: {tier: a}}") % "x"
    (problem,) = variants(tmp_path, NAMESPACE % "x", other)
    assert problem.startswith(
        "b/m.yaml:3:12: metadata.name: Namespace x is already at a/m.yaml:1, with different"
    )
    assert problem.endswith("pass only one of the folders, a or b")


def test_objects_of_removed_versions_are_named(tmp_path: Path) -> None:
    workload = "{apiVersion: extensions/v1beta1, kind: Deployment, metadata: {name: w, namespace: a}, spec: "
    workload += "{template: {metadata: {labels: {app: w}}, spec: {containers: [{name: c}]}}}}\n"
    policy = (
        "apiVersion: extensions/v1beta1\nkind: NetworkPolicy\nmetadata: {name: p}\nspec: {podSelector: {}}\n"
    )
    (tmp_path / "m.yaml").write_text(f"{workload}---\n{policy}")
    loaded = load([tmp_path / "m.yaml"])
    assert list(map(str, loaded.cluster.pods)) == ["a/w"]
    assert not loaded.cluster.policies
    assert [text.partition("m.yaml")[2] or text for text in loaded.cluster.warnings] == [
        ":1: extensions/v1beta1 Deployment was removed in Kubernetes 1.16; write apps/v1; read like that",
        ":3: extensions/v1beta1 NetworkPolicy was removed in Kubernetes 1.16; write networking.k8s.io/v1",
        "not simulated, though they may decide flows: 1 NetworkPolicy.extensions",
    ]


def test_patches_in_other_folders_and_components(tmp_path: Path) -> None:
    for name in ("base", "patches", "part"):
        (tmp_path / name).mkdir()
    (tmp_path / "base" / "a.yaml").write_text(NAMESPACE % "a")
    (tmp_path / "patches" / "labels.yaml").write_text(NAMESPACE.replace("}", ", labels: {x: y}}") % "a")
    (tmp_path / "part" / "kustomization.yaml").write_bytes(
        "kind: Component\npatches: [{path: ../patches/labels.yaml}]\n".encode("utf-16")
    )
    assert names(load([tmp_path])) == ["a"]
