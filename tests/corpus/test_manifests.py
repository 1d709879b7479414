"""Files with the expected output of `netprobe simulate -f FILE` in their first lines.

`#$` has options, `#>` a row: SOURCE -> DESTINATION PORT VERDICT [FAMILY]. There are no other rows.
"""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import NamedTuple

import pytest

from netprobe.cli import main

FILES = sorted((Path(__file__).parent / "manifests").glob("*.yaml"))


class Row(NamedTuple):
    source: str
    destination: str
    port: str
    family: int | None


def wanted(text: str) -> tuple[list[str], dict[Row, str]]:
    """The options and the expected rows in a file. A row without a family is for any family."""
    options: list[str] = []
    rows: dict[Row, str] = {}
    for line in text.splitlines():
        if line.startswith("#$"):
            options += shlex.split(line[2:])
        elif line.startswith("#>"):
            source, arrow, destination, port, verdict, *family = line[2:].split()
            assert arrow == "->", line
            rows[Row(source, destination, port, int(*family) if family else None)] = verdict
    assert rows, "a file without an answer"
    return options, rows


@pytest.mark.parametrize("path", [pytest.param(path, id=path.stem) for path in FILES])
def test_the_answer_is_the_one_in_the_file(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options, rows = wanted(path.read_text())
    status = main(["simulate", "-f", str(path), "-o", "json", *options])
    captured = capsys.readouterr()
    assert status == 0, captured.err
    by_family = {row[:3] for row in rows if row.family is not None}
    found: dict[Row, str] = {}
    for flow in json.loads(captured.out)["flows"]:
        ends = (flow["from"], flow["to"], f"{flow['port']}/{flow['protocol']}")
        row = Row(*ends, flow["family"] if ends in by_family else None)
        assert row not in found, f"{row} is reported twice"
        found[row] = flow["simulated"]
    assert found == rows
