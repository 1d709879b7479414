"""Removing what runs made: exactly the objects with their label, and nothing else.

A run's own namespaces are removed as a whole. In namespaces that are not a run's own (external hosts of the
lab, shadow pods of a run in place) each object is removed by itself, and only if it has the label.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from netprobe.errors import ClusterError, ForbiddenError, NotFoundError, UnreachableError
from netprobe.model.objects import Object
from netprobe.probe import lease
from netprobe.probe.api import LOST_S, ClusterAPI
from netprobe.probe.run_objects import RUN, run_namespace

GUEST_KINDS: Final = ("Job", "Pod", "NetworkPolicy", "ConfigMap")
"""What a run makes in namespaces that are not its own. A Job owns the others and is removed after them."""

POLL_S: Final = 0.15
CLEAN_S: Final = 120.0
"""How long `clean` waits for everything to be gone."""


@dataclass(frozen=True, slots=True)
class Leftover:
    """What one run has in the cluster. `objects` as "Namespace/x" or "Pod/ns/x"."""

    run: str
    life: lease.Life
    objects: tuple[str, ...]

    def __str__(self) -> str:
        return f"run {self.run}: {', '.join(self.objects)}"


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What `clean` did, or would do: `removed` of dead runs, `spared` of living ones.

    `unlisted`: kinds that these credentials may not list in the whole cluster. Only runs in place leave
    objects of these kinds behind.
    """

    removed: tuple[Leftover, ...] = ()
    spared: tuple[Leftover, ...] = ()
    unlisted: tuple[str, ...] = ()

    @classmethod
    def merged(cls, found: Iterable[Cleaned]) -> Cleaned:
        """One for several clusters."""
        every = tuple(found)
        return cls(
            tuple(left for one in every for left in one.removed),
            tuple(left for one in every for left in one.spared),
            tuple(dict.fromkeys(kind for one in every for kind in one.unlisted)),
        )


@dataclass(slots=True)
class _Found:
    namespaces: list[Object] = field(default_factory=list)
    guests: list[Object] = field(default_factory=list)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(sorted(map(_name, [*self.namespaces, *self.guests])))


async def life_of(cluster: ClusterAPI, run: str) -> lease.Life:
    """Whether a run lives, by its Lease."""
    try:
        return lease.read(await cluster.get("Lease", lease.NAME, run_namespace(run)), lease.utc_now())
    except NotFoundError:
        return lease.Life(False, "it holds no Lease")


async def clean(cluster: ClusterAPI, run: str | None = None, *, dry_run: bool = False) -> Cleaned:
    """Remove what dead runs left (all of them, or one), and wait until it is gone.

    ClusterError that names what is left at the deadline, if anything is.
    """
    unlisted: set[str] = set()
    found = await _find(cluster, run, unlisted=unlisted)
    left = [Leftover(r, await life_of(cluster, r), found[r].names) for r in sorted(found)]
    dead = tuple(item for item in left if not item.life.alive)
    if dead and not dry_run:
        async with asyncio.TaskGroup() as group:
            for item in dead:
                group.create_task(remove(cluster, item.run, deadline_s=CLEAN_S))
    alive = tuple(item for item in left if item.life.alive)
    return Cleaned(dead, alive, tuple(kind for kind in GUEST_KINDS if kind in unlisted))


async def remove(cluster: ClusterAPI, run: str, *, guests: bool = True, deadline_s: float = 60.0) -> None:
    """Remove everything with the run's label, and wait until it is gone.

    `guests` False: the run made objects in namespaces of its own only. A request that fails is repeated until
    the deadline, or until the server was not reached for `LOST_S`; then ClusterError, naming what is left.
    """
    left: tuple[str, ...] = ("everything",)
    why = ""
    now = asyncio.get_running_loop().time
    begun, lost = now(), None
    try:
        async with asyncio.timeout(deadline_s):
            while lost is None or now() - lost < LOST_S:
                try:
                    found = (await _find(cluster, run, guests=guests)).get(run)
                    if found is None:
                        return
                    left, lost = found.names, None
                    await _delete(cluster, found)
                except ClusterError as e:
                    why = f" ({e})"
                    lost = (lost or now()) if isinstance(e, UnreachableError) else None
                    await asyncio.sleep(1)
                await asyncio.sleep(POLL_S)
    except TimeoutError:
        pass
    raise ClusterError(
        f"run {run} is not all removed after {now() - begun:.0f} s{why}: {', '.join(left[:8])} left; "
        f"later: netprobe clean --run {run}"
    )


async def _find(
    cluster: ClusterAPI, run: str | None, *, guests: bool = True, unlisted: set[str] | None = None
) -> dict[str, _Found]:
    """Everything with the label, by run; kinds that may not be listed are added to `unlisted`."""
    labels = {RUN: run}

    async def find(kind: str) -> list[Object]:
        try:
            return await cluster.find(kind, None, labels)
        except ForbiddenError:
            if kind not in GUEST_KINDS:
                raise
            if unlisted is not None:
                unlisted.add(kind)
            return []

    kinds = ("Namespace", *(GUEST_KINDS if guests else ()))
    namespaces, *others = await asyncio.gather(*map(find, kinds))
    own = {obj["metadata"]["name"] for obj in namespaces}
    found: dict[str, _Found] = {}
    for obj in namespaces:
        found.setdefault(_run(obj), _Found()).namespaces.append(obj)
    for objects in others:
        for obj in objects:
            if obj["metadata"]["namespace"] not in own:
                found.setdefault(_run(obj), _Found()).guests.append(obj)
    return found


async def _delete(cluster: ClusterAPI, found: _Found) -> None:
    """Delete everything that is not being deleted already."""
    # Jobs last: deleting one through batch/v1 orphans what it owns, and if this process is killed in between,
    # what it leaves should still end by itself.
    owners = [obj for obj in found.guests if obj["kind"] == "Job"]
    owned = [obj for obj in found.guests if obj["kind"] != "Job"]
    for group in (owned, owners):
        await asyncio.gather(*(_delete_one(cluster, obj) for obj in group))
    # The run's own namespace last: its Lease tells others whose the rest is.
    homes = [obj for obj in found.namespaces if obj["metadata"]["name"] == run_namespace(_run(obj))]
    others = [obj for obj in found.namespaces if obj not in homes]
    for group in (others, homes):
        await asyncio.gather(*(_delete_namespace(cluster, obj) for obj in group))


async def _delete_namespace(cluster: ClusterAPI, obj: Object) -> None:
    """Delete a namespace, its pods first: they end while the namespace controller is still waiting.

    Pods that never started are deleted at once: their node may not exist, and then no kubelet ends them.
    """
    if "deletionTimestamp" not in obj["metadata"]:
        with suppress(NotFoundError):
            name, ours = obj["metadata"]["name"], {RUN: _run(obj)}
            await cluster.delete_all("Pod", name, ours, unstarted=True)
            await cluster.delete_all("Pod", name, ours)
        await _delete_one(cluster, obj)


async def _delete_one(cluster: ClusterAPI, obj: Object) -> None:
    meta = obj["metadata"]
    if "deletionTimestamp" not in meta:
        with suppress(NotFoundError):
            at_once = obj["kind"] == "Pod" and (obj.get("status") or {}).get("phase") == "Pending"
            await cluster.delete(obj["kind"], meta["name"], meta.get("namespace"), at_once=at_once)


def _run(obj: Object) -> str:
    return str(obj["metadata"]["labels"][RUN])


def _name(obj: Object) -> str:
    meta = obj["metadata"]
    return "/".join(part for part in (obj["kind"], meta.get("namespace"), meta["name"]) if part)
