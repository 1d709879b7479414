"""The Python API, as docs/python.md describes it."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import netprobe
from netprobe.lab import Lab
from tests.shop import SHOP

ROOT = Path(__file__).parent.parent
TWO_TIER = ROOT / "manifests" / "two-tier" / "suite.yaml"


@pytest.fixture
def cluster(tmp_path: Path) -> netprobe.Cluster:
    (tmp_path / "all.yaml").write_text(SHOP)
    return netprobe.Cluster.read(tmp_path)


def test_can_answers_yes_and_no(cluster: netprobe.Cluster) -> None:
    assert cluster.can("shop/web", "shop/db", 5432)
    assert cluster.can("shop/db", "shop/web")  # it declares one port
    assert not cluster.can("shop/cart-1", "shop/db", 5432)
    assert not cluster.can("203.0.113.7", "shop/db", 5432)


def test_can_raises_where_neither_is_right(cluster: netprobe.Cluster) -> None:
    with pytest.raises(netprobe.UnknownVerdictError, match="endpoint"):
        cluster.can("shop/web", "svc:shop/nothing", 80)
    with pytest.raises(netprobe.UnknownVerdictError, match=r"it depends on the pod: .*shop/web.* is allow"):
        cluster.can("shop/*", "shop/db", 5432)
    with pytest.raises(netprobe.UsageError, match="shop/cart: no such pod"):
        cluster.can("shop/cart", "shop/db", 5432)
    with pytest.raises(netprobe.UsageError, match="declares no port"):
        cluster.can("shop/db", "shop/cart-2")


def test_explain_and_simulate(cluster: netprobe.Cluster) -> None:
    explanation = cluster.explain("shop/cart-1", "shop/db", 5432)
    assert explanation.verdict is netprobe.Verdict.DENY
    assert "shop/db" in explanation.answer
    rows = [row for _, row in cluster.simulate(sources=["shop/web"]).rows()]
    verdicts = [row.simulated.value if row.simulated else None for row in rows]
    assert verdicts == ["allow", "deny", "allow"]  # the database by TCP and by UDP, the cart


def test_a_suite_is_simulated_and_its_cluster_can_be_asked() -> None:
    report = netprobe.simulate_suite(TWO_TIER)
    assert (report.exit_status, report.counts.mismatches) == (0, 0)
    cluster = netprobe.Cluster.of_suite(TWO_TIER)
    assert cluster.can("frontend/web", "backend/api", 8080)
    assert not cluster.can("frontend/web", "database/pg", 5432)


@pytest.mark.lab
def test_a_suite_is_run_on_a_lab(lab: Lab) -> None:
    said: list[str] = []
    report = netprobe.run_suite(netprobe.load_suite(TWO_TIER), lab=lab.name, progress=said.append)
    assert report.exit_status == 0
    assert all(row.observed is row.declared for _, row in report.rows())
    assert said


def test_a_broken_suite_has_all_its_problems(tmp_path: Path) -> None:
    (tmp_path / "suite.yaml").write_text("kind: ConnectivitySuite\ntopolgy: {}\nexpct: {}\n")
    with pytest.raises(netprobe.InputError) as caught:
        netprobe.load_suite(tmp_path / "suite.yaml")
    assert len(caught.value.problems) >= 2


def test_the_documented_names_are_those_of_the_package() -> None:
    page = (ROOT / "docs" / "python.md").read_text()
    table = page[page.index("## Names") :]
    first_column = "".join(re.findall(r"^\| (`.*?) \|", table, re.MULTILINE))
    assert sorted(re.findall(r"`(\w+)`", first_column)) == sorted(netprobe.__all__)
    assert all(hasattr(netprobe, name) for name in netprobe.__all__)


def test_importing_the_package_loads_nothing_until_it_is_used() -> None:
    program = "import sys, netprobe; print([m for m in sys.modules if m.startswith('netprobe.')])"
    assert subprocess.check_output([sys.executable, "-c", program], text=True) == "[]\n"


def test_what_is_not_simulated_makes_the_answer_unknown(tmp_path: Path) -> None:
    (tmp_path / "all.yaml").write_text(
        f"{SHOP}---\napiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\n"
        "metadata: {name: x, namespace: shop}\nspec: {endpointSelector: {}}\n"
    )
    with pytest.raises(netprobe.UnknownVerdictError, match=r"CiliumNetworkPolicy shop/x may decide it too"):
        netprobe.Cluster.read(tmp_path).can("shop/web", "shop/db", 5432)


def test_the_project_has_one_address() -> None:
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]
    assert urls == {"Homepage": netprobe.PROJECT_URL}
