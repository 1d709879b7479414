"""Tells the fabric what the network has to be: one NetworkState after another, the newest only."""

from __future__ import annotations

import asyncio
import logging

from netprobe.errors import LabError
from netprobe.lab.api.resources import NAMESPACES, NETWORK_POLICIES, SERVICES
from netprobe.lab.api.store import Change, Store
from netprobe.lab.fabric.state import Fabric, Member, NetworkState
from netprobe.model.flow import PodRef

OUTSIDE = "netprobe-outside"
"""The namespace of external hosts; no selector and no policy reaches into it."""

_SEEN = {NAMESPACES, NETWORK_POLICIES, SERVICES}
_RETRY_S = 0.5
logger = logging.getLogger(__name__)


class Enforcer:
    """Pushes the state on every change. Changes that come while the fabric works go into one next push."""

    def __init__(self, store: Store, fabric: Fabric) -> None:
        self._store = store
        self._fabric = fabric
        self._members: dict[PodRef, Member] = {}
        self._wanted = 1
        self._done = 0
        self._changed = asyncio.Event()
        self._pushed = asyncio.Condition()
        self._changed.set()
        store.listen(self._note)

    def put(self, member: Member) -> None:
        """A pod appeared, or looks different to policies."""
        if self._members.get(member.ref) != member:
            self._members[member.ref] = member
            self._touch()

    def drop(self, ref: PodRef) -> None:
        if self._members.pop(ref, None) is not None:
            self._touch()

    async def caught_up(self) -> None:
        """Returns once the kernel does what the state says now."""
        wanted = self._wanted
        async with self._pushed:
            await self._pushed.wait_for(lambda: self._done >= wanted)

    def state(self) -> NetworkState:
        """The state at this moment. What did not change is the very same object as before."""
        return NetworkState(
            namespaces={
                stored.object["metadata"]["name"]: stored.object["metadata"].get("labels") or {}
                for stored in self._store.items(NAMESPACES)
                if stored.object["metadata"]["name"] != OUTSIDE
            },
            members=dict(self._members),
            policies=[
                stored.object
                for stored in self._store.items(NETWORK_POLICIES)
                if stored.object["metadata"]["namespace"] != OUTSIDE
            ],
            services=[stored.object for stored in self._store.items(SERVICES)],
        )

    async def run(self) -> None:
        """Push for ever."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            wanted = self._wanted
            try:
                await self._fabric.enforce(self.state())
            except LabError:
                logger.exception("the network could not be changed; trying again")
                asyncio.get_running_loop().call_later(_RETRY_S, self._changed.set)
                continue
            async with self._pushed:
                self._done = wanted
                self._pushed.notify_all()

    def _touch(self) -> None:
        self._wanted += 1
        self._changed.set()

    def _note(self, change: Change) -> None:
        if change.resource in _SEEN:
            self._touch()
