"""The pytest plugin, as a project uses it: the one that docs/pytest.md describes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest

from netprobe.lab import Lab

ROOT = Path(__file__).parent.parent
SUITE = ROOT / "manifests" / "two-tier" / "suite.yaml"

pytestmark = pytest.mark.lab


def run_pytest(folder: Path, *words: str, plugins: Sequence[str] = ()) -> tuple[int, str]:
    """Exit status and output of pytest in that folder, with the plugin and nothing that is installed here."""
    loaded = [word for plugin in ("netprobe.pytest_plugin", *plugins) for word in ("-p", plugin)]
    environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""}
    words = (sys.executable, "-m", "pytest", *loaded, "-p", "no:cacheprovider", *words)
    done = subprocess.run(
        words,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def example_project(folder: Path) -> None:
    """The files of docs/pytest.md."""
    page = (ROOT / "docs" / "pytest.md").read_text()
    blocks = re.findall(r"^`([\w/]+\.\w+)`(?:(?!```).)*?```\w+\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    for name, text in blocks:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_the_plugin_is_an_entry_point() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"netprobe": "netprobe.pytest_plugin"}


def test_the_plugin_imports_nothing_heavy() -> None:
    heavy = "{'pydantic', 'kubernetes', 'click', 'yaml'}"
    program = f"import sys, netprobe.pytest_plugin; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.check_output([sys.executable, "-c", program], text=True) == "[]\n"


def test_the_example_project_passes_with_two_workers_and_warnings_as_errors(tmp_path: Path) -> None:
    example_project(tmp_path)
    status, output = run_pytest(tmp_path, "-n", "2", "-v", "-W", "error", plugins=["xdist.plugin"])
    assert status == 0, output
    assert "shop/web -> shop/db:5432" in output
    assert "4 passed" in output  # two flows and two functions


def test_a_failure_shows_verdicts_and_the_deciding_policy(lab: Lab, tmp_path: Path) -> None:
    example_project(tmp_path)
    suite = tmp_path / "network" / "shop.yaml"
    suite.write_text(suite.read_text().replace("port: 5432, verdict: allow", "port: 5432, verdict: deny"))
    status, output = run_pytest(tmp_path, "network/shop.yaml", "--netprobe-lab", lab.name)
    assert status == 1
    assert "shop/web -> shop/db:5432/TCP: declared deny, simulated allow, observed allow" in output
    assert "ingress: shop/db-from-web rule 0 allows" in output
    assert "1 failed, 1 passed" in output


def test_an_unreadable_suite_is_an_error_of_collection_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "suite.yaml").write_text("kind: ConnectivitySuite\ntopolgy: {}\n")
    status, output = run_pytest(tmp_path, "suite.yaml")
    assert status == 2
    assert "suite.yaml:2" in output
    assert "Traceback" not in output


def test_files_that_nobody_named_and_other_kinds_are_left_alone(tmp_path: Path) -> None:
    example_project(tmp_path)
    (tmp_path / "pyproject.toml").unlink()
    (tmp_path / "test_network.py").unlink()
    assert "no tests ran" in run_pytest(tmp_path)[1]
    assert run_pytest(tmp_path, "network/policies/shop.yaml")[0] != 0


def test_a_suite_runs_on_the_cluster_that_is_named(lab: Lab, tmp_path: Path) -> None:
    example_project(tmp_path)
    named = ("--netprobe-kubeconfig", str(lab.kubeconfig))
    status, output = run_pytest(tmp_path, "network/shop.yaml", *named)
    assert (status, "2 passed" in output) == (0, True), output
