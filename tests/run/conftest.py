"""Suites to bend."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.run.netprobe import TWO_TIER


@pytest.fixture
def two_tier(tmp_path: Path) -> Callable[[str, str], Path]:
    """`two_tier(old, new)`: the suite of manifests/two-tier with one text replaced by another."""

    def bent(old: str, new: str) -> Path:
        folder = tmp_path / "two-tier"
        shutil.copytree(TWO_TIER.parent, folder)
        suite = folder / "suite.yaml"
        text = suite.read_text()
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {TWO_TIER}"
        suite.write_text(text.replace(old, new))
        return suite

    return bent
