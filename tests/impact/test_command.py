"""`netprobe impact` as a program: what it reads, its exit status and its formats."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from netprobe.cli import main
from netprobe.impact import FlowChange, impact, read_snapshots, revise
from netprobe.model.policy import PolicyRef
from netprobe.report import IMPACT_FORMATS
from netprobe.report.style import Detail, Style
from tests.manifest_text import calico, documents, pod, policy, workload
from tests.scenarios import MANIFESTS

TWO_TIER = MANIFESTS / "two-tier"
POSTGRES = "podSelector: {matchLabels: {app: postgres}}"
CLOSED = policy(f"{{{POSTGRES}, policyTypes: [Ingress]}}", name="allow-api", namespace="database")
PODS = documents(
    *(
        pod(name, namespace="database", ports="[{containerPort: 5432}]", app="postgres")
        for name in ("pg", "pg2")
    )
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """new/ and old/ with policies, and pods/."""
    for name in ("old", "new"):
        shutil.copytree(TWO_TIER / "policies", tmp_path / name)
    (tmp_path / "pods").mkdir()
    (tmp_path / "pods" / "pg.yaml").write_text(PODS)
    return tmp_path


def found(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    assert main(["impact", *map(str, arguments), "-o", "json"]) == 0
    output: dict[str, Any] = json.loads(capsys.readouterr().out)
    return output


def test_the_suite_is_the_state_and_the_declaration(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "new" / "allow-api.yaml").write_text(CLOSED)
    assert main(["impact", "-f", str(folder / "new"), "--expect", str(TWO_TIER / "suite.yaml")]) == 1
    output = capsys.readouterr().out
    assert "Against the declaration:" in output
    assert "\n  declared ALLOW: backend/api -> database/pg 5432 (1 flow)\n    " in output
    assert f"{folder}/new/allow-api.yaml:1" in output


def test_two_complete_sets_as_in_git(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "new" / "default-deny.yaml").unlink()
    paths = ("-f", folder / "new", "-f", folder / "pods", "--against", folder / "old")
    kept = found(capsys, *paths)
    assert kept["policies"] == {"added": [], "changed": [], "deleted": []}
    pruned = found(capsys, *paths, "--prune")
    assert pruned["policies"] == {"added": [], "changed": [], "deleted": ["database/default-deny"]}
    elsewhere = found(capsys, *paths, "--prune-namespace", "backend")
    assert elsewhere["policies"] == kept["policies"]


def test_json_names_every_bundle(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = ("-f", folder / "pods", "--against", folder / "old")
    output = found(capsys, *paths, "--delete", "database/default-deny")
    outside = next(one for one in output["changes"] if one["scope"] == "to outside the cluster")
    assert (outside["change"], outside["ports"], outside["other_ports"]) == ("opens", None, True)
    assert outside["from"] == {"pods": 2, "names": ["database/*"]}
    assert outside["before"]["because"][0]["policy"] == "database/default-deny"


def test_problems_of_both_sides_are_reported_at_once(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("old", "new"):
        (folder / name / "bad.yaml").write_text(CLOSED.replace("podSelector", "podSelektor"))
    assert main(["impact", "-f", str(folder / "new"), "--against", str(folder / "old")]) == 2
    output = capsys.readouterr().err
    assert f"{folder}/new/bad.yaml:1" in output
    assert f"{folder}/old/bad.yaml:1" in output


def test_a_report_next_to_the_table(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = folder / "comment.md"
    arguments = ["-f", str(folder / "new"), "--expect", str(TWO_TIER / "suite.yaml")]
    assert main(["impact", *arguments, "--report", f"markdown={page}"]) == 0
    assert page.read_text().startswith("### ✅ netprobe impact: no policy changed; 3 pods compared\n")
    assert "no flow opens" in capsys.readouterr().out


def test_without_pods_there_is_nothing_to_compare(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["impact", "-f", str(folder / "new"), "--against", str(folder / "old")]) == 0
    assert "There are no pods to compare" in capsys.readouterr().out


@pytest.mark.parametrize("width", [80, 120])
def test_two_lines_a_change_and_other_reasons_only_with_all(
    folder: Path, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    new, old = read_snapshots([["pods"], ["old"]], "default")
    gone = [PolicyRef("database", "default-deny")]
    found = impact(revise(old, new, prunes=lambda _: False, delete=gone))
    assert found.bundles
    every = "".join(IMPACT_FORMATS.render(found, "table", Style(width=width, detail=Detail.ALL)))
    short = "".join(IMPACT_FORMATS.render(found, "table", Style(width=width)))
    assert max(map(len, every.splitlines())) <= width
    reasons = found.flows(FlowChange.REASON)
    assert ("Same verdict" in every, "Same verdict" in short) == (bool(reasons), False)
    assert ("--all shows them" in short) == bool(reasons)


def test_the_current_state_may_be_a_suite(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    suite = str(TWO_TIER / "suite.yaml")
    assert main(["impact", str(folder / "new"), "--against", suite]) == 0
    assert "3 pods compared" in capsys.readouterr().out


TIERLESS = calico(
    "GlobalNetworkPolicy", "{tier: sec, selector: app == 'postgres', types: [Ingress]}", "sec.closed"
)
WEB = workload("Deployment", "web", "{app: web}").replace("shop", "database")
PINNED = policy("{podSelector: {matchLabels: {pod-template-hash: abc}}}", name="pinned", namespace="database")


@pytest.mark.parametrize(
    ("new", "options", "expected"),
    [
        (TIERLESS, (), ["tier sec is not among the objects; it is evaluated last: use --tier"]),
        (TIERLESS, ("--tier", "sec=100"), []),
        (PINNED, (), ["cannot be decided from manifests: NetworkPolicy database/pinned"]),
    ],
)
def test_what_qualifies_the_answer(
    new: str,
    options: tuple[str, ...],
    expected: list[str],
    folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Policy and pods may be on different sides."""
    (folder / "new.yaml").write_text(new)
    (folder / "pods" / "web.yaml").write_text(WEB)
    problems = found(capsys, folder / "new.yaml", "--against", folder / "pods", *options)["problems"]
    assert len(problems) == len(expected)
    assert all(problem.startswith(start) for problem, start in zip(problems, expected, strict=True))
