"""Every case of the corpus, asked as a user would: manifests in a file, `netprobe simulate -f`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from netprobe.cli import main
from tests.corpus.families import families
from tests.corpus.handwritten import handwritten
from tests.corpus.world import Ask, Moment, asks, manifests

CASES = [*handwritten(), *families()]


def simulated(moment: Moment, folder: Path, capsys: pytest.CaptureFixture[str]) -> dict[Ask, str]:
    """The verdict of every flow that the command reports."""
    path = folder / "cluster.json"
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests(moment)}))
    status = main(["simulate", "-f", str(path), "-o", "json"])
    captured = capsys.readouterr()
    assert status == 0, captured.err
    report: dict[str, Any] = json.loads(captured.out)
    rows = [
        (Ask(row["from"], row["to"], f"{row['port']}/{row['protocol']}"), row["simulated"])
        for row in report["flows"]
    ]
    assert len(rows) == len(dict(rows)), "a flow is reported twice"
    return dict(rows)


@pytest.mark.parametrize("moment", [pytest.param(moment, id=name) for name, moment in CASES])
def test_the_simulator_gives_the_known_answer(
    moment: Moment, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = {ask: "allow" if moment.expected(ask) else "deny" for ask in asks()}
    assert simulated(moment, tmp_path, capsys) == expected


def test_no_two_cases_have_one_name() -> None:
    names = [name for name, _ in CASES]
    assert len(names) == len(set(names))


def test_the_families_tell_policies_apart() -> None:
    """A guard for the tables themselves: most members change something, and what they change differs."""
    matrices = [tuple(moment.expected(ask) for ask in asks()) for _, moment in CASES]
    assert len(set(matrices)) > len(matrices) / 4
