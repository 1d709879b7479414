"""`netprobe simulate`: manifests and suites in, every format and the right exit status out."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree as ET

import jsonschema
import pytest
import yaml

from netprobe.cli import main
from netprobe.report.style import Style
from tests.cli.conftest import Program
from tests.conftest import schema
from tests.manifest_text import documents, namespace, pod, policy

MANIFESTS = documents(
    namespace("shop", tier="shop"),
    pod(
        "web",
        ports="[{containerPort: 80}]",
        spec="nodeName: n1",
        addresses="{ip: 10.0.0.1}, {ip: 'fd00::1'}",
        app="web",
    ),
    pod(
        "cart",
        ports="[{containerPort: 53, protocol: UDP}]",
        spec="nodeName: n2",
        addresses="{ip: 10.0.0.2}, {ip: 'fd00::2'}",
        app="cart",
    ),
    pod("done", addresses="{ip: 10.0.0.3}", phase="Succeeded"),
    policy(
        "{podSelector: {matchLabels: {app: web}}, "
        "ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/30}}], ports: [{port: 80}]}]}",
        name="by-address",
    ),
    "{apiVersion: v1, kind: Secret, metadata: {name: of-no-interest, namespace: shop}}\n",
)

SUITE = """
apiVersion: netprobe/v1alpha1
kind: ConnectivitySuite
metadata: {name: tiny}
topology:
  namespaces:
    - name: shop
      pods:
        - {name: web, labels: {app: web}, ports: [80]}
        - {name: cart, labels: {app: cart}, ports: [80]}
policies: [policy.yaml]
expect:
  default: allow
  flows:
    - {from: shop/cart, to: shop/web, port: 80, verdict: deny}
steps:
  - name: take the policy away
    do: [{delete: {networkpolicy: shop/closed}}]
    expect: {default: allow}
