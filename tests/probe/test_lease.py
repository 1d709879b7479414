"""The Lease of a run, and whether runs are alive."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from netprobe.errors import ClusterError
from netprobe.model.objects import Object
from netprobe.probe import lease
from netprobe.probe.ownership import Record
from netprobe.probe.run_objects import run_namespace
from tests.probe.clock import now, virtually
from tests.probe.fake import FakeCluster


class Leases(FakeCluster):
    """Holds Leases by run; `renews` says at which moments they are renewed."""

    def __init__(self, *runs: str, holder: str = "other/boot/ns/1/1") -> None:
        super().__init__()
        for run in runs:
            made = lease.lease(Record(run))
            made["spec"]["holderIdentity"] = holder
            self.objects["Lease", run_namespace(run), lease.NAME] = made

    def spec(self, run: str) -> Object:
        spec: Object = self.objects["Lease", run_namespace(run), lease.NAME]["spec"]
        return spec


def alive(cluster: FakeCluster, *runs: str) -> dict[str, bool]:
    found = virtually(lease.lives(cluster, runs))
    return {run: one.alive for run, one in found.items()}


def here(pid: int, started: str | None) -> str:
    parts = lease.holder().split("/")
    return "/".join([*parts[:3], str(pid), started or ""])


def test_this_process_lives_and_is_not_waited_for() -> None:
    said: list[str] = []
    found = virtually(lease.lives(Leases("r1", holder=lease.holder()), ["r1"], said.append))
    assert found["r1"].alive
    assert str(os.getpid()) in found["r1"].why
    assert said == []


def test_a_process_of_this_machine_that_is_gone_is_dead_at_once() -> None:
    with subprocess.Popen(["sleep", "0"]) as ended:
        holder = here(ended.pid, lease.started(ended.pid))
    assert alive(Leases("r1", holder=holder), "r1") == {"r1": False}


def test_a_process_that_ended_and_was_not_waited_for_is_dead() -> None:
    ended = subprocess.Popen(["sleep", "0"])
    started = None
    while started != "":
        started, before = lease.started(ended.pid), started
    assert alive(Leases("r1", holder=here(ended.pid, before)), "r1") == {"r1": False}
    ended.wait()


def test_another_process_with_the_same_number_is_not_the_run() -> None:
    assert alive(Leases("r1", holder=here(os.getpid(), "1")), "r1") == {"r1": False}


@pytest.mark.parametrize("error", [None, PermissionError])
def test_a_process_that_proc_hides_is_alive(
    monkeypatch: pytest.MonkeyPatch, error: type[Exception] | None
) -> None:
    """As with /proc mounted with hidepid, of another user or of one's own."""

    def kill(_pid: int, _signal: int) -> None:
        if error is not None:
            raise error

    monkeypatch.setattr(os, "kill", kill)
    monkeypatch.setattr(lease, "started", lambda _: None)
    assert alive(Leases("r1", holder=here(4711, "1")), "r1") == {"r1": True}


@pytest.mark.parametrize("skew_s", [0, -3600, 16, 3600], ids=lambda s: f"clock {s} s ahead")
def test_elsewhere_renewals_decide_and_clocks_do_not(skew_s: float) -> None:
    """All Leases are watched at once, for as long as they last."""
    cluster, said = Leases("lives", "dead", "ends"), list[str]()
    for name in ("lives", "dead", "ends"):
        renewed = datetime.now(UTC) + timedelta(seconds=skew_s)
        cluster.spec(name)["renewTime"] = renewed.strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def later(delay_s: float, call: Callable[[], object]) -> None:
        asyncio.get_running_loop().call_later(delay_s, call)

    async def run() -> dict[str, lease.Life]:
        later(lease.DURATION_S - 2, lambda: cluster.spec("lives").update(renewTime="later"))
        later(3, lambda: cluster.objects.pop(("Lease", run_namespace("ends"), lease.NAME)))
        found = await lease.lives(cluster, ["lives", "dead", "ends", "never"], said.append)
        assert now() == pytest.approx(lease.DURATION_S, abs=1.5)
        return found

    found = virtually(run())
    assert {run: one.alive for run, one in found.items()} == {
        "lives": True,
        "dead": False,
        "ends": False,
        "never": False,
    }
    assert [line.split(":")[0] for line in said] == [
        "waiting up to 20 s for a sign of life of dead, ends and lives"
    ]


@pytest.mark.parametrize("duration_s", [None, 0, "soon", -1])
def test_a_lease_that_does_not_say_how_long_it_lasts_lasts_as_usual(duration_s: object) -> None:
    cluster = Leases("r1")
    cluster.spec("r1")["leaseDurationSeconds"] = duration_s
    assert alive(cluster, "r1") == {"r1": False}


def test_a_lease_that_cannot_be_read_any_more_is_alive() -> None:
    class Failing(Leases):
        async def get(self, kind: str, name: str, namespace: str | None = None) -> Object:
            if now() > 1:
                raise ClusterError("it failed")
            return await super().get(kind, name, namespace)

    assert alive(Failing("r1"), "r1") == {"r1": True}


def test_a_lease_is_renewed_while_it_is_held() -> None:
    cluster = FakeCluster()

    async def run() -> list[str]:
        await cluster.create({"kind": "Namespace", "metadata": {"name": run_namespace("r1")}})
        times = []
        async with lease.held(cluster, Record("r1")):
            for _ in range(4):
                found = await cluster.get("Lease", lease.NAME, run_namespace("r1"))
                times.append(str(found["spec"]["renewTime"]))
                await asyncio.sleep(lease.RENEW_S + 0.1)
        return times

    times = virtually(run())
    assert times == sorted(set(times)), "each renewal is later than the one before"
    assert lease.RENEW_S * 3 < lease.DURATION_S, "two renewals may fail"
