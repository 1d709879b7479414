"""IPv4 and IPv6 on a lab whose pods have addresses of both: each is probed for itself."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from netprobe.errors import LabError
from netprobe.lab import LabOptions, start
from tests.run.families import check

pytestmark = pytest.mark.lab


def test_a_block_of_one_family_and_a_selector_of_both(tmp_path: Path) -> None:
    try:
        lab = start(LabOptions(name=f"families-{os.getpid()}", ip_families=("ipv4", "ipv6")))
    except LabError as error:
        pytest.skip(f"no lab on this machine: {error}")
    with lab:
        check(tmp_path, "--lab", lab.name)
