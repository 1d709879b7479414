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
    assert loaded.overlays == (str(overlay),)


def test_a_chart_is_one_problem_and_a_broken_kustomization_none(tmp_path: Path) -> None:
    templates = tmp_path / "chart" / "templates"
    templates.mkdir(parents=True)
    (tmp_path / "chart" / "Chart.yaml").write_text("name: c\n")
    (templates / "np.yaml").write_text("kind: {{ .Values.kind }}\n")
    (tmp_path / "a.yaml").write_text(NAMESPACE % "a")
    (tmp_path / "kustomization.yaml").write_text("{")
    with pytest.raises(InputError) as caught:
        load([tmp_path])
    (problem,) = caught.value.problems
    assert problem.place == str(tmp_path / "chart")
    assert "helm template" in problem.message


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


def test_utf16_is_read(tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_bytes((NAMESPACE % "a").encode("utf-16"))
    assert names(load([path])) == ["a"]
