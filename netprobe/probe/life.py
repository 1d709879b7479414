"""Whether runs are alive, by their Leases.

On this machine the process decides, at once. Elsewhere the Lease is watched, as leader election does: a run
that renews it is alive, one that does not within the Lease's duration is dead. Only this machine's monotonic
clock counts, so clocks that differ kill no run.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from netprobe.errors import ClusterError, NotFoundError
from netprobe.model.objects import Object
from netprobe.model.text import listed
from netprobe.probe import lease
from netprobe.probe.api import ClusterAPI
from netprobe.probe.run_objects import run_namespace

LOOK_S: Final = 1.0
"""How often a Lease is read while it is watched."""

LONGEST_S: Final = 60
"""No Lease of a run lasts longer: a run with such a Lease is spared, not waited for."""


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
        return await cluster.get("Lease", lease.NAME, run_namespace(run))
    with suppress(NotFoundError):
        return lease.announced(await cluster.get("Namespace", run_namespace(run)))
    return None


def _at_once(found: Object | None) -> Life | None:
    """What is known without waiting; None if the Lease has to be watched."""
    if found is None:
        return Life(False, "it holds no Lease")
    host, boot, namespace, pid, start = _holder(found)
    if boot and (host, boot, namespace) == (socket.gethostname(), lease.boot(), lease.pid_namespace()):
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
    seen = lease.started(pid)
    if seen is None:  # mounted with hidepid, /proc does not show it
        return True
    return bool(seen) and seen == (start or seen)


def _holder(found: Object) -> tuple[str, str, str, str, str]:
    parts = (str((found.get("spec") or {}).get("holderIdentity") or "").split("/") + [""] * 5)[:5]
    host, boot, namespace, pid, start = parts
    return host, boot, namespace, pid, start


def _renewed(found: Object) -> object:
    return (found.get("spec") or {}).get("renewTime")


def _duration_s(found: Mapping[str, object]) -> int:
    spec = found.get("spec")
    duration_s = spec.get("leaseDurationSeconds") if isinstance(spec, dict) else None
    return duration_s if isinstance(duration_s, int) and duration_s > 0 else lease.DURATION_S
