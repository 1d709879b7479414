"""Removing what runs made, and nothing else.

An object is removed if the run's record proves that it is the run's (ownership.py): its own namespaces as a
whole, everything else (external hosts of the lab, shadow pods, policies of the whole cluster) one by one.
The uid that was read is sent as a precondition, so a new object of the same name is safe.

Objects that only carry the label, and runs without a record, are left to `clean --by-label`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from netprobe.errors import ClusterError, ForbiddenError, NotFoundError, UnreachableError
from netprobe.model.objects import Object
from netprobe.policies.kinds import BY_KEY, SIMULATED
from netprobe.probe.api import LOST_S, ClusterAPI
from netprobe.probe.deciding import key_of
from netprobe.probe.lease import Life, lives
from netprobe.probe.ownership import ObjectRef, Record
from netprobe.probe.run_objects import RUN, run_namespace

LABELLED_KINDS: Final = (
    "Namespace",
    *dict.fromkeys(("Job", "Pod", "NetworkPolicy", *(kind.key for kind in SIMULATED))),
)
"""The kinds that are searched for the label. What a record names is found without this list."""

POLL_S: Final = 0.15
CLEAN_S: Final = 120.0
"""How long `clean` waits for everything to be gone."""


@dataclass(frozen=True, slots=True)
class Leftover:
    """What one run has in the cluster. `objects` as "Namespace/x" or "Pod/ns/x"."""

    run: str
    life: Life
    objects: tuple[str, ...]

    def __str__(self) -> str:
        return f"run {self.run}: {', '.join(self.objects)}"


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What `clean` did, or would do: `removed` of dead runs, `spared` of living ones.

    `unproven`: objects that carry the label of a dead run, and nothing proves that the run made them.
    `unlisted`: kinds that these credentials cannot list in the whole cluster. Only in-place runs leave
    objects of these kinds behind.
    """

    removed: tuple[Leftover, ...] = ()
    spared: tuple[Leftover, ...] = ()
    unproven: tuple[Leftover, ...] = ()
    unlisted: tuple[str, ...] = ()

    @classmethod
    def merged(cls, found: Iterable[Cleaned]) -> Cleaned:
        """One for several clusters."""
        every = tuple(found)
        return cls(
            tuple(left for one in every for left in one.removed),
            tuple(left for one in every for left in one.spared),
            tuple(left for one in every for left in one.unproven),
            tuple(dict.fromkeys(kind for one in every for kind in one.unlisted)),
        )


@dataclass(slots=True)
class _Found:
    """Objects to remove: whole namespaces, and other objects one by one."""

    namespaces: list[Object] = field(default_factory=list)
    others: list[Object] = field(default_factory=list)

    @classmethod
    def of(cls, objects: Iterable[Object]) -> _Found:
        every = [obj for obj in objects if not ObjectRef.of(obj).is_protected]
        namespaces = [obj for obj in every if obj["kind"] == "Namespace"]
        names = {obj["metadata"]["name"] for obj in namespaces}
        others = [obj for obj in every if obj["kind"] != "Namespace"]
        return cls(namespaces, [obj for obj in others if obj["metadata"].get("namespace") not in names])

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(sorted(str(ObjectRef.of(obj)) for obj in (*self.namespaces, *self.others)))

    def missing(self, labelled: Iterable[Object]) -> tuple[str, ...]:
        """The names of objects with the label that would stay, and are not about to go by themselves."""
        names = {obj["metadata"]["name"] for obj in self.namespaces}
        left = [obj for obj in labelled if "deletionTimestamp" not in obj["metadata"]]
        left = [obj for obj in left if obj["metadata"].get("namespace") not in names]
        return tuple(name for name in _Found.of(left).names if name not in self.names)


