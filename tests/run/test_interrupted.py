"""Whatever ends a run, nothing of it is left, and no flow is called denied because of it."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from netprobe.lab import Lab, list_labs
from tests.run.netprobe import TWO_TIER, kubectl, netprobe, started

pytestmark = pytest.mark.lab

DELAYS_S = sorted(random.Random(7).uniform(0.5, 5.0) for _ in range(3))  # noqa: S311 (not a secret)


def objects(lab: Lab) -> set[str]:
    kinds = "namespaces,pods,networkpolicies,configmaps,leases,jobs"
    return set(kubectl(str(lab.kubeconfig), "get", kinds, "-A", "-o", "name").split())


@pytest.mark.parametrize(
    ("delay_s", "number"),
    list(zip(DELAYS_S, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP), strict=True)),
)
def test_a_signal_at_any_moment_leaves_nothing(lab: Lab, delay_s: float, number: signal.Signals) -> None:
    before = objects(lab)
    with started("run", "--lab", lab.name, TWO_TIER) as run:
        try:  # the moment itself is what is tested
            run.wait(delay_s)
        except subprocess.TimeoutExpired:
            run.send_signal(number)
        else:
            pytest.skip(f"on this machine the run is over in less than {delay_s:.1f} s")
        out, err = run.communicate(timeout=60)
    assert run.returncode == 128 + number, err
    assert "DENY" not in out or "8 as expected" in out, (
        "during the removal, when the report is printed already"
    )
    assert "Traceback" not in err
    assert objects(lab) == before


def test_kill_nine_and_then_clean(lab: Lab) -> None:
    before = objects(lab)
    with started("run", "--lab", lab.name, TWO_TIER) as run:
        while not {"namespace/frontend", "namespace/database"} <= objects(lab):
            assert run.poll() is None, "the run ended before it could be killed"
    assert objects(lab) != before
    output = netprobe("clean", "--lab", lab.name, "--dry-run")
    assert output.status == 0
    end = time.monotonic() + 60
    while objects(lab) != before:  # a run counts as dead once its Lease has run out
        cleaned = netprobe("clean", "--lab", lab.name)
        assert cleaned.status == 0, cleaned.err
        assert time.monotonic() < end, cleaned.out
    assert netprobe("clean", "--lab", lab.name).err.strip().endswith("nothing was left behind")


def test_a_lab_made_for_a_run_dies_with_it() -> None:
    with started("run", TWO_TIER) as run:
        name = ""
        while not name:
            assert run.poll() is None, "the run ended before it could be killed"
            name = next((lab.name for lab in list_labs() if lab.name.startswith(f"run-{run.pid}-")), "")
    end = time.monotonic() + 30
    while any(lab.name == name for lab in list_labs()):
        assert time.monotonic() < end
    assert not Path("/run/netns", name).exists()
    assert netprobe("clean").status == 0
