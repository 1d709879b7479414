"""`netprobe graph` from its arguments to its text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from netprobe.cli import main
from netprobe.report.graph import inputs
from tests.conftest import Golden
from tests.manifest_text import documents, namespace, pod, policy
from tests.scenarios import MANIFESTS

FIVE = str(MANIFESTS / "five-workloads" / "suite.yaml")
MISTAKE = str(MANIFESTS / "production-mistake" / "suite.yaml")
POLICIES = str(MANIFESTS / "production" / "policies")
EMPTY_REPORT = {"apiVersion": "netprobe/v1alpha1", "kind": "Report", "flows": []}

Capture = pytest.CaptureFixture[str]


def graph(capsys: Capture, *arguments: str, status: int = 0) -> str:
    """What the command prints; its messages if it fails."""
    assert main(["graph", *arguments]) == status
    printed = capsys.readouterr()
    return printed.err if status else printed.out


def arrows(text: str) -> set[str]:
    return {line.strip() for line in text.splitlines() if "|" in line}


def saved(folder: Path, flows: list[dict[str, Any]]) -> str:
    path = folder / "report.json"
    path.write_text(json.dumps(EMPTY_REPORT | {"flows": flows}))
    return str(path)


def test_five_workloads_as_mermaid(capsys: Capture, golden: Golden) -> None:
    """Worked out by hand: a box for each namespace, and six arrows."""
    golden("five-workloads.mmd", graph(capsys, FIVE))


def test_differences_are_red(capsys: Capture) -> None:
    """The three differences that production-mistake is made for, and no others."""
    text = graph(capsys, MISTAKE, "--no-bundle")
    lines = [line for line in text.splitlines() if "|" in line]
    red = next(line for line in text.splitlines() if "linkStyle" in line).split()[1].split(",")
    assert {lines[int(number)].strip() for number in red} == {
        'production__api_server -->|"5432 (declared deny)"| database__mysql',
        'monitoring__grafana -->|"9187 (declared deny)"| production__postgres',
        'production__api_server -.-x|"53/UDP (declared allow)"| dns__coredns',
    }


def test_the_declaration_alone(capsys: Capture) -> None:
    text = graph(capsys, MISTAKE, "--declared", "--from", "production/api-server", "--denied", "none")
    assert "linkStyle" not in text
    assert arrows(text) == {
        'production__api_server -->|"5432"| production__postgres',
        'production__api_server -->|"5432"| database__postgres',
        'production__api_server -->|"443"| outside__partner',
        'production__api_server -->|"53/UDP"| dns__coredns',
    }


@pytest.mark.parametrize(
    ("selection", "ports"),
    [
        (["--to", "database/*"], {"5432", "6379"}),
        (["--from", "frontend/web"], {"8080", "5432"}),
        (["--port", "6379"], {"6379"}),
    ],
)
def test_a_selection(capsys: Capture, selection: list[str], ports: set[str]) -> None:
    assert {line.split('"')[1] for line in arrows(graph(capsys, FIVE, *selection))} == ports


BY_POD = {
    'shop__web_0 -->|"5432"| shop__db',
    'shop__db -->|"80"| shop__web_0',
    'shop__web_0 -->|"80"| shop__web_0',
}
FROM_OUTSIDE = 'outside__203_0_113_7 -->|"80"| shop__web_0'
EXTERNAL = ["--external", "203.0.113.7"]


@pytest.mark.parametrize(
    ("options", "box", "expected"),
    [
        pytest.param([], 'shop__web_0["web-#42; (3 pods)"]', BY_POD, id="by pod"),
        pytest.param(
            ["--by-namespace", *EXTERNAL],
            'shop__web_0["4 pods"]',
            {'shop__web_0 -->|"80, 5432"| shop__web_0', FROM_OUTSIDE},
            id="by namespace",
        ),
        pytest.param([*EXTERNAL, "--from", "203.0.113.7"], "", {FROM_OUTSIDE}, id="from outside"),
    ],
)
def test_manifests(capsys: Capture, tmp_path: Path, options: list[str], box: str, expected: set[str]) -> None:
    text = graph(capsys, "-f", cluster(tmp_path), *options)
    assert box in text
    assert arrows(text) == expected


def test_a_report_of_a_suite(capsys: Capture, tmp_path: Path) -> None:
    """The picture is that of the suite. A report of an older version needs the suite for that."""
    drawn = graph(capsys, FIVE)
    assert main(["simulate", FIVE, "-o", "json"]) == 0
    flows = json.loads(capsys.readouterr().out)["flows"]
    assert graph(capsys, "--from-report", saved(tmp_path, flows)) == drawn
    for flow in flows:
        del flow["declared_by"]
    old = saved(tmp_path, flows)
    assert graph(capsys, FIVE, "--from-report", old) == drawn
    assert main(["graph", "--from-report", old]) == 0
    alone = capsys.readouterr()
    assert arrows(alone.out) == {arrow for arrow in arrows(drawn) if "-->" in arrow}
    assert "does not say which flows a row denies" in alone.err
    assert len(arrows(graph(capsys, "--from-report", old, "--denied", "all", "--no-bundle"))) > 20


def test_mermaid_gets_no_more_arrows_than_it_draws(capsys: Capture, tmp_path: Path) -> None:
    fixed = {"protocol": "TCP", "simulated": "allow"}
    report = saved(
        tmp_path,
        [
            {"from": f"{'xy'[a % 2]}/p{a}", "to": f"{'xy'[b % 2]}/p{b}", "port": b + 1} | fixed
            for a in range(30)
            for b in range(30)
            if a != b
        ],
    )
    assert main(["graph", "--from-report", report, "--no-bundle"]) == 0
    printed = capsys.readouterr()
    assert len(arrows(printed.out)) == 4
    assert "870 arrows are too many for this format" in printed.err
    assert main(["graph", "--from-report", report, "--no-bundle", "--by-pod"]) == 0
    assert "draws at most 500 arrows unless maxEdges is raised, and there are 870" in capsys.readouterr().err
    assert graph(capsys, "--from-report", report, "--no-bundle", "-o", "dot").count(" -> ") == 870


def test_what_a_run_observed(capsys: Capture, tmp_path: Path) -> None:
    """A flow that was not probed is not drawn as observed."""
    fixed = {"from": "a/x", "to": "b/y", "protocol": "TCP", "family": 4, "because": []}
    verdicts = {
        80: ("deny", "deny", "allow", ["declared-observed", "simulated-observed"]),
        81: ("allow", "allow", "unknown", []),
        82: ("deny", "deny", "deny", []),
        83: ("allow", "allow", None, []),
    }
    keys = ("declared", "simulated", "observed", "mismatch")
    flows = [fixed | {"port": port} | dict(zip(keys, v, strict=True)) for port, v in verdicts.items()]
    report = saved(tmp_path, flows)
    assert arrows(graph(capsys, "--from-report", report, "--observed")) == {
        'a__x -->|"80 (declared deny)"| b__y',
        'a__x -.-o|"81 unknown"| b__y',
    }
    assert "83" in graph(capsys, "--from-report", report)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", ":1:2: is not JSON"),
        ("[" * 100_000, "is nested too deeply"),
        ("[]", "should be a valid dictionary"),
        (json.dumps(EMPTY_REPORT | {"apiVersion": "v1"}), "apiVersion: Input should be 'netprobe/v1alpha1'"),
        (json.dumps(EMPTY_REPORT | {"flows": [{}]}), "flows[0].from: Field required"),
    ],
)
def test_a_file_that_is_not_a_report(capsys: Capture, tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "report.json"
    path.write_text(text)
    printed = graph(capsys, "--from-report", str(path), status=2)
    assert str(path) in printed
    assert message in printed


def test_the_name_of_the_file_says_the_format(tmp_path: Path) -> None:
    beginnings = {"svg": "<svg ", "html": "<!DOCTYPE html>", "gv": "digraph ", "txt": "flow", "md": "flow"}
    for suffix, beginning in beginnings.items():
        path = tmp_path / f"x.{suffix}"
        assert main(["graph", FIVE, "--output-file", str(path)]) == 0
        assert path.read_text().startswith(beginning)


def test_a_page_says_if_only_some_flows_have_suggestions(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputs, "MOST_SUGGESTIONS", 5)
    page = graph(capsys, FIVE, "-o", "html")
    assert "Changes are suggested for 5 of " in page
    assert page.count("To be allowed: ") + page.count("To be denied: ") <= 5


def cluster(folder: Path) -> str:
    """Three replicas of web and a db that only they may reach, as a file."""
    web = "{podSelector: {matchLabels: {app: web}}}"
    text = documents(
        namespace("shop"),
        *(pod(f"web-{number}", ports="[{containerPort: 80}]", app="web") for number in range(3)),
        pod("db", ports="[{containerPort: 5432}]", app="db"),
        policy(f"{{podSelector: {{matchLabels: {{app: db}}}}, ingress: [{{from: [{web}]}}]}}"),
    )
    path = folder / "cluster.yaml"
    path.write_text(text)
    return str(path)


def test_pods_of_a_workload_are_one_box_and_workloads_are_apart(tmp_path: Path, capsys: Capture) -> None:
    containers = "{containers: [{name: c, image: i, ports: [{containerPort: 80}]}]}"
    pods = [
        f"apiVersion: v1\nkind: Pod\nmetadata: {{name: app-{w}-6d4cf56db6-abcd{i}, namespace: n{n}, "
        f"labels: {{app: a{w}}}, ownerReferences: [{{apiVersion: apps/v1, kind: ReplicaSet, "
        f"name: app-{w}-6d4cf56db6, uid: u, controller: true}}]}}\nspec: {containers}\n"
        for n in range(3)
        for w in range(4)
        for i in range(3)
    ]
    (tmp_path / "pods.yaml").write_text("---\n".join(pods))
    drawn = graph(capsys, "-f", str(tmp_path))
    assert (drawn.count("(3 pods)"), len(arrows(drawn))) == (12, 3)
    report = tmp_path / "report.json"
    assert main(["simulate", "-f", str(tmp_path), "-o", "json", "--output-file", str(report)]) == 0
    assert graph(capsys, "--from-report", str(report)).count("(3 pods)") == 12
    assert graph(capsys, "-f", str(tmp_path), "--group").count("(12 pods)") == 3
