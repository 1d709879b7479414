"""The objects of the cluster, and the history of what happened to them.

Theory of operation
-------------------
Everything runs in one event loop, and no method here awaits between reading and writing. So a change is one
indivisible step, and the order of revisions, of the history and of what any watcher sees is the same.

One counter, the revision, numbers every change of every kind; it is the resourceVersion of the object that
was changed and of the lists that were read then. An object, once stored, is never modified again: a change
stores a new one. Readers therefore get the stored objects themselves, and copy what they want
to change. The JSON text of an object is made at most once, however many watchers read it.

Watching is reading the history. Each kind has a log of its changes; a watcher is nothing but the revision up
to which it has read. It reads what is newer, and waits when there is nothing. So nothing can be lost, doubled
or reordered, a slow watcher costs no memory of its own, and many see the same. A log keeps its last `history`
changes. A watcher whose place has been cut off gets 410 Gone, as from a real server, and lists again.

The counter starts above 1, so that "resourceVersion=1" is too old here as it is on a cluster of some age.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from netprobe.lab.api.resources import Catalog, Resource
from netprobe.lab.api.status import expired
from netprobe.model.objects import Object

FIRST_REVISION = 100

ChangeType = Literal["ADDED", "MODIFIED", "DELETED"]


class ObjectKey(NamedTuple):
    """The name of an object; the namespace is "" for what has none."""

    namespace: str
    name: str


@dataclass(slots=True, eq=False)
class Stored:
    """An object as stored at a revision. Never modify `object`."""

    object: Object
    revision: int
    _bare: bytes | None = None

    @property
    def bare(self) -> bytes:
        """As an item of a list: without apiVersion and kind, which the list states."""
        if self._bare is None:
            rest = {key: value for key, value in self.object.items() if key not in {"apiVersion", "kind"}}
            self._bare = json.dumps(rest, separators=(",", ":")).encode()
        return self._bare

    @property
    def json(self) -> bytes:
        return self.json_as(self.object["apiVersion"])

    def json_as(self, api_version: str) -> bytes:
        """In another version of its kind, which has the same fields."""
        return f'{{"kind":"{self.object["kind"]}","apiVersion":"{api_version}",'.encode() + self.bare[1:]


@dataclass(frozen=True, slots=True)
class StoredChange:
    """One entry of a log. A DELETED carries the last state, with the revision of the deletion."""

    type: ChangeType
    resource: Resource
    key: ObjectKey
    now: Stored
    before: Stored | None

    @property
    def revision(self) -> int:
        return self.now.revision


@dataclass(slots=True)
class _Kind:
    objects: dict[ObjectKey, Stored] = field(default_factory=dict)
    names: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))  # by namespace
    log: deque[StoredChange] = field(default_factory=deque)
    forgotten: int = FIRST_REVISION
    waiting: list[asyncio.Future[None]] = field(default_factory=list)


class Store:
    """Objects by kind and key; see the theory of operation above."""

    def __init__(self, history: int = 10_000) -> None:
        self.revision = FIRST_REVISION
        self.catalog = Catalog()
        self._history = history
        self._kinds: defaultdict[Resource, _Kind] = defaultdict(_Kind)
        self._by_uid: dict[str, tuple[Resource, ObjectKey]] = {}
        self._listeners: list[Callable[[StoredChange], None]] = []

    @staticmethod
    def key(obj: Object) -> ObjectKey:
        return ObjectKey(obj["metadata"].get("namespace", ""), obj["metadata"]["name"])

    def get(self, resource: Resource, key: ObjectKey) -> Stored | None:
        return self._kinds[resource].objects.get(key)

    def by_uid(self, uid: str) -> tuple[Resource, Stored] | None:
        """The object with this uid, of whatever kind."""
        place = self._by_uid.get(uid)
        if place is None:
            return None
        stored = self.get(*place)
        return None if stored is None else (place[0], stored)

    def items(self, resource: Resource, namespace: str = "") -> list[Stored]:
        """All of a kind, or those of a namespace, ordered by namespace and name."""
        kind = self._kinds[resource]
        if not namespace:
            return [kind.objects[key] for key in sorted(kind.objects)]
        names = kind.names.get(namespace, ())
        return [kind.objects[ObjectKey(namespace, name)] for name in sorted(names)]

    def oldest(self, resource: Resource) -> Stored:
        """The object of a kind that was created first; StopIteration if there is none."""
        return next(iter(self._kinds[resource].objects.values()))

    def put(self, resource: Resource, obj: Object) -> Stored:
        """Store an object under its name; its resourceVersion is set here."""
        key = self.key(obj)
        kind = self._kinds[resource]
        before = kind.objects.get(key)
        now = self._next(obj)
        kind.objects[key] = now
        kind.names[key.namespace].add(key.name)
        self._by_uid[obj["metadata"]["uid"]] = (resource, key)
        self._append(StoredChange("ADDED" if before is None else "MODIFIED", resource, key, now, before))
        return now

    def remove(self, resource: Resource, key: ObjectKey) -> Stored:
        """Remove an object; KeyError if there is none."""
        kind = self._kinds[resource]
        before = kind.objects.pop(key)
        kind.names[key.namespace].discard(key.name)
        if not kind.names[key.namespace]:
            del kind.names[key.namespace]
        self._by_uid.pop(before.object["metadata"]["uid"], None)
        last = self._next({**before.object, "metadata": dict(before.object["metadata"])})
        self._append(StoredChange("DELETED", resource, key, last, before))
        return last

    def forget(self, resource: Resource) -> None:
        """Drop every object of a kind that is no longer served."""
        self._kinds.pop(resource, None)

    def count(self, resource: Resource) -> int:
        return len(self._kinds[resource].objects)

    def since(self, resource: Resource, revision: int) -> list[StoredChange]:
        """The changes of a kind after a revision, in order; ApiError 410 if they are forgotten."""
        kind = self._kinds[resource]
        if revision < kind.forgotten:
            raise expired(f"too old resource version: {revision} ({kind.forgotten})")
        return list(reversed(list(_newer(kind.log, revision))))

    def newest(self, resource: Resource) -> int:
        """The revision of the last change of a kind."""
        log = self._kinds[resource].log
        return log[-1].revision if log else FIRST_REVISION

    def wait(self, resource: Resource) -> asyncio.Future[None]:
        """A future that is done at the next change of a kind."""
        future = asyncio.get_running_loop().create_future()
        waiting = self._kinds[resource].waiting
        waiting[:] = [*(other for other in waiting if not other.done()), future]
        return future

    def listen(self, listener: Callable[[StoredChange], None]) -> None:
        """Call `listener` inside every change, in order. It may only take note of it."""
        self._listeners.append(listener)

    def _next(self, obj: Object) -> Stored:
        self.revision += 1
        obj["metadata"]["resourceVersion"] = str(self.revision)
        return Stored(obj, self.revision)

    def _append(self, change: StoredChange) -> None:
        kind = self._kinds[change.resource]
        kind.log.append(change)
        if len(kind.log) > self._history:
            kind.forgotten = kind.log.popleft().revision
        waiting, kind.waiting = kind.waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)
        for listener in self._listeners:
            listener(change)


def _newer(log: deque[StoredChange], revision: int) -> Iterator[StoredChange]:
    for change in reversed(log):
        if change.revision <= revision:
            return
        yield change
