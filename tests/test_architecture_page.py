"""docs/architecture.md lists the layers as tests/test_architecture.py holds them."""

from __future__ import annotations

import re
from pathlib import Path

from tests.test_architecture import MAY_IMPORT

PAGE = Path(__file__).parents[1] / "docs" / "architecture.md"


def test_the_table_of_layers_is_the_one_that_is_enforced() -> None:
    table: dict[str, set[str]] = {}
    for line in PAGE.read_text().splitlines():
        if match := re.match(r"\| ((?:`\w+`(?:, )?)+) \| ([^|]*) \|", line):
            for layer in re.findall(r"`(\w+)`", match[1]):
                words = re.findall(r"[a-z]+", match[2].replace("probe's Protocols", "probe"))
                table[layer] = {word for word in words if word in MAY_IMPORT}
    shown = {layer: imports for layer, imports in table.items() if layer in MAY_IMPORT}
    assert shown == MAY_IMPORT
