"""`netprobe explain`: one flow, by manifests or a suite, for people and for programs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from netprobe.cli import main
from tests.manifest_text import policy
from tests.shop import SHOP

SUITE = """
apiVersion: netprobe/v1alpha1
kind: ConnectivitySuite
metadata: {name: tiny}
topology:
  namespaces: [{name: shop, pods: [{name: web, ports: [80]}, {name: cart, ports: [80]}]}]
  external: [{name: partner, address: 203.0.113.9}]
policies: [deny.yaml]
expect: {default: deny}
steps:
  - {name: open, do: [{delete: {networkpolicy: shop/closed}}], expect: {default: allow}}
"""
CLOSED = policy("{policyTypes: [Ingress]}", name="closed")


@pytest.fixture
def cluster(tmp_path: Path) -> str:
    (tmp_path / "cluster.yaml").write_text(SHOP)
    return str(tmp_path / "cluster.yaml")


@pytest.fixture
def suite(tmp_path: Path) -> str:
    (tmp_path / "deny.yaml").write_text(CLOSED)
    (tmp_path / "suite.yaml").write_text(SUITE)
    return str(tmp_path / "suite.yaml")


def line(text: str) -> int:
    """The line of the shop's manifests in which a text occurs first."""
    return 1 + SHOP[: SHOP.index(text)].count("\n")


def explain(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = main(["explain", *arguments])
    return (status, *capsys.readouterr())


def test_the_answer_comes_first_and_names_policy_side_and_file(
    cluster: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = explain(capsys, "shop/cart-2", "shop/cart-1", "--ip-family", "ipv6", "-f", cluster)
    assert (status, err) == (0, "")
    assert out.startswith("DENIED at the destination: shop/cart isolates shop/cart-1 for ingress")
    assert "8080" in out.splitlines()[0], "the only port that the destination declares"
    assert f"from[0] [{cluster}:{line('ipBlock')}]: " in out
    assert "To be allowed: " in out
    both = explain(capsys, "shop/cart-2", "shop/cart-1", "-f", cluster)[1]
    assert "ALLOWED" in both, "the families differ: each is explained"
    assert "DENIED" in both
    other_port = explain(capsys, "shop/web", "shop/db", "--port", "53/udp", "-f", cluster)[1]
    assert f"ports[0] [{cluster}:{line('port: 5432')}]: it opens TCP 5432, not UDP 53" in other_port


def test_a_workload_represents_its_pod_and_json_is_for_programs(
    cluster: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["shop/web", "shop/cart-2", "--port", "9", "-f", cluster, "-o", "json"]
    status, out, _ = explain(capsys, *arguments)
    document = json.loads(out)
    assert status == 0
    assert (document["kind"], document["from"], document["port"]) == ("Explanation", "shop/web", 9)


@pytest.mark.parametrize(("step", "word"), [("0", "DENIED"), ("1", "ALLOWED")])
def test_a_suite_at_a_step_and_its_hosts_outside(
    step: str, word: str, suite: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, _ = explain(capsys, "partner", "shop/web", "--suite", suite, "--step", step)
    assert status == 0
    assert out.startswith(word)


def test_a_suite_without_a_topology_is_about_the_manifests(
    cluster: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = tmp_path / "rows.yaml"
    suite.write_text(
        "apiVersion: netprobe/v1alpha1\nkind: ConnectivitySuite\nmetadata: {name: rows}\n"
        "expect: {flows: [{from: shop/web, to: shop/cart, port: 80, verdict: allow}]}\n"
    )
    asked = ("shop/web", "shop/cart-1", "--port", "80", "-f", cluster)
    assert explain(capsys, *asked, "--suite", str(suite)) == explain(capsys, *asked)


CILIUM = """
apiVersion: cilium.io/v2
kind: {kind}
metadata: {{name: wall, namespace: {namespace}}}
"""


@pytest.mark.parametrize(
    ("kind", "namespace", "qualified"),
    [
        ("CiliumNetworkPolicy", "shop", "CiliumNetworkPolicy shop/wall"),
        ("CiliumNetworkPolicy", "other", ""),
        ("CiliumClusterwideNetworkPolicy", "", "CiliumClusterwideNetworkPolicy wall"),
    ],
)
def test_a_kind_that_is_not_simulated_qualifies_the_answer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, namespace: str, qualified: str
) -> None:
    (tmp_path / "all.yaml").write_text(SHOP + "---" + CILIUM.format(kind=kind, namespace=namespace or "x"))
    asked = ["explain", "shop/web", "shop/cart-1", "--port", "8080", str(tmp_path)]
    assert main(asked) == (3 if qualified else 0)
    first = capsys.readouterr().out.splitlines()[0]
    assert first.startswith("ALLOWED")
    assert f"as far as simulated: {qualified} may decide it too" in first or not qualified
    assert main([*asked, "--ignore-unsimulated", "-o", "json"]) == 0
    names = [f"{one['kind']} {one['policy']}" for one in json.loads(capsys.readouterr().out)["qualified_by"]]
    assert names == ([qualified] if qualified else [])
