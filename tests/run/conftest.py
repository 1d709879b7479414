"""Suites to bend."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.run.netprobe import TWO_TIER


@pytest.fixture
def two_tier(tmp_path: Path) -> Callable[..., Path]:
    """`two_tier((old, new), …)`: the suite of manifests/two-tier with texts replaced by others."""

    def bent(*replacements: tuple[str, str]) -> Path:
        folder = tmp_path / "two-tier"
        shutil.copytree(TWO_TIER.parent, folder)
        suite = folder / "suite.yaml"
        text = suite.read_text()
        for old, new in replacements:
            assert text.count(old) == 1, f"{old!r} occurs {text.count(old)} times in {TWO_TIER}"
            text = text.replace(old, new)
        suite.write_text(text)
        return suite

    return bent
