"""Suites to bend, and a lab that outlives a run."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from netprobe.errors import LabError
from netprobe.lab import Lab, LabOptions, start
from tests.run.netprobe import TWO_TIER


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """A lab by name, as `netprobe lab up` starts one."""
    try:
        made = start(LabOptions(name=f"test-run-{os.getpid()}"))
    except LabError as error:
        pytest.skip(f"no lab on this machine: {error}")
    with made:
        yield made


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
