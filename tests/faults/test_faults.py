"""A few runs of `make faults`: the essentials, with other seeds than the long form."""

from __future__ import annotations

from pathlib import Path

import pytest

from netprobe.lab import Lab
from tests.faults import campaign

pytestmark = pytest.mark.lab


async def test_failing_answers_make_no_verdict_wrong_and_leave_nothing(lab: Lab, tmp_path: Path) -> None:
    kubeconfig = Path(lab.kubeconfig)
    figures = await campaign.api_faults(
        kubeconfig, tmp_path, runs=1, rate=0.1, seed=4000, suites=campaign.SUITES[:1]
    )
    assert figures.detail["failed"], "nothing failed"
    assert figures.is_fine, figures
