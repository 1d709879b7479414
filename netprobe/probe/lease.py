"""Whether a run is alive: a Lease in the run's own namespace, renewed until the run ends.

The holder names host, boot, process namespace and process, so that on the same machine a killed run is known
to be dead at once. From elsewhere a run counts as dead once its Lease has expired.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from netprobe.errors import ClusterError
from netprobe.model.objects import Object
from netprobe.probe.api import ClusterAPI
from netprobe.probe.run_objects import RUN, run_namespace

NAME: Final = "netprobe"
DURATION_S: Final = 20
RENEW_S: Final = 5.0

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Life:
    """Whether a run is alive, and why, as the end of a sentence about it."""

    alive: bool
    why: str


def holder() -> str:
    """This process: "HOST/BOOT/PID_NAMESPACE/PID/START"; empty parts if the system does not say."""
    pid = os.getpid()
    return "/".join([socket.gethostname(), _boot(), _pid_namespace(), str(pid), _started(pid) or ""])


def read(lease: Object, now: datetime) -> Life:
    """Judge a Lease. `now` and the holder's clock may differ by some seconds; the duration allows for it."""
    spec = lease.get("spec") or {}
    host, boot, namespace, pid, start = (str(spec.get("holderIdentity") or "").split("/") + [""] * 5)[:5]
    if boot and (host, boot, namespace) == (socket.gethostname(), _boot(), _pid_namespace()):
        if pid.isdecimal() and start and _started(int(pid)) == start:
            return Life(True, f"its process {pid} runs on this machine")
        return Life(False, f"its process {pid} is gone from this machine")
    renewed = _parse(spec.get("renewTime"))
    if renewed is None:
        return Life(False, "its Lease was never renewed")
    age = (now - renewed).total_seconds()
    alive = age <= (spec.get("leaseDurationSeconds") or DURATION_S)
    return Life(alive, f"its Lease was renewed {max(0, round(age))} s ago by {host or 'an unknown host'}")


def lease(run: str, now: datetime) -> Object:
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": NAME, "namespace": run_namespace(run), "labels": {RUN: run}},
        "spec": {
            "holderIdentity": holder(),
            "leaseDurationSeconds": DURATION_S,
            "acquireTime": _format(now),
            "renewTime": _format(now),
        },
    }


@asynccontextmanager
async def held(cluster: ClusterAPI, run: str, clock: Clock = utc_now) -> AsyncIterator[None]:
    """Create the run's Lease, and renew it until the context ends.

    A renewal that fails is not reported: the next one follows soon, and a lasting fault shows elsewhere.
    """
    await cluster.create(lease(run, clock()))

    async def renew() -> None:
        while True:
            await asyncio.sleep(RENEW_S)
            with suppress(ClusterError):
                await cluster.patch(
                    "Lease", NAME, run_namespace(run), {"spec": {"renewTime": _format(clock())}}
                )

    task = asyncio.create_task(renew(), name=f"lease of run {run}")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def expires(lease: Object) -> datetime | None:
    """When a Lease that is not renewed any more stops counting."""
    spec = lease.get("spec") or {}
    renewed = _parse(spec.get("renewTime"))
    return renewed and renewed + timedelta(seconds=spec.get("leaseDurationSeconds") or DURATION_S)


def _format(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _parse(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text)) if text else None
    except ValueError:
        return None


def _boot() -> str:
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    return ""


def _pid_namespace() -> str:
    with suppress(OSError):
        return str(Path("/proc/self/ns/pid").readlink()).strip("pid:[]")
    return ""


def _started(pid: int) -> str | None:
    """When a process started, in clock ticks since boot: tells it from a later one of the same number."""
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
        return None if fields[0] == "Z" else fields[19]
    return None
