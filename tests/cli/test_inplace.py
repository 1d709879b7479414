"""What the options of runs in place refuse, before anything is asked of a cluster."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.cli.conftest import Program
from tests.run.there import SUITE, suite


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--in-place",), "about a cluster that is there"),
        (("--shadow-namespace",), "it needs --in-place too"),
        (("-f", "x.yaml"), "it needs --in-place --shadow-namespace"),
        (("--in-place", "--lifetime", "1s"), "must be 10s at least"),
        (("--in-place", "--shadow-namespace", "--kubeconfig", "x"), "name them by -f, or in the suite"),
    ],
)
def test_options_that_do_not_go_together(
    program: Program, tmp_path: Path, options: tuple[str, ...], told: str
) -> None:
    ended = program("run", str(suite(tmp_path)), *options)
    assert ended.returncode == 2, ended.stderr
    assert told in ended.stderr


def test_a_suite_without_topology_is_about_a_cluster(program: Program, tmp_path: Path) -> None:
    ended = program("run", str(suite(tmp_path)))
    assert ended.returncode == 2
    assert "about a cluster that is there" in ended.stderr


def test_options_for_runs_in_place_only(program: Program) -> None:
    ended = program("run", "manifests/two-tier/suite.yaml", "--dry-run")
    assert ended.returncode == 2
    assert "--dry-run is for runs in place" in ended.stderr


def test_nothing_to_run(program: Program) -> None:
    ended = program("run")
    assert ended.returncode == 2
    assert "SUITE" in ended.stderr


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("steps: [{name: label it, do: [{label: {namespace: shop, set: {a: b}}}]}]", "(label it)"),
        ("policies: [policy.yaml]", "a run in place applies none"),
    ],
)
def test_what_changes_the_cluster_is_refused_before_it_is_asked(
    program: Program, tmp_path: Path, more: str, told: str
) -> None:
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "p", "namespace": "shop"},
        "spec": {"podSelector": {}},
    }
    (tmp_path / "policy.yaml").write_text(yaml.safe_dump(policy))
    path = suite(tmp_path, f"{SUITE}{more}\n")
    ended = program("run", str(path), "--in-place", "--kubeconfig", "/nonexistent")
    assert ended.returncode == 2
    assert told in ended.stderr