"""
POLICY = policy("{podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress]}", name="closed")


@pytest.fixture
def manifests(tmp_path: Path) -> Path:
    path = tmp_path / "all.yaml"
    path.write_text(MANIFESTS)
    return path


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    (tmp_path / "policy.yaml").write_text(POLICY)
    (tmp_path / "suite.yaml").write_text(SUITE)
    return tmp_path / "suite.yaml"


@pytest.fixture
def wrong_suite(suite: Path) -> Path:
    """One row declares the opposite of what the policy says."""
    suite.write_text(SUITE.replace("verdict: deny", "verdict: allow"))
    return suite


def as_json(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, dict[str, Any]]:
    status = main(["simulate", *map(str, arguments), "-o", "json"])
    document = json.loads(capsys.readouterr().out)
    jsonschema.Draft202012Validator(json.loads(schema().read_text())).validate(document)
    return status, document


def verdicts(document: dict[str, Any]) -> list[str]:
    return [
        f"{f['from']} {f['to']} {f['port']}/{f['protocol']} {f['family']} {f['simulated']}"
        for f in document["flows"]
    ]


def test_each_ordered_pair_and_port_is_a_row_and_families_that_differ_are_two(
    manifests: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, document = as_json(capsys, "-f", manifests, "--port", "80", "--port", "53/udp")
    assert status == 0
    assert verdicts(document) == [
        "shop/web shop/cart 80/TCP None allow",
        "shop/web shop/cart 53/UDP None allow",
        "shop/cart shop/web 80/TCP 4 allow",
        "shop/cart shop/web 80/TCP 6 deny",
        "shop/cart shop/web 53/UDP None deny",
    ]
    denied = document["flows"][3]
    assert (denied["from_node"], denied["to_node"]) == ("n2", "n1")
    isolates = {"kind": "NetworkPolicy", "policy": "shop/by-address", "rule": None, "effect": "isolates"}
    place = {"direction": "ingress", "tier": "default", "peer": None, "file": str(manifests), "line": 9}
    assert denied["because"] == [isolates | place]
    allowed = document["flows"][2]["because"][0]
    assert (allowed["rule"], allowed["peer"], allowed["effect"]) == (0, 0, "allows")
    assert (document["suite"], document["cluster"]["kind"]) == (None, "simulated")


def test_without_ports_those_that_the_destination_declares(
    manifests: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, document = as_json(capsys, "-f", manifests, "--external", "10.0.0.3", "--external", "10.0.0.7")
    assert verdicts(document) == [
        "shop/web shop/cart 53/UDP None allow",
        "shop/cart shop/web 80/TCP 4 allow",
        "shop/cart shop/web 80/TCP 6 deny",
        "10.0.0.3 shop/web 80/TCP 4 allow",
        "10.0.0.3 shop/cart 53/UDP 4 allow",
        "10.0.0.7 shop/web 80/TCP 4 deny",
        "10.0.0.7 shop/cart 53/UDP 4 allow",
    ]


def test_a_pod_to_itself_and_a_profile_for_which_blocks_contain_no_pods(
    manifests: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--port", "80", "--to", "shop/web", "--include-self", "--profile", "cilium")
    _, document = as_json(capsys, "-f", manifests, *options)
    assert verdicts(document) == [
        "shop/web shop/web 80/TCP None allow",
        "shop/cart shop/web 80/TCP None deny",
    ]


def test_a_suite_among_manifests_is_passed_over_with_a_hint(
    suite: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["simulate", "-f", str(suite)])
    assert "1 ConnectivitySuite; a suite is named without -f" in capsys.readouterr().err


def test_standard_input(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(MANIFESTS.encode())))
    done = program("simulate", "-f", "-", "--to", "shop/web", "-o", "json")
    assert len(json.loads(done.stdout)["flows"]) == 2
    assert "skipped: 1 Secret\n" in done.stderr


def test_no_flow_is_not_a_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "policy.yaml").write_text(POLICY)
    status, document = as_json(capsys, "-f", tmp_path)
    assert (status, document["flows"]) == (0, [])


def test_changed_only_and_narrowing_a_suite(suite: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, document = as_json(capsys, suite, "--changed-only")
    assert [(f["step"], f["from"], f["simulated"]) for f in document["flows"]] == [
        (0, "shop/cart", "deny"),
        (1, "shop/cart", "allow"),
    ]
    _, document = as_json(capsys, suite, "--from", "shop/web")
    assert {f["from"] for f in document["flows"]} == {"shop/web"}


def test_github_annotates_the_policy_and_appends_to_the_page(
    wrong_suite: Path, tmp_path: Path, program: Program
) -> None:
    page = tmp_path / "summary.md"
    page.write_text("before\n")
    done = program("simulate", str(wrong_suite), "-o", "github", GITHUB_STEP_SUMMARY=str(page))
    assert done.returncode == 1
    assert done.stdout.startswith(f"::error file={tmp_path}/policy.yaml,line=1,")
    assert page.read_text().startswith("before\n### ❌ tiny")
    done = program("simulate", str(wrong_suite), "-o", "github", GITHUB_WORKSPACE=str(tmp_path.parent))
    assert done.stdout.startswith(f"::error file={tmp_path.name}/policy.yaml,line=1,")


def test_a_summary_page_that_cannot_be_written_costs_nothing_else(
    wrong_suite: Path, tmp_path: Path, program: Program
) -> None:
    missing, file = str(tmp_path / "none" / "page.md"), tmp_path / "report.xml"
    arguments = ("simulate", str(wrong_suite), "-o", "github", "--report", f"junit={file}")
    done = program(*arguments, GITHUB_STEP_SUMMARY=missing)
    assert "cannot write $GITHUB_STEP_SUMMARY: No such file or directory" in done.stderr
    assert "::error" in done.stdout
    assert file.read_text().endswith("</testsuites>\n")


def test_reports_next_to_the_table(suite: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    junit, page = tmp_path / "junit.xml", tmp_path / "page.md"
    wanted = [f"--report=junit={junit}", f"--report=markdown={page}", "--report=json=-"]
    assert main(["simulate", str(suite), *wanted]) == 0
    shown = capsys.readouterr().out
    assert "4 flows: 4 as expected" in shown
    assert json.loads(shown[shown.index('{"apiVersion"') :])["suite"] == "tiny"
    assert len(ET.parse(junit).getroot().findall(".//testcase")) == 4  # noqa: S314 (our own file)
    assert page.read_text().startswith("### ✅ tiny")


def test_a_closed_pipe_ends_a_stream_quietly(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "netprobe", "simulate", "-f", many(tmp_path), "--port", "80", "-o", "json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b'{"apiVersion"')
        process.stdout.close()
        _, err = process.communicate(timeout=300)
    assert (err, process.returncode) == (b"", 0), "the verdict's own status"


def test_a_terminal_gets_colour_unless_it_says_no(suite: Path, program: Program) -> None:
    assert "\x1b[32mALLOW\x1b[0m" in program("simulate", str(suite), "--color", "always").stdout

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for stream, variables, color, coloured in (
        (Terminal(), {"NO_COLOR": ""}, "auto", True),
        (Terminal(), {"NO_COLOR": "1"}, "auto", False),
        (Terminal(), {"TERM": "dumb"}, "auto", False),
        (Terminal(), {}, "never", False),
        (io.StringIO(), {}, "auto", False),
        (io.StringIO(), {"FORCE_COLOR": "1"}, "auto", True),
        (io.StringIO(), {"FORCE_COLOR": "1", "NO_COLOR": "1"}, "auto", False),
        (io.StringIO(), {"NO_COLOR": "1"}, "always", True),
    ):
        assert Style.of(stream, variables, color).colour is coloured


def many(folder: Path) -> Path:
    """A cluster with more flows than a table holds, some from a pod on its node's network."""
    pods = [
        pod(
            f"p{i}",
            spec=f"hostNetwork: {str(i == 0).lower()}",
            addresses=f"{{ip: 10.0.0.{i + 1}}}",
            app="ab"[i % 2],
        )
        for i in range(40)
    ]
    closed = policy("{podSelector: {matchLabels: {app: b}}, policyTypes: [Ingress]}", name="closed")
    path = folder / "many.yaml"
    path.write_text(documents(*pods, closed))
    return path


