"""What cannot be read is told as it is everywhere: place by place, status 2, and no traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from netprobe.cli import main

COMMANDS = (
    ("lint",),
    ("impact", "--against", "ok.yaml", "-f"),
    ("graph", "-f"),
    ("generate", "--from-cluster", "-f"),
)
POLICY = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p, namespace: shop}\n"
INPUTS: dict[str, tuple[bytes, str]] = {
    "broken": (b"apiVersion: v1\nkind: Pod\nmetadata: {name: a\n", "bad.yaml:4:1: not YAML"),
    "binary": (b"\x00\xff\x01" * 100, "bad.yaml:1: not UTF-8"),
    "template": ((POLICY + "spec: {{ .Values.spec }}\n").encode(), "bad.yaml:4: this is a template"),
    "tab": (b"apiVersion: v1\nkind: Pod\n\tmetadata: {}\n", "bad.yaml:3:1: not YAML"),
    "array": (b"- 1\n- 2\n", "bad.yaml:1:"),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ok.yaml").write_text(POLICY + "spec: {podSelector: {}, policyTypes: [Ingress]}\n")
    return tmp_path


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
@pytest.mark.parametrize(("content", "told"), list(INPUTS.values()), ids=list(INPUTS))
def test_unreadable_files(
    command: tuple[str, ...],
    content: bytes,
    told: str,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (folder / "bad.yaml").write_bytes(content)
    assert main([*command, "bad.yaml"]) == 2
    err = capsys.readouterr().err
    assert told in err
    assert "Traceback" not in err


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_all_fields_that_do_not_exist_at_once(
    command: tuple[str, ...],
    folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (folder / "bad.yaml").write_text(POLICY + "spec:\n  podSelectr: {}\n  ingress:\n  - form: []\n")
    assert main([*command, "bad.yaml"]) == (1 if command == ("lint",) else 2)
    captured = capsys.readouterr()
    told = captured.out + captured.err
    assert "bad.yaml:5:3" in told
    assert "bad.yaml:7:5" in told
    assert "did you mean podSelector?" in told


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
@pytest.mark.parametrize("path", ["no-such.yaml", "empty"])
def test_what_is_not_there(
    command: tuple[str, ...],
    path: str,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (folder / "empty").mkdir()
    assert main([*command, path]) == 2
    assert f"{path}: no " in capsys.readouterr().err


def test_a_declaration_is_about_pods(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", "--from-cluster", "-f", "ok.yaml"]) == 2
    assert "there is no pod" in capsys.readouterr().err
