"""Every worked example on a real cluster: flow for flow as on the lab, and as the simulator says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.run.netprobe import EXAMPLES, netprobe

SUITES = sorted(EXAMPLES.glob("*/suite.yaml"))
Row = dict[str, Any]


def rows(suite: Path, *arguments: object) -> dict[tuple[object, ...], Row]:
    ended = netprobe("run", suite, "-o", "json", *arguments, timeout_s=240)
    assert ended.out, ended.err
    keys = ("step", "from", "to", "port", "protocol", "via")
    return {tuple(row[key] for key in keys): row for row in ended.report["flows"]}


@pytest.mark.parametrize("suite", SUITES, ids=[suite.parent.name for suite in SUITES])
def test_a_worked_example(suite: Path, kubeconfig: str) -> None:
    lab, real = rows(suite), rows(suite, "--kubeconfig", kubeconfig)
    assert real.keys() == lab.keys()
    assert real
    strange, compared = {}, 0
    for key, row in real.items():
        outside = "/" not in row["from"] or "/" not in row["to"]
        if outside and row["observed"] in {None, "unknown"}:  # hosts that only a lab can make
            continue
        compared += 1
        seen = row["observed"], lab[key]["observed"], row["simulated"]
        if len(set(seen)) > 1:
            strange[key] = (*seen, row["reason"])
    assert not strange, "(observed here, observed on the lab, simulated, why)"
    assert compared


def test_there_are_examples() -> None:
    assert len(SUITES) >= 10