def test_more_flows_than_a_table_holds_are_reported_by_groups(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["simulate", "-f", str(many(tmp_path)), "--port", "80"]
    assert main(asked) == 0
    shown = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "all 39 pods shop/p2 +18 80 ALLOW 722" in shown
    assert "all 39 pods shop/p1 +19 80 DENY 760" in shown
    assert any(line.startswith("- - - UNKNOWN 78 pods on their node's network") for line in shown)
    assert "1,560 flows: 1,482 decided, 78 skipped" in shown[-1]


def test_a_report_of_rows_next_to_a_table_of_groups_counts_its_own_rows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = tmp_path / "rows.json"
    asked = ["simulate", "-f", str(many(tmp_path)), "--port", "80", "--report", f"json={rows}"]
    assert main([*asked, "--changed-only"]) == 0
    document = json.loads(rows.read_text())
    assert document["summary"]["flows"] == len(document["flows"]) == 780
    statuses = [flow["status"] for flow in document["flows"]]
    assert document["summary"]["undefined"] == statuses.count("undefined") == 20
    assert "ALLOW" not in capsys.readouterr().out


def test_grouped_documents_follow_the_schema_and_count_every_flow(
    suite: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["simulate", str(suite), "-o", "json"])
    flows = json.loads(capsys.readouterr().out)["flows"]
    main(["simulate", str(suite), "-o", "json", "--grouped"])
    document = json.loads(capsys.readouterr().out)
    jsonschema.validate(document, json.loads(schema().read_text()))
    assert document["flows"] == []
    assert sum(group["flows"] for group in document["groups"]) == len(flows)
    assert document["summary"]["flows"] == len(flows)
    main(["simulate", str(suite), "-o", "yaml", "--grouped"])
    assert yaml.safe_load(capsys.readouterr().out)["groups"] == document["groups"]
