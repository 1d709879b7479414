"""Whatever ends a run early: nothing of it is left, and what it had found by then is told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from netprobe.conformance.history import runs
from netprobe.conformance.result import CaseStatus
from netprobe.errors import LabError
from netprobe.lab import Lab, LabOptions, list_labs, start
from netprobe.probe.run_objects import RUN
from tests.run.netprobe import kubectl, started

pytestmark = pytest.mark.lab

CHOSEN = ("--include", "families", "--fixtures", "1")  # 239 cases, one after the other
FINISHED = 2
THE_NEXT = f"c{FINISHED}-"
"""What the names of the policies of case number FINISHED begin with: those before it are finished."""


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    try:
        made = start(LabOptions(name=f"test-interrupted-{os.getpid()}"))
    except LabError as error:
        pytest.skip(f"no lab on this machine: {error}")
    with made:
        yield made


def made(lab: Lab) -> set[str]:
    """What runs have made there."""
    kinds = "namespaces,pods,services,networkpolicies,configmaps,leases,jobs"
    return set(kubectl(str(lab.kubeconfig), "get", kinds, "-A", "-l", RUN, "-o", "name").split())


def under_way(run: subprocess.Popen[str], lab: Callable[[], Lab | None]) -> Lab:
    """The lab of a run, once some of its cases are finished."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        assert run.poll() is None, "the run ended before it could be interrupted"
        there = lab()
        if there and there.kubeconfig.exists() and any(f"/{THE_NEXT}" in name for name in made(there)):
            return there
    raise TimeoutError("the run never came so far")


def half(out: str) -> dict[str, Any]:
    """The report of a run that found no fault in what it tried."""
    document: dict[str, Any] = json.loads(out)
    tried = [case for case in document["cases"] if case["status"] == "passed"]
    untried = [case for case in document["cases"] if case["status"] == "not_tried"]
    assert len(document["cases"]) == len(tried) + len(untried)
    assert FINISHED <= len(tried) < len(document["cases"])
    assert not any(case["moments"] for case in untried)
    assert document["problems"][0].endswith(f"{len(tried)} of {len(document['cases'])} cases were tried")
    return document


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_nothing_but_a_report(lab: Lab, number: signal.Signals, tmp_path: Path) -> None:
    results, nights = tmp_path / "results", tmp_path / "nights"
    kept = ("--results", results, "--history", nights, "-o", "json")
    with started("conformance", "--lab", lab.name, *CHOSEN, *kept) as run:
        under_way(run, lambda: lab)
        run.send_signal(number)
        out, err = run.communicate(timeout=120)
    assert run.returncode == 130, err
    assert "Traceback" not in err
    assert "netprobe: interrupted: " in err
    assert made(lab) == set()
    document = half(out)
    assert document["run"]["interrupted"] is True
    assert {case["reason"] for case in document["cases"]} == {None, "interrupted"}
    assert (results / "done").read_text() == str(results)
    assert "cases were not tried" in (results / "junit.xml").read_text()
    (night,) = runs(nights)
    assert night.counts[CaseStatus.UNTRIED] == document["summary"]["not_tried"]


def test_an_api_server_that_is_lost_takes_nothing_along(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    with started("conformance", *CHOSEN, "-o", "json", "--report", f"html={page}") as run:

        def its_lab() -> Lab | None:
            return next((lab for lab in list_labs() if lab.name.startswith(f"run-{run.pid}-")), None)

        there = under_way(run, its_lab)
        os.kill(there.pid, signal.SIGKILL)
        out, err = run.communicate(timeout=180)
    assert run.returncode == 3, err
    assert "Traceback" not in err
    assert "netprobe: the run ended early: " in err
    document = half(out)
    assert document["run"]["interrupted"] is False
    assert {case["reason"] for case in document["cases"]} == {None, "the run ended early"}
    assert "no connection to" in document["problems"][1]
    assert "the run ended early" in page.read_text()
