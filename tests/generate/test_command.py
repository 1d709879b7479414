"""`netprobe generate` as a program, both ways."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

from netprobe.cli import main
from netprobe.suite import load
from tests.manifest_text import documents, pod, policy
from tests.scenarios import MANIFESTS, SCENARIOS, Scenario

ZERO_TRUST = MANIFESTS / "zero-trust"
SHOP = "namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: shop}}"
API = f"{{{SHOP}, podSelector: {{matchLabels: {{app: api}}}}}}"
POLICY = policy(f"{{podSelector: {{}}, ingress: [{{from: [{API}]}}]}}", name="pg", namespace="data")
CLUSTER = documents(
    pod("web", ports="[{containerPort: 80}, {containerPort: 9100}]", app="web"),
    pod("api", ports="[{containerPort: 8080}]", app="api"),
    pod("pg", namespace="data", ports="[{containerPort: 5432}]", app="pg"),
    POLICY,
)
ALIKE = """
apiVersion: netprobe/v1alpha1
kind: ConnectivitySuite
metadata: {name: alike}
topology:
  namespaces:
    - name: shop
      pods:
        - {name: web, labels: {app: web}, replicas: 2}
        - {name: pg, labels: {app: pg}, ports: [5432]}
policies: [policies/]
expect:
  default: deny
  flows:
    - {from: shop/web-0, to: shop/pg, verdict: allow}
"""


def test_the_example_is_what_generate_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", str(ZERO_TRUST / "suite.yaml"), "--output-dir", str(tmp_path / "policies")]) == 0
    written = {path.name: path.read_text() for path in (tmp_path / "policies").iterdir()}
    assert written == {path.name: path.read_text() for path in (ZERO_TRUST / "policies").iterdir()}
    assert "in the simulator, 509 of 509 flows as declared" in capsys.readouterr().err


WITHOUT_STEPS = [one for one in SCENARIOS if one.name in {"five-workloads", "production", "calico-tiers"}]


@pytest.mark.parametrize("scenario", WITHOUT_STEPS, ids=lambda scenario: scenario.name)
def test_a_declaration_is_met(scenario: Scenario, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    suite = tmp_path / "suite.yaml"
    shutil.copy(scenario.suite, suite)
    assert main(["generate", str(suite), "--output-dir", str(tmp_path / "policies")]) == 0
    text = yaml.safe_load(suite.read_text())
    suite.write_text(yaml.safe_dump({**text, "policies": ["policies/"]}))
    capsys.readouterr()
    assert main(["simulate", str(suite), "-o", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["summary"]["as_expected"] == scenario.flows


def test_a_refusal_is_at_the_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    suite = tmp_path / "suite.yaml"
    suite.write_text(ALIKE)
    assert main(["generate", str(suite), "--output-dir", str(tmp_path / "policies")]) == 2
    output = capsys.readouterr().err
    assert f"{suite}:15:7: expect.flows[0]: web-0 and web-1 of shop have the same labels (app=web)" in output
    assert "deny shop/web-1 -> shop/pg 5432/TCP" in output
    assert not (tmp_path / "policies").exists()


def test_files_of_others_are_never_touched_and_its_own_old_ones_go(tmp_path: Path) -> None:
    suite, folder = str(MANIFESTS / "two-tier" / "suite.yaml"), tmp_path / "policies"
    assert main(["generate", suite, "--output-dir", str(folder)]) == 0
    stale = folder / "gone-gone.yaml"
    stale.write_text((folder / "database-pg.yaml").read_text())
    assert main(["generate", suite, "--output-dir", str(folder)]) == 0
    assert not stale.exists()
    (folder / "mine.yml").write_bytes(b"# caf\xe9\n")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert main(["generate", suite, "--output-dir", str(folder)]) == 2
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_namespaces_by_the_suites_own_label(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", str(ZERO_TRUST / "suite.yaml"), "--namespace-label", "tier"]) == 0
    policies = list(yaml.safe_load_all(capsys.readouterr().out))
    selectors = json.dumps([policy["spec"] for policy in policies])
    assert '"tier": "backend"' in selectors
    assert '"kubernetes.io/metadata.name": "dns"' in selectors  # which has no such label


def test_a_proposal_declares_what_passes_today(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cluster, proposed = tmp_path / "cluster.yaml", tmp_path / "suite.yaml"
    cluster.write_text(CLUSTER)
    assert main(["generate", "--from-cluster", "-f", str(cluster), "--output-file", str(proposed)]) == 0
    rows = yaml.safe_load(proposed.read_text())["expect"]["flows"]
    assert rows == [
        {"from": "*/*", "to": ["shop/web", "shop/api"], "verdict": "allow"},
        {"from": "shop/api", "to": "data/pg", "verdict": "allow"},
    ]
    assert load(proposed).topology is None
    capsys.readouterr()
    assert main(["simulate", str(proposed), "-f", str(cluster)]) == 0
    folder = str(tmp_path / "policies")
    assert main(["generate", str(proposed), "-f", str(cluster), "--output-dir", folder]) == 0


@pytest.mark.lab
def test_verify_probes_the_new_policies_on_a_lab(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    suite = tmp_path / "suite.yaml"
    shutil.copy(MANIFESTS / "two-tier" / "suite.yaml", suite)
    assert main(["generate", str(suite), "--output-dir", str(tmp_path / "policies"), "--verify"]) == 0
    assert "on the lab: 8 of 8 flows as declared" in capsys.readouterr().err
