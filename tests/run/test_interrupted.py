"""Whatever ends a run, nothing of it is left, and no flow is called denied because of it."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from netprobe.lab import Lab
from tests.run.netprobe import TWO_TIER, netprobe, objects, started

pytestmark = pytest.mark.lab


@pytest.mark.parametrize(
    ("moment", "number"),
    [
        ("creating namespaces", signal.SIGINT),
        ("probing without policies", signal.SIGTERM),
        ("removing", signal.SIGHUP),
    ],
)
def test_a_signal_at_any_moment_leaves_nothing(
    lab: Lab, two_tier: Callable[..., Path], moment: str, number: signal.Signals
) -> None:
    """A run that is being probed takes 20 s, because one pod says nothing: no signal comes too late."""
    labels = "labels: {app: web-server}"
    hangs = (labels, f"{labels}, annotations: {{netprobe.dev/fault-exec: hangs}}")
    ends = moment == "removing"
    suite = TWO_TIER if ends else two_tier(hangs)
    before = objects(lab)
    with started("run", "--lab", lab.name, suite, "-v") as run:
        assert run.stderr is not None
        seen = next((line for line in run.stderr if moment in line), None)
        assert seen, "the run ended before"
        run.send_signal(number)
        out, err = run.communicate(timeout=300)
    assert run.returncode in ({0, 128 + number} if ends else {128 + number}), err
    assert "DENY" not in out or "8 as expected" in out
    assert run.returncode or "8 as expected" in out, "it was over, so the report is whole"
    assert "Traceback" not in err
    assert objects(lab) == before


def test_kill_nine_and_then_clean(lab: Lab) -> None:
    before = objects(lab)
    with started("run", "--lab", lab.name, TWO_TIER, "-v") as run:
        assert run.stderr is not None
        assert any("starting 3 pods" in line for line in run.stderr), "the run ended before"
        run.kill()
        run.wait()
    assert objects(lab) != before
    assert netprobe("clean", "--lab", lab.name, "--dry-run").status == 0
    end = time.monotonic() + 60
    while objects(lab) != before:  # a run counts as dead once its Lease has run out
        cleaned = netprobe("clean", "--lab", lab.name)
        assert cleaned.status == 0, cleaned.err
        assert time.monotonic() < end, cleaned.out
    assert netprobe("clean", "--lab", lab.name).err.strip().endswith("nothing was left behind")