async def clean(
    cluster: ClusterAPI,
    run: str | None = None,
    *,
    by_label: bool = False,
    dry_run: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> Cleaned:
    """Remove what dead runs left (all of them, or one), and wait until it is gone.

    `by_label`: also what only carries the label. `say` gets a line if this waits for a sign of life.
    ClusterError that names what is left at the deadline, if anything is.
    """
    unlisted: set[str] = set()
    labelled = await _labelled(cluster, run, unlisted)
    alive = await lives(cluster, sorted(labelled), say)
    spared = [Leftover(one, alive[one], _Found.of(labelled[one]).names) for one in alive if alive[one].alive]
    removed, unproven = [], []
    async with asyncio.TaskGroup() as group:
        for one in (one for one in alive if not alive[one].alive):
            lease = alive[one].lease
            find = _finder(cluster, one, Record.read(lease) if lease else None, by_label=by_label)
            found = await find()
            if found.names:
                removed.append(Leftover(one, alive[one], found.names))
            if rest := found.missing(labelled[one]):
                unproven.append(Leftover(one, alive[one], rest))
            if found.names and not dry_run:
                group.create_task(_remove(cluster, one, find, CLEAN_S))
    kinds = tuple(kind for kind in LABELLED_KINDS if kind in unlisted)
    return Cleaned(tuple(removed), tuple(spared), tuple(unproven), kinds)


async def remove(cluster: ClusterAPI, record: Record, *, deadline_s: float = 60.0) -> None:
    """Remove everything that is proven to be the run's, and wait until it is gone.

    A request that fails is repeated until the deadline, or until the server was not reached for `LOST_S`.
    ClusterError that names what is left then.
    """
    await _remove(cluster, record.run, _finder(cluster, record.run, record), deadline_s)


async def _remove(
    cluster: ClusterAPI, run: str, find: Callable[[], Awaitable[_Found]], deadline_s: float
) -> None:
    left: tuple[str, ...] = ("everything",)
    why = ""
    now = asyncio.get_running_loop().time
    begun, lost = now(), None
    try:
        async with asyncio.timeout(deadline_s):
            while lost is None or now() - lost < LOST_S:
                try:
                    found = await find()
                    if not found.names:
                        return
                    left, lost = found.names, None
                    await _delete(cluster, run, found)
                except ClusterError as e:
                    why = f" ({e})"
                    lost = (lost or now()) if isinstance(e, UnreachableError) else None
                    await asyncio.sleep(1)
                await asyncio.sleep(POLL_S)
    except TimeoutError:
        pass
    raise ClusterError(
        f"run {run} is not all removed after {now() - begun:.0f} s{why}: {', '.join(left[:8])} left; "
        f"later: netprobe clean --run {run}, with the same cluster options"
    )


def _finder(
    cluster: ClusterAPI, run: str, record: Record | None, *, by_label: bool = False
) -> Callable[[], Awaitable[_Found]]:
    """A function that finds what to remove of a run, as it is at the moment."""

    async def find() -> _Found:
        objects = [] if record is None else await _owned(cluster, record)
        if by_label:
            known = {ObjectRef.of(obj) for obj in objects}
            labelled = (await _labelled(cluster, run)).get(run, ())
            objects += [obj for obj in labelled if ObjectRef.of(obj) not in known]
        return _Found.of(objects)

    return find


async def _owned(cluster: ClusterAPI, record: Record) -> list[Object]:
    """The objects that the record proves to be the run's."""

    async def get(ref: ObjectRef) -> list[Object]:
        with suppress(NotFoundError):
            return [await cluster.get(ref.kind, ref.name, ref.namespace)]
        return []

    async def find(kind: str) -> list[Object]:
        try:
            return await cluster.find(kind, None, {RUN: record.run})
        except NotFoundError:  # the cluster does not have this kind any more
            return []
        except ForbiddenError:  # to list them in all namespaces
            named = (ref for ref in record.refs if ref.kind == kind)
            return [obj for objects in await asyncio.gather(*map(get, named)) for obj in objects]

    found = await asyncio.gather(*map(find, sorted({ref.kind for ref in record.refs})))
    return [obj for objects in found for obj in objects if record.proves(obj)]


async def _labelled(
    cluster: ClusterAPI, run: str | None, unlisted: set[str] | None = None
) -> dict[str, list[Object]]:
    """Everything with the label, by run; kinds that cannot be listed are added to `unlisted`."""

    async def find(kind: str) -> list[Object]:
        try:
            return await cluster.find(kind, None, {RUN: run})
        except NotFoundError:  # a kind that this cluster does not have
            return []
        except ForbiddenError:
            if kind == "Namespace":
                raise
            if unlisted is not None:
                unlisted.add(kind)
            return []

    found: dict[str, list[Object]] = {}
    for objects in await asyncio.gather(*map(find, LABELLED_KINDS)):
        for obj in objects:
            found.setdefault(str(obj["metadata"]["labels"][RUN]), []).append(obj)
    return found


async def _delete(cluster: ClusterAPI, run: str, found: _Found) -> None:
    """Delete everything that is not being deleted already.

    Policies before the sets and tiers that they refer to, and these only once no policy is left: a policy
    whose tier is gone denies, and Calico's agent may crash when a set changes that a policy uses.
    """
    policies = [obj for obj in found.others if not _is_referred_to(obj)]
    if len(policies) < len(found.others):
        own = [obj["metadata"]["name"] for obj in found.namespaces]
        calico = [kind.key for kind in SIMULATED if kind.namespaced and kind.group == "projectcalico.org"]
        used = any([await _delete_policies(cluster, run, kind, name) for kind in calico for name in own])
        if policies or used:
            found = _Found([], policies)
    # Jobs last: deleting one through batch/v1 orphans what it owns, and if this process is killed in between,
    # what it leaves should still end by itself.
    owners = [obj for obj in found.others if obj["kind"] == "Job"]
    owned = [obj for obj in found.others if obj["kind"] != "Job"]
    for group in (owned, owners):
        await asyncio.gather(*(_delete_one(cluster, obj) for obj in group))
    # The run's own namespace last: the record in its Lease proves whose the rest is.
    homes = [obj for obj in found.namespaces if obj["metadata"]["name"] == run_namespace(run)]
    others = [obj for obj in found.namespaces if obj not in homes]
    for group in (others, homes):
        await asyncio.gather(*(_delete_namespace(cluster, run, obj) for obj in group))


def _is_referred_to(obj: Object) -> bool:
    """Whether policies refer to an object of this kind: a tier, or a network set."""
    kind = BY_KEY.get(key_of(obj))
    return kind is not None and not kind.decides and not kind.kind.startswith("Staged")


async def _delete_policies(cluster: ClusterAPI, run: str, kind: str, namespace: str) -> bool:
    """Delete the run's policies of a kind in one of its namespaces; whether there were any."""
    try:
        found = await cluster.find(kind, namespace, {RUN: run})
    except (NotFoundError, ForbiddenError):  # a kind that this cluster does not have, or that the run has not
        return False
    await asyncio.gather(*(_delete_one(cluster, obj) for obj in found))
    return bool(found)


async def _delete_namespace(cluster: ClusterAPI, run: str, obj: Object) -> None:
    """Delete a namespace, its pods first: they end while the namespace controller is still waiting.

    Pods that never started are deleted at once: their node may not exist, and then no kubelet ends them.
    """
    if "deletionTimestamp" not in obj["metadata"]:
        with suppress(NotFoundError):
            name = obj["metadata"]["name"]
            await cluster.delete_all("Pod", name, {RUN: run}, unstarted=True)
            await cluster.delete_all("Pod", name, {RUN: run})
        await _delete_one(cluster, obj)


async def _delete_one(cluster: ClusterAPI, obj: Object) -> None:
    meta = obj["metadata"]
    if "deletionTimestamp" not in meta:
        with suppress(NotFoundError):
            at_once = obj["kind"] == "Pod" and (obj.get("status") or {}).get("phase") == "Pending"
            await cluster.delete(
                key_of(obj), meta["name"], meta.get("namespace"), uid=meta.get("uid"), at_once=at_once
            )
