"""Values that the shell completes."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from netprobe.lab import Lab
from tests.cli.conftest import Program

SUITE = Path(__file__).parents[2] / "manifests" / "two-tier" / "suite.yaml"


def completed(program: Program, line: str, **environ: str) -> list[str]:
    """The values that bash gets for the last word of the line."""
    words = shlex.split(line)
    shell = {"_NETPROBE_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    return [one.partition(",")[2] for one in program(**shell, **environ).stdout.splitlines() if one]


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("netprobe run --context st", ["staging", "standby"]),
        ("netprobe lint --explain no-p", ["no-ports"]),
        ("netprobe conformance --include named-p", ["named-port"]),
        ("netprobe explain --suite SUITE database/", ["database/pg"]),
        ("netprobe simulate SUITE --from f", ["frontend/web"]),
        ("netprobe lint SUITE -n da", ["database"]),
        ("netprobe simulate -f nowhere.yaml --from f", []),
        ("netprobe conformance --only egress\\ to\\ the\\ a", ["egress to the address of one pod"]),
        ("netprobe graph -o s", ["svg"]),
        ("netprobe comp", ["completion"]),
    ],
)
def test_values(program: Program, tmp_path: Path, line: str, values: list[str]) -> None:
    config = tmp_path / "config"
    config.write_text("contexts: [{name: staging}, {name: standby}, {name: prod}]")
    line = line.replace("SUITE", str(SUITE))
    found = completed(program, line, KUBECONFIG=str(config))
    assert set(values) <= set(found)
    assert bool(found) == bool(values)


@pytest.mark.lab
def test_labs_and_what_is_in_them(program: Program, lab: Lab) -> None:
    assert lab.name in completed(program, "netprobe lab down tests-")
    assert "kube-system" in completed(program, f"netprobe lint --lab {lab.name} -n kube-")
