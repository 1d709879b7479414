"""The examples with random mistakes: no suggestion breaks a declared flow, and together they solve all."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, TypeAlias

import pytest

from netprobe.cli import main
from netprobe.explain import explain
from netprobe.model.flow import Flow
from netprobe.run.moment import SimulatedMoment, moments
from netprobe.run.steps import advisor, after, differs
from netprobe.simulate import CALICO
from netprobe.suite import load
from tests.explain.mistakes import MISTAKES, make_mistakes
from tests.scenarios import MANIFESTS

SEEDS = range(7)


def example(name: str, seed: int, folder: Path) -> list[str]:
    """An example with two to four mistakes in its policies, in an empty folder; returns the mistakes."""
    shutil.copytree(MANIFESTS / name, folder, dirs_exist_ok=True)
    rng = Random(seed)  # noqa: S311 (a test)
    return make_mistakes(folder / "policies", rng, rng.randint(2, 4))


def wrong(moment: SimulatedMoment) -> set[Flow]:
    assert moment.declared is not None
    decide = moment.simulator.decide
    return {flow for flow in moment.declared if differs(moment, flow, decide(flow))}


@pytest.mark.parametrize("name", ["pipeline", "production", "platform-guardrails", "calico-tiers"])
def test_every_suggestion_breaks_nothing_and_the_last_one_leaves_nothing(name: str, tmp_path: Path) -> None:
    suggested = 0
    for seed in SEEDS:
        folder = tmp_path / str(seed)
        example(name, seed, folder)
        (moment,) = moments(load(folder / "suite.yaml"), None, CALICO)
        differing = wrong(moment)
        while differing:
            flow = min(differing, key=str)
            found = explain(advisor([moment], 0), flow).change
            assert found is not None, flow
            moment = after(moment, found.changes)
            now = wrong(moment)
            assert not now - differing, found.text
            assert flow not in now, found.text
            effects = (*found.effects.opens, *found.effects.closes)
            assert effects or now == differing - {flow}, "what else it repairs is among its effects"
            differing = now
            suggested += 1
    assert suggested > len(SEEDS)


def test_every_mistake_is_made(tmp_path: Path) -> None:
    names = ("production", "platform-guardrails", "calico-tiers")
    made = [example(name, seed, tmp_path / f"{name}{seed}") for name in names for seed in SEEDS]
    assert {one for mistakes in made for one in mistakes} == set(MISTAKES)


Run: TypeAlias = Callable[..., tuple[int, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Exit status and standard output of a command line, in the test's own folder."""
    monkeypatch.chdir(tmp_path)

    def call(*words: str) -> tuple[int, str]:
        capsys.readouterr()
        status = main(words, program="netprobe")
        return status, capsys.readouterr().out

    return call


def git_apply(diff: str) -> None:
    subprocess.run(["git", "apply", "-"], input=diff, text=True, check=True)


@pytest.mark.parametrize(("name", "seed"), [("pipeline", 0), ("calico-tiers", 4)])
def test_git_applies_them_one_after_the_other(name: str, seed: int, tmp_path: Path, run: Run) -> None:
    example(name, seed, tmp_path)

    def mismatches() -> dict[tuple[str, ...], Any]:
        flows = json.loads(run("simulate", "suite.yaml", "-o", "json")[1])["flows"]
        wrong = [flow for flow in flows if flow["status"] == "mismatch"]
        return {
            (flow["from"], flow["to"], f"{flow['port']}/{flow['protocol']}"): flow["fix"] for flow in wrong
        }

    differing = mismatches()
    assert len(differing) > 1
    while differing:
        (source, to, port), fix = next(iter(differing.items()))
        assert fix is not None
        git_apply(run("explain", source, to, "--port", port, "suite.yaml", "--diff")[1])
        left = mismatches()
        assert left.keys() < differing.keys()
        differing = left
    assert run("simulate", "suite.yaml")[0] == 0


def test_one_diff_solves_all(tmp_path: Path, run: Run) -> None:
    example("pipeline", 0, tmp_path)
    status, diff = run("simulate", "suite.yaml", "--diff")
    assert status == 1
    git_apply(diff)
    assert run("simulate", "suite.yaml")[0] == 0
    assert run("simulate", "suite.yaml", "--diff") == (0, "")
