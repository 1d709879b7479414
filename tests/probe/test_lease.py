"""Whether a run lives."""

from __future__ import annotations

import asyncio
import os
import subprocess
from datetime import UTC, datetime, timedelta

import pytest

from netprobe.model.objects import Object
from netprobe.probe import lease
from netprobe.probe.run_objects import run_namespace
from tests.probe.clock import virtually
from tests.probe.fake import FakeCluster

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def held_by(holder: str, age_s: float = 0) -> Object:
    made = lease.lease("r1", NOW - timedelta(seconds=age_s))
    made["spec"]["holderIdentity"] = holder
    return made


def here(pid: int, started: str | None) -> str:
    parts = lease.holder().split("/")
    return "/".join([*parts[:3], str(pid), started or ""])


def test_this_process_lives_however_old_its_lease_is() -> None:
    life = lease.read(held_by(lease.holder(), age_s=3600), NOW)
    assert life.alive
    assert str(os.getpid()) in life.why


def test_a_process_of_this_machine_that_is_gone_is_dead_at_once() -> None:
    with subprocess.Popen(["sleep", "0"]) as ended:
        holder = here(ended.pid, lease._started(ended.pid))
    assert not lease.read(held_by(holder, age_s=0), NOW).alive


def test_another_process_with_the_same_number_is_not_the_run() -> None:
    assert not lease.read(held_by(here(os.getpid(), "1")), NOW).alive


@pytest.mark.parametrize(
    ("age_s", "alive"), [(0, True), (19, True), (20, True), (21, False), (3600, False), (-60, True)]
)
def test_elsewhere_the_lease_decides(age_s: float, alive: bool) -> None:
    life = lease.read(held_by("other/boot/ns/1/1", age_s), NOW)
    assert life.alive is alive
    assert "by other" in life.why


@pytest.mark.parametrize("renewed", [None, "", "yesterday"])
def test_a_lease_that_does_not_say_when_is_dead(renewed: str | None) -> None:
    made = held_by("other/boot/ns/1/1")
    made["spec"]["renewTime"] = renewed
    assert not lease.read(made, NOW).alive


def test_a_lease_is_renewed_while_it_is_held() -> None:
    cluster = FakeCluster()

    async def run() -> str:
        await cluster.create({"kind": "Namespace", "metadata": {"name": run_namespace("r1")}})
        moments = (NOW + timedelta(seconds=n) for n in range(100))
        async with lease.held(cluster, "r1", lambda: next(moments)):
            await asyncio.sleep(3 * lease.RENEW_S + 1)
            found = await cluster.get("Lease", lease.NAME, run_namespace("r1"))
        return str(found["spec"]["renewTime"])

    assert virtually(run()) == "2026-11-23T12:00:03.000000Z"
    assert lease.RENEW_S * 3 < lease.DURATION_S, "two renewals may fail"
