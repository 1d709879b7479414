"""Whatever ends a run early: nothing of it is left, and its finished cases are reported."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from netprobe.conformance.history import runs
from netprobe.conformance.result import CaseStatus
from netprobe.lab import Lab
from netprobe.probe.run_objects import RUN
from tests.run.netprobe import kubectl, started

pytestmark = pytest.mark.lab

CHOSEN = ("--include", "families", "--fixtures", "1")  # 239 cases, one after the other
FINISHED = 2
THE_NEXT = f"c{FINISHED}-"
"""What the names of the policies of case number FINISHED begin with: those before it are finished."""


def created(lab: Lab) -> set[str]:
    """What runs have created there."""
    kinds = "namespaces,pods,services,networkpolicies,configmaps,leases,jobs"
    return set(kubectl(str(lab.kubeconfig), "get", kinds, "-A", "-l", RUN, "-o", "name").split())


def wait_for_cases(lab: Lab) -> None:
    """Until some cases of the run on a lab are finished."""
    command = f"kubectl --kubeconfig {lab.kubeconfig} get networkpolicies -A -w -o name".split()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watch:
        assert watch.stdout is not None
        assert any(f"/{THE_NEXT}" in line for line in watch.stdout), "the run never came so far"
        watch.terminate()


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


def test_a_signal_leaves_nothing_but_a_report(tmp_path: Path, lab: Lab) -> None:
    results, history = tmp_path / "results", tmp_path / "history"
    kept = ("--results", results, "--history", history, "-o", "json")
    with started("conformance", "--lab", lab.name, *CHOSEN, *kept) as run:
        wait_for_cases(lab)
        run.send_signal(signal.SIGTERM)
        out, err = run.communicate(timeout=120)
        assert run.returncode == 143, err
        assert "Traceback" not in err
        assert "netprobe: interrupted: " in err
        assert created(lab) == set()
    document = half(out)
    assert document["run"]["interrupted"] is True
    assert {case["reason"] for case in document["cases"]} == {None, "interrupted"}
    assert (results / "done").read_text() == str(results)
    assert "cases were not tried" in (results / "junit_conformance.xml").read_text()
    (night,) = runs(history)
    assert night.counts[CaseStatus.UNTRIED] == document["summary"]["not_tried"]
