"""Reports kept and compared: which flows changed, why, and on which cluster."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from netprobe.history import keep
from netprobe.report import FORMATS
from netprobe.run.record import ClusterInfo
from tests.cli.conftest import Program
from tests.report.samples import sample, unenforced
from tests.scenarios import MANIFESTS


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    shutil.copytree(MANIFESTS / "two-tier", tmp_path / "two-tier")
    return tmp_path / "two-tier"


def test_diff_names_the_flows_and_the_policy(program: Program, suite: Path, tmp_path: Path) -> None:
    old, new = str(tmp_path / "old.json"), str(tmp_path / "new.json")
    assert program("simulate", str(suite / "suite.yaml"), "--report", f"json={old}").returncode == 0
    policy = suite / "policies" / "allow-api.yaml"
    policy.write_text(policy.read_text().replace("5432", "9187"))
    assert program("simulate", str(suite / "suite.yaml"), "--report", f"json={new}").returncode == 1
    done = program("diff", old, new)
    assert (done.returncode, done.stderr) == (1, "")
    assert "backend/api -> database/pg 5432: simulated ALLOW -> DENY, as expected -> mismatch" in done.stdout
    assert "changed: NetworkPolicy database/allow-api" in done.stdout
    assert "2 flows changed, 0 new, 0 gone" in done.stdout
    document = json.loads(program("diff", old, new, "-o", "json").stdout)
    assert document["policies"] == [{"policy": "NetworkPolicy database/allow-api", "change": "changed"}]
    assert [(flow["port"], flow["after"]["simulated"]) for flow in document["flows"]] == [
        (5432, "deny"),
        (9187, "allow"),
    ]
    same = program("diff", old, old)
    assert (same.returncode, "0 flows changed" in same.stdout) == (0, True)


@pytest.mark.parametrize(
    ("example", "file", "edit", "changed"),
    [
        ("calico-tiers", "security.yaml", ("order: 100", "order: 150"), ["GlobalNetworkPolicy security."]),
        ("two-tier", "allow-api.yaml", ("allow-api\n", "allow-api\n  labels: {a: b}\n"), ["NetworkPolicy"]),
        ("two-tier", "allow-api.yaml", ("allow-api\n", "allow-api\n  annotations: {a: b}\n"), []),
    ],
)
def test_diff_names_policies_whose_tier_or_labels_changed(
    program: Program, tmp_path: Path, *, example: str, file: str, edit: tuple[str, str], changed: list[str]
) -> None:
    suite = shutil.copytree(MANIFESTS / example, tmp_path / example)
    names = [str(tmp_path / name) for name in ("old.json", "new.json")]
    program("simulate", str(suite / "suite.yaml"), "-o", "json", "--output-file", names[0])
    path = suite / "policies" / file
    path.write_text(path.read_text().replace(*edit))
    program("simulate", str(suite / "suite.yaml"), "-o", "json", "--output-file", names[1])
    document = json.loads(program("diff", *names, "-o", "json").stdout)
    found = [one["policy"] for one in document["policies"] if one["change"] == "changed"]
    assert bool(found) == bool(changed)
    assert all(name.startswith(tuple(changed)) for name in found), found


def test_debug_documents_follow_their_schema(program: Program) -> None:
    schema = json.loads((MANIFESTS.parent / "docs" / "debug.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    for fault in ("ingress-policy", "some-backends", "target-port-name"):
        files = [f"--filename={MANIFESTS / 'faults' / name}.yaml" for name in ("shop", fault)]
        done = program("debug", "shop/web", "svc:shop/db", "--port", "5432", *files, "-o", "json")
        assert done.returncode in {0, 1, 3}, done.stderr
        jsonschema.validate(json.loads(done.stdout), schema)


def test_what_is_not_the_report_of_a_run_is_refused(program: Program, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text('{"apiVersion": "netprobe/v1alpha1", "kind": "Report", "flows": []}')
    done = program("diff", str(path), str(path))
    assert (done.returncode, done.stdout) == (2, "")
    assert str(path) in done.stderr


def test_history_compares_runs_on_one_cluster_only(program: Program, tmp_path: Path) -> None:
    before = sample()
    held = replace(before, steps=(replace(before.steps[0], rows=()),))
    later = replace(before.run, id="r2", started=before.run.finished)
    elsewhere = replace(before, cluster=replace(before.cluster, id="no enforcement"), run=later)
    keep(tmp_path, held)
    keep(tmp_path, elsewhere)
    document = json.loads(program("history", str(tmp_path), "-o", "json").stdout)
    assert [run["cluster_id"] for run in document["runs"]] == [None, "no enforcement"]
    assert document["changes"] == []
    keep(tmp_path, replace(before, run=replace(later, id="r3")))
    done = program("history", str(tmp_path))
    assert "lab, 2 nodes, no enforcement)" in done.stdout
    assert "9 new" in program("diff", *map(str, sorted(tmp_path.glob("*r[13].json")))).stdout


def test_the_page_of_a_folder_has_a_chart_for_each_suite_and_what_changed(
    program: Program, tmp_path: Path
) -> None:
    report = unenforced()
    keep(tmp_path, replace(report, steps=report.steps[:1], run=replace(report.run, id="r0")))
    keep(tmp_path, replace(report, run=replace(report.run, id="r1", started=report.run.finished)))
    keep(tmp_path, replace(sample(), suite="<b>", run=replace(report.run, id="r2")))
    page = tmp_path / "runs.html"
    assert program("history", str(tmp_path), "--report", f"html={page}").returncode in {0, 1}
    text = page.read_text()
    assert text.count('<svg class="chart"') == 2
    assert "0 flows changed, 1 new, 0 gone" in text
    assert "&lt;b&gt; on the lab" in text
    assert "<script" not in text
    assert text.count('<rect class="mismatch"') == 3


def test_names_in_metrics_are_escaped() -> None:
    report = replace(unenforced(), cluster=ClusterInfo("cluster", 'a"b\\c', id="uid"))
    lines = "".join(FORMATS.render(report, "metrics")).splitlines()
    labels = r'suite="two-tier",cluster="a\"b\\c",cluster_id="uid"'
    assert f'netprobe_flows{{{labels},status="mismatch"}} 2' in lines
    assert f"netprobe_enforcing{{{labels}}} 0" in lines
