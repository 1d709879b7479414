"""Random suites with random mistakes: no suggestion breaks a declared flow, and together they solve all."""

from __future__ import annotations

import json
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
from netprobe.run.resolve import after, differs
from netprobe.run.steps import advisor
from netprobe.simulate import CALICO
from netprobe.suite import load
from tests.explain import mixed, webshops


def shop(seed: int, folder: Path, *, kinds: bool = False) -> Path:
    """A suite with mistakes in its policies; `kinds`: policies of all kinds."""
    rng = Random(seed)  # noqa: S311 (a test)
    made = webshops.suite(rng)
    found = webshops.policies(made)
    if kinds:
        mixed.mix(rng, made, found)
        mixed.mistakes(rng, made, found, rng.randint(1, 3))
    else:
        webshops.mistakes(rng, found, rng.randint(1, 4))
    return webshops.write(folder, made, found, rng)


def wrong(moment: SimulatedMoment) -> set[Flow]:
    assert moment.declared is not None
    decide = moment.simulator.decide
    return {flow for flow in moment.declared if differs(moment, flow, decide(flow))}


@pytest.mark.parametrize(
    ("seed", "kinds"), [*((seed, False) for seed in range(8)), *((seed, True) for seed in range(20, 30))]
)
def test_every_suggestion_breaks_nothing_and_the_last_one_leaves_nothing(
    seed: int, kinds: bool, tmp_path: Path
) -> None:
    (moment,) = moments(load(shop(seed, tmp_path, kinds=kinds)), None, CALICO)
    differing = wrong(moment)
    while differing:
        flow = min(differing, key=str)
        found = explain(advisor([moment], 0), flow).change
        assert found is not None, flow
        moment = after(moment, found.changes)
        now = wrong(moment)
        assert not now - differing, found.text
        assert flow not in now, found.text
        turned = {f"{one.source} {one.destination} {one.port}" for one in differing - now - {flow}}
        listed = {
            f"{one.source} {one.destination} {one.port}"
            for one in (*found.effects.opens, *found.effects.closes)
        }
        assert turned <= listed, "what else a suggestion repairs is among its effects"
        differing = now


Run: TypeAlias = Callable[..., tuple[int, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Exit status and standard output of a command line."""

    def call(*words: str) -> tuple[int, str]:
        capsys.readouterr()
        status = main(words, program="netprobe")
        return status, capsys.readouterr().out

    return call


@pytest.mark.parametrize(("seed", "kinds"), [(12, False), (3, True)])
def test_git_applies_them_one_after_the_other(
    seed: int, kinds: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    shop(seed, tmp_path, kinds=kinds)
    monkeypatch.chdir(tmp_path)

    def mismatches() -> dict[tuple[str, ...], Any]:
        flows = json.loads(run("simulate", "suite.yaml", "-o", "json")[1])["flows"]
        wrong = [flow for flow in flows if flow["status"] == "mismatch"]
        return {(flow["from"], flow["to"], str(flow["port"])): flow["fix"] for flow in wrong}

    differing = mismatches()
    assert differing
    while differing:
        (source, to, port), fix = next(iter(differing.items()))
        assert fix is not None
        _, diff = run("explain", source, to, "--port", port, "suite.yaml", "--diff")
        subprocess.run(["git", "apply", "-"], input=diff, text=True, check=True)
        left = mismatches()
        assert left.keys() < differing.keys()
        differing = left
    assert run("simulate", "suite.yaml")[0] == 0


def test_one_diff_solves_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    shop(5, tmp_path)
    monkeypatch.chdir(tmp_path)
    status, diff = run("simulate", "suite.yaml", "--diff")
    assert status == 1
    subprocess.run(["git", "apply", "-"], input=diff, text=True, check=True)
    assert run("simulate", "suite.yaml")[0] == 0
    assert run("simulate", "suite.yaml", "--diff") == (0, "")
