"""The real cluster of the tests: the one that somebody named, and never one that happens to be up."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[3] / "shared" / "realcluster" / "cluster"
VARIABLE = "NETPROBE_TEST_KUBECONFIG"


def kubeconfig() -> str:
    """What $NETPROBE_TEST_KUBECONFIG names; the test is skipped where it names nothing."""
    given = os.environ.get(VARIABLE)
    if not given:
        pytest.skip(f"no real cluster: set {VARIABLE}; `make test-cluster` brings ../shared/realcluster up")
    return given


def is_beside() -> bool:
    """Whether it is that of ../shared/realcluster, whose network namespaces can be entered."""
    return TOOL.is_file() and os.environ.get(VARIABLE) == _kubeconfig()


def _kubeconfig() -> str:
    return subprocess.run([TOOL, "kubeconfig"], capture_output=True, text=True, check=True).stdout.strip()


def _bring_up() -> str:
    """Its kubeconfig, as it is if it is up, else with two nodes; "" where there is no such tool here."""
    if not TOOL.is_file():
        sys.stderr.write(f"there is no ../shared/realcluster here: set {VARIABLE}\n")
        return ""
    if subprocess.run([TOOL, "status"], capture_output=True, check=False).returncode:
        subprocess.run([TOOL, "up", "--nodes", "2"], stdout=sys.stderr, check=True)
    return _kubeconfig()


if __name__ == "__main__":  # for `make test-cluster`
    sys.stdout.write(os.environ.get(VARIABLE) or _bring_up())
