"""The Lease that shows that a run is alive, in the run's own namespace, and whether other runs are alive.

A run renews its Lease until it ends. The holder names host, boot, process namespace and process: on this
machine the process decides, at once. Elsewhere the Lease is watched, as leader election does: a run that
renews it is alive, one that does not within the Lease's duration is dead. Only this machine's monotonic clock
counts, so clocks that differ kill no run. An annotation holds the run's record (ownership.py).
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from netprobe.errors import ClusterError, NotFoundError
from netprobe.model.objects import Object
from netprobe.model.text import listed
from netprobe.probe import run_objects
from netprobe.probe.api import ClusterAPI
from netprobe.probe.ownership import ObjectRef, Record
from netprobe.probe.run_objects import run_namespace

NAME: Final = "netprobe"
HOLDER: Final = "netprobe.dev/holder"  # of the run's namespace: who holds the Lease that it is about to get
DURATION_S: Final = 20
RENEW_S: Final = 5.0

LOOK_S: Final = 1.0
"""How often a Lease is read while it is watched."""

LONGEST_S: Final = 60
"""No Lease of a run lasts longer: a run with such a Lease is spared, not waited for."""


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def holder() -> str:
    """This process: "HOST/BOOT/PID_NAMESPACE/PID/START"; empty parts if the system does not say."""
    pid = os.getpid()
    return "/".join([socket.gethostname(), boot(), pid_namespace(), str(pid), started(pid) or ""])


def home(record: Record) -> Object:
    """The run's own namespace. Until the Lease in it exists, annotations hold the record and the holder."""
    own = Record(record.run, record.token, {ObjectRef("Namespace", None, run_namespace(record.run))})
    notes = {**own.annotation(), HOLDER: holder()}
    return record.mark(run_objects.namespace(run_namespace(record.run), record.run, annotations=notes))


def announced(namespace: Object) -> Object | None:
    """A Lease that was never renewed, for the namespace of a run that has none yet; None for any other."""
    meta = namespace["metadata"]
    found = (meta.get("annotations") or {}).get(HOLDER)
    spec = {"holderIdentity": found, "leaseDurationSeconds": DURATION_S}
    return {"kind": "Lease", "metadata": meta, "spec": spec} if found else None


def lease(record: Record) -> Object:
    """The Lease of a run that holds it from now on."""
    now, namespace = _now(), run_namespace(record.run)
    spec = {
        "holderIdentity": holder(),
        "leaseDurationSeconds": DURATION_S,
        "acquireTime": now,
        "renewTime": now,
    }
    metadata = {"name": NAME, "namespace": namespace, "annotations": record.annotation()}
    kind = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}
    return record.mark({**kind, "metadata": metadata, "spec": spec})


@asynccontextmanager
async def held(cluster: ClusterAPI, record: Record) -> AsyncIterator[None]:
    """Create the run's Lease, and renew it until the context ends.

    A renewal that fails is not reported: the next one follows soon, and a lasting fault shows elsewhere.
    """
    await cluster.create(lease(record))

    async def renew() -> None:
        while True:
            await asyncio.sleep(RENEW_S)
            with suppress(ClusterError):
                await _patch(cluster, record, {"spec": {"renewTime": _now()}})

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


def boot() -> str:
    """What tells this boot of the machine from others; "" if the system does not say."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    return ""


def pid_namespace() -> str:
    """The namespace in which this process has its number; "" if the system does not say."""
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


@dataclass(frozen=True, slots=True)
class Life:
    """Whether a run is alive, and why, as the end of a sentence about it. `lease`: None if it holds none."""

    alive: bool
    why: str
    lease: Object | None = None


async def lives(
    cluster: ClusterAPI, runs: Iterable[str], say: Callable[[str], None] = lambda _: None
) -> dict[str, Life]:
    """Whether each run is alive; those of other machines are watched all at once. ClusterError.

    `say` gets a line if this waits.
    """
    wanted = tuple(dict.fromkeys(runs))
    found = dict(zip(wanted, await asyncio.gather(*(_lease(cluster, run) for run in wanted)), strict=True))
    known = {run: _at_once(one) for run, one in found.items()}
    elsewhere = {run: one for run, one in found.items() if one is not None and known[run] is None}
    if elsewhere:
        longest_s = max(map(_duration_s, elsewhere.values()))
        say(
            f"waiting up to {longest_s:g} s for a sign of life of {listed(sorted(elsewhere))}: "
            "runs on other machines renew their Leases"
        )
    watched = await asyncio.gather(*(_watched(cluster, run, one) for run, one in elsewhere.items()))
    return {run: life for run, life in known.items() if life} | dict(zip(elsewhere, watched, strict=True))


async def _lease(cluster: ClusterAPI, run: str) -> Object | None:
    """The Lease of a run, or what its namespace says before there is one."""
    with suppress(NotFoundError):
        return await cluster.get("Lease", NAME, run_namespace(run))
    with suppress(NotFoundError):
        return announced(await cluster.get("Namespace", run_namespace(run)))
    return None


def _at_once(found: Object | None) -> Life | None:
    """What is known without waiting; None if the Lease has to be watched."""
    if found is None:
        return Life(False, "it holds no Lease")
    host, boot_id, namespace, pid, start = _holder(found)
    if boot_id and (host, boot_id, namespace) == (socket.gethostname(), boot(), pid_namespace()):
        if pid.isdecimal() and _is_running(int(pid), start):
            return Life(True, f"its process {pid} runs on this machine", found)
        return Life(False, f"its process {pid} is gone from this machine", found)
    if _duration_s(found) > LONGEST_S:
        return Life(True, f"its Lease lasts {_duration_s(found):g} s, which is too long to watch", found)
    return None


async def _watched(cluster: ClusterAPI, run: str, first: Object) -> Life:
    """Watch a Lease for as long as it lasts without a renewal."""
    host = _holder(first)[0] or "an unknown host"
    now = asyncio.get_running_loop().time
    begun, duration_s = now(), _duration_s(first)
    life = Life(False, f"{host} did not renew its Lease for {duration_s:g} s", first)
    while now() - begun < duration_s:
        await asyncio.sleep(LOOK_S)
        try:
            current = await _lease(cluster, run)
        except ClusterError as e:
            life = Life(True, f"its Lease cannot be read: {e}", first)
            continue
        if current is None or (_renewed(first) and not _renewed(current)):
            return Life(False, "it gave up its Lease")
        if _renewed(current) != _renewed(first):
            return Life(True, f"{host} renewed its Lease while this watched", current)
    return life


def _is_running(pid: int, start: str) -> bool:
    """Whether a process runs, and is not a later one with the same number."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        pass  # it runs, as another user
    except (ProcessLookupError, OverflowError):
        return False
    seen = started(pid)
    if seen is None:  # mounted with hidepid, /proc does not show it
        return True
    return bool(seen) and seen == (start or seen)


def _holder(found: Object) -> tuple[str, str, str, str, str]:
    parts = (str((found.get("spec") or {}).get("holderIdentity") or "").split("/") + [""] * 5)[:5]
    host, boot_id, namespace, pid, start = parts
    return host, boot_id, namespace, pid, start


def _renewed(found: Object) -> object:
    return (found.get("spec") or {}).get("renewTime")


def _duration_s(found: Mapping[str, object]) -> int:
    spec = found.get("spec")
    duration_s = spec.get("leaseDurationSeconds") if isinstance(spec, dict) else None
    return duration_s if isinstance(duration_s, int) and duration_s > 0 else DURATION_S
