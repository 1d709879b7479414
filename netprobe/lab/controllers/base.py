"""A control loop: after each change, bring the objects that it concerns up to date."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Mapping
from typing import Any, Generic, TypeVar

from netprobe.errors import LabError
from netprobe.lab.api.operations import Operations
from netprobe.lab.api.resources import Resource
from netprobe.lab.api.status import ApiError
from netprobe.lab.api.store import StoredChange
from netprobe.model.objects import Object, ReadOnlyObject

K = TypeVar("K", bound=Hashable)

_RETRY_S, _LONGEST_RETRY_S = 0.2, 5.0
logger = logging.getLogger(__name__)


class Controller(ABC, Generic[K]):
    """Keys wait until a worker is free; each key has one worker at a time; failures are retried.

    `reconcile` compares what is with what should be, so it may be called too often or too late.
    """

    parallel = 1

    def __init__(self, operations: Operations) -> None:
        self.operations = operations
        self.store = operations.store
        self._waiting: dict[K, None] = {}
        self._busy: set[K] = set()
        self._failures: dict[K, int] = {}
        self._later: dict[K, asyncio.TimerHandle] = {}
        self._changed = asyncio.Event()
        operations.store.listen(self._note)

    @abstractmethod
    def concerned(self, change: StoredChange) -> Iterable[K]:
        """The keys that a change concerns. It is called within the change and must not change anything."""

    @abstractmethod
    async def reconcile(self, key: K) -> float | None:
        """Bring one thing up to date; seconds after which to look again, if any."""

    def _look_again(self, key: K, after_s: float | None) -> None:
        """Set the time of the next look; it replaces the one set before."""
        if (timer := self._later.pop(key, None)) is not None:
            timer.cancel()
        if after_s is not None:
            loop = asyncio.get_running_loop()
            self._later[key] = loop.call_later(max(after_s, 0.001), self._due, key)

    def _due(self, key: K) -> None:
        self._later.pop(key, None)
        self._waiting[key] = None
        self._changed.set()

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self.parallel):
                group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            key = await self._take()
            try:
                again = await self.reconcile(key)
                self._failures.pop(key, None)
            except (ApiError, LabError) as error:
                again = self._failed(key, error)
            except Exception:
                logger.exception("%s: %s; trying again", type(self).__name__, key)
                again = 1.0
            finally:
                self._busy.discard(key)
                self._changed.set()
            self._look_again(key, again)

    def _failed(self, key: K, error: ApiError | LabError) -> float:
        """Log the first failure of a key; the seconds until the next try, twice as many each time."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        if not failures:
            logger.warning("%s: %s: %s; trying again", type(self).__name__, key, error)
        return min(_RETRY_S * 2.0 ** min(failures, 10), _LONGEST_RETRY_S)

    async def _take(self) -> K:
        while True:
            for key in self._waiting:
                if key not in self._busy:
                    del self._waiting[key]
                    self._busy.add(key)
                    return key
            self._changed.clear()
            await self._changed.wait()

    def _note(self, change: StoredChange) -> None:
        for key in self.concerned(change):
            self._waiting[key] = None
            self._changed.set()


def reference(resource: Resource, owner: Object) -> Object:
    """The reference that a dependent carries to the owner that controls it."""
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def controller_of(obj: ReadOnlyObject) -> Mapping[str, Any] | None:
    """The reference to the one owner that controls an object."""
    return next((ref for ref in obj["metadata"].get("ownerReferences", ()) if ref.get("controller")), None)
