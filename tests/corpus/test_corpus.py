"""A sample of the conformance cases as a user would ask: manifests in a file, `netprobe simulate -f`.

tests/conformance/test_cases.py has all of them, without the command.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from netprobe.cli import main
from netprobe.conformance.case import Case, CaseStep
from netprobe.conformance.fixture_map import fictional_map
from netprobe.conformance.load import builtin
from netprobe.conformance.world import ON_HOST, Cell, is_pod

SITE = fictional_map(dual=False)
CASES = [
    case
    for case in builtin()
    if all(is_pod(end) and end not in ON_HOST for end in case.scope.extra) and not case.scope.families
][::25]


def simulated(
    case: Case, moment: CaseStep, path: Path, capsys: pytest.CaptureFixture[str]
) -> dict[Cell, str]:
    """The verdict of every flow that the command reports."""
    items = [*SITE.objects(case, moment), *SITE.policies(moment)]
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    ports = [f"--port={port.lower()}" for port in case.scope.ports]
    status = main(["simulate", "-f", str(path), "-o", "json", *ports])
    captured = capsys.readouterr()
    assert status == 0, captured.err
    report: dict[str, Any] = json.loads(captured.out)
    rows = [
        (Cell(row["from"], row["to"], f"{row['port']}/{row['protocol']}"), row["simulated"])
        for row in report["flows"]
    ]
    assert len(rows) == len(dict(rows)), "a flow is reported twice"
    return dict(rows)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_command_gives_the_known_answer(
    case: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for moment in case.steps:
        cells = moment.present(case.scope.cells())
        expected = {cell: "allow" if moment.expected(cell) else "deny" for cell in cells}
        assert simulated(case, moment, tmp_path / "cluster.json", capsys) == expected
