"""The pytest plugin, as a project uses it: the one that docs/pytest.md describes."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from netprobe.lab import Lab

ROOT = Path(__file__).parent.parent
PLUGIN = ("-p", "netprobe.pytest_plugin", "-p", "no:cacheprovider")

pytest_plugins = ["pytester"]


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """The files of docs/pytest.md in the working directory; no plugin is loaded that is not named."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTEST_ADDOPTS", "")
    page = (ROOT / "docs" / "pytest.md").read_text()
    blocks = re.findall(r"^`([\w/]+\.\w+)`(?:(?!```).)*?```\w+\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    for name, text in blocks:
        path = pytester.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return pytester


def test_the_plugin_is_an_entry_point() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"netprobe": "netprobe.pytest_plugin"}


def test_the_plugin_imports_nothing_heavy() -> None:
    heavy = "{'pydantic', 'kubernetes', 'click', 'yaml'}"
    program = f"import sys, netprobe.pytest_plugin; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.check_output([sys.executable, "-c", program], text=True) == "[]\n"


@pytest.mark.lab
def test_the_example_project_passes_with_two_workers_and_warnings_as_errors(
    project: pytest.Pytester, lab: Lab
) -> None:
    workers = ("-p", "xdist.plugin", "-n", "2", "-W", "error")
    result = project.runpytest_subprocess(*PLUGIN, *workers, "-v", "--netprobe-lab", lab.name)
    result.assert_outcomes(passed=4)  # two flows and two functions
    result.stdout.fnmatch_lines("*shop/web -> shop/db:5432*")


@pytest.mark.lab
def test_a_failure_shows_verdicts_and_the_deciding_policy(project: pytest.Pytester, lab: Lab) -> None:
    """The suite runs on the cluster that is named; the fixture `netprobe_lab` starts a lab of its own."""
    suite = project.path / "network" / "shop.yaml"
    suite.write_text(suite.read_text().replace("port: 5432, verdict: allow", "port: 5432, verdict: deny"))
    words = ("network/shop.yaml", "test_network.py", "-k", "not quickly")
    result = project.runpytest_inprocess(*PLUGIN, *words, "--netprobe-kubeconfig", str(lab.kubeconfig))
    result.assert_outcomes(failed=1, passed=2, deselected=1)
    result.stdout.fnmatch_lines(
        [
            "shop/web -> shop/db:5432/TCP: declared deny, simulated allow, observed allow",
            "*ingress: shop/db-from-web rule 0 allows",
        ]
    )


def test_an_unreadable_suite_is_an_error_of_collection_with_its_line(project: pytest.Pytester) -> None:
    suite = project.makefile(".yaml", suite="kind: ConnectivitySuite\ntopolgy: {}\n")
    result = project.runpytest_inprocess(*PLUGIN, suite)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines("*suite.yaml:2*")
    result.stdout.no_fnmatch_line("*Traceback*")


def test_files_that_nobody_named_and_other_kinds_are_left_alone(project: pytest.Pytester) -> None:
    (project.path / "pyproject.toml").unlink()
    (project.path / "test_network.py").unlink()
    assert project.runpytest_inprocess(*PLUGIN).ret == pytest.ExitCode.NO_TESTS_COLLECTED
    policies = project.runpytest_inprocess(*PLUGIN, "network/policies/shop.yaml")
    assert policies.ret == pytest.ExitCode.USAGE_ERROR
