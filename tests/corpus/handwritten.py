"""Reads the cases of cases/*.yaml."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.corpus.world import Moment, policy, rows

CASES = Path(__file__).parent / "cases"


def handwritten() -> Iterator[tuple[str, Moment]]:
    """Every moment of every case, with "file: case" as its name, numbered where a case has several."""
    for path in sorted(CASES.glob("*.yaml")):
        for case in yaml.safe_load(path.read_text()):
            for number, moment in enumerate(case["moments"], 1):
                suffix = f" ({number})" if len(case["moments"]) > 1 else ""
                yield f"{path.stem}: {case['case']}{suffix}", _moment(moment)


def _moment(data: dict[str, Any]) -> Moment:
    policies = [
        policy(entry["in"], entry["spec"], entry.get("name", f"p{number}"))
        for number, entry in enumerate(data["policies"])
    ]
    return Moment(policies, rows(data["expect"]), data.get("labels", {}))
