"""SARIF 2.1.0: what the standard and GitHub's code scanning need of the parts that are used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import netprobe
from netprobe.cli import main
from netprobe.lint import catalogue
from tests.manifest_text import documents, namespace, policy

TEXT = documents(
    namespace("monitoring"),
    namespace("shop"),
    policy(
        "{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {name: monitoring}}}]}]}",
        name="a",
    ).replace("name: a,", "name: a, annotations: {netprobe.dev/ignore-no-ports: because},"),
)


def log(file: Path, text: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    file.write_text(text, encoding="utf-8")
    assert main(["lint", str(file), "-o", "sarif"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert found["version"] == "2.1.0"
    (run,) = found["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == list(catalogue())
    driver = run["tool"]["driver"]
    assert (driver["version"], driver["informationUri"]) == (netprobe.__version__, netprobe.PROJECT_URL)
    for rule in rules:
        assert rule["helpUri"].startswith(f"{netprobe.PROJECT_URL}/")
        assert rule["help"]["markdown"]
        assert rule["defaultConfiguration"]["level"] in {"note", "warning", "error"}
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in {"note", "warning", "error"}
        region = result["locations"][0]["physicalLocation"]["region"]
        assert region["startLine"] >= 1
        assert region["startColumn"] >= 1
    return run  # type: ignore[no-any-return]


def test_files_of_a_repository_are_relative_to_its_root_and_findings_keep_their_fingerprints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)
    (tmp_path / ".git").mkdir()
    (tmp_path / "policies").mkdir()
    monkeypatch.chdir(tmp_path / "policies")
    seen = []
    for file, text in ((Path("a.yaml"), TEXT), (tmp_path / "policies" / "a.yaml", f"# moved\n{TEXT}")):
        results = log(file, text, capsys)["results"]
        at = results[0]["locations"][0]["physicalLocation"]["artifactLocation"]
        assert at == {"uri": "policies/a.yaml", "uriBaseId": "%SRCROOT%"}
        seen.append([result["partialFingerprints"] for result in results])
    assert seen[0] == seen[1]
    assert len({str(one) for one in seen[0]}) == len(seen[0])


@pytest.mark.parametrize("absolute", [False, True])
def test_the_log(
    absolute: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    file = Path("two words.yaml")
    results = log(file.resolve() if absolute else file, TEXT, capsys)["results"]
    uri = results[0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri == (file.resolve().as_uri() if absolute else "two%20words.yaml")
    (suppressed,) = [result for result in results if "suppressions" in result]
    assert suppressed["ruleId"] == "no-ports"
    assert suppressed["suppressions"] == [{"kind": "inSource", "justification": "because"}]
    (fixed,) = [result for result in results if "fixes" in result]
    (replacement,) = fixed["fixes"][0]["artifactChanges"][0]["replacements"]
    start, length = replacement["deletedRegion"]["charOffset"], replacement["deletedRegion"]["charLength"]
    assert TEXT[start : start + length] == "name"
    assert replacement["insertedContent"]["text"] == "kubernetes.io/metadata.name"


def test_nothing_found_is_a_log_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = policy("{podSelector: {}, policyTypes: [Ingress]}")
    assert log(tmp_path / "p.yaml", text, capsys)["results"] == []
