"""The Lease by which a run shows that it is alive: in the run's own namespace, renewed until the run ends.

The holder names host, boot, process namespace and process, so that on the same machine a killed run is known
to be dead at once (life.py). An annotation holds the run's record (ownership.py).
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from netprobe.errors import ClusterError
from netprobe.model.objects import Object
from netprobe.probe import run_objects
from netprobe.probe.api import ClusterAPI
from netprobe.probe.ownership import ObjectRef, Record
from netprobe.probe.run_objects import run_namespace

NAME: Final = "netprobe"
HOLDER: Final = "netprobe.dev/holder"  # of the run's namespace: who holds the Lease that it is about to get
DURATION_S: Final = 20
RENEW_S: Final = 5.0

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    return datetime.now(UTC)


def holder() -> str:
    """This process: "HOST/BOOT/PID_NAMESPACE/PID/START"; empty parts if the system does not say."""
    pid = os.getpid()
    return "/".join([socket.gethostname(), boot(), pid_namespace(), str(pid), started(pid) or ""])


def home(record: Record) -> Object:
    """The run's own namespace. Until it has the Lease, it says itself whose it is."""
    own = Record(record.run, record.token, {ObjectRef("Namespace", None, run_namespace(record.run))})
    notes = {**own.annotation(), HOLDER: holder()}
    return record.mark(run_objects.namespace(run_namespace(record.run), record.run, annotations=notes))


def announced(namespace: Object) -> Object | None:
    """A Lease that was never renewed, for the namespace of a run that has none yet; None for any other."""
    meta = namespace["metadata"]
    found = (meta.get("annotations") or {}).get(HOLDER)
    spec = {"holderIdentity": found, "leaseDurationSeconds": DURATION_S}
    return {"kind": "Lease", "metadata": meta, "spec": spec} if found else None


def lease(record: Record, now: datetime) -> Object:
    """The Lease of a run that holds it from now on."""
    return record.mark(
        {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {
                "name": NAME,
                "namespace": run_namespace(record.run),
                "annotations": record.annotation(),
            },
            "spec": {
                "holderIdentity": holder(),
                "leaseDurationSeconds": DURATION_S,
                "acquireTime": _format(now),
                "renewTime": _format(now),
            },
        }
    )


@asynccontextmanager
async def held(cluster: ClusterAPI, record: Record, clock: Clock = utc_now) -> AsyncIterator[None]:
    """Create the run's Lease, and renew it until the context ends.

    A renewal that fails is not reported: the next one follows soon, and a lasting fault shows elsewhere.
    """
    await cluster.create(lease(record, clock()))

    async def renew() -> None:
        while True:
            await asyncio.sleep(RENEW_S)
            with suppress(ClusterError):
                await _patch(cluster, record, {"spec": {"renewTime": _format(clock())}})

    task = asyncio.create_task(renew(), name=f"lease of run {record.run}")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def write(cluster: ClusterAPI, record: Record) -> None:
    """Write the record into the Lease that the run holds. ClusterError."""
    await _patch(cluster, record, {"metadata": {"annotations": record.annotation()}})


async def _patch(cluster: ClusterAPI, record: Record, patch: Object) -> None:
    await cluster.patch("Lease", NAME, run_namespace(record.run), patch)


def _format(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def boot() -> str:
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    return ""


def pid_namespace() -> str:
    with suppress(OSError):
        return str(Path("/proc/self/ns/pid").readlink()).strip("pid:[]")
    return ""


def started(pid: int) -> str | None:
    """When a process started, in clock ticks since boot: tells it from a later one of the same number.

    "" if it has ended and was not waited for; None if the system does not say.
    """
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
        return "" if fields[0] in {"Z", "X"} else fields[19]
    return None
