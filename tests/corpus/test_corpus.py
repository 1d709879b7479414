"""Every case of the conformance suite, asked as a user would: manifests in a file, `netprobe simulate -f`."""

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
    pytest.param(case, moment, id=f"{case.name} ({number})" if len(case.moments) > 1 else case.name)
    for case in builtin()
    if all(is_pod(end) and end not in ON_HOST for end in case.scope.extra) and not case.scope.families
    for number, moment in enumerate(case.moments, 1)
]


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


@pytest.mark.parametrize(("case", "moment"), CASES)
def test_the_simulator_gives_the_known_answer(
    case: Case, moment: CaseStep, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asks = moment.present(case.scope.cells())
    expected = {ask: "allow" if moment.expected(ask) else "deny" for ask in asks}
    assert simulated(case, moment, tmp_path / "cluster.json", capsys) == expected
