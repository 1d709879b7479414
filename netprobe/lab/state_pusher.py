"""Sends the fabric the state that the network should have, at every change."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from ipaddress import ip_address
from typing import Final, TypeAlias

from netprobe.errors import LabError
from netprobe.lab.api import resources as r
from netprobe.lab.api.resources import Resource
from netprobe.lab.api.store import ObjectKey, Store, StoredChange
from netprobe.lab.fabric.state import Fabric, InstalledPolicy, NetworkState, PolicyPod
from netprobe.model.cluster import Node
from netprobe.model.flow import PodRef
from netprobe.model.labels import Labels, labels_of_account, labels_of_namespace, labels_of_set
from netprobe.model.objects import Object
from netprobe.model.policy import STANDARD_TIERS, NetworkSet, Policy, Tier, tier_name
from netprobe.policies.kinds import NETWORK_POLICY, PolicyKind

OUTSIDE = "netprobe-outside"
"""The namespace of external hosts; no selector and no policy reaches into it."""

_POLICIES: Final = {r.NETWORK_POLICIES: NETWORK_POLICY, **r.DEFINED}
_SEEN: Final = frozenset(
    (r.SERVICE_ACCOUNTS, r.NAMESPACES, r.NODES, r.SERVICES, r.ENDPOINT_SLICES, *_POLICIES)
)
_Installed: TypeAlias = InstalledPolicy | Tier | NetworkSet
_RETRY_S = 0.5
logger = logging.getLogger(__name__)


class StatePusher:
    """Pushes the state on every change.

    A push does not wait for the one before it: the fabric keeps their order and passes over what is stale.
    If it waited, a change that comes while another one lags would lag twice as long.
    """

    _newest: asyncio.Task[None]

    def __init__(self, store: Store, fabric: Fabric) -> None:
        self._store = store
        self._fabric = fabric
        self._members: dict[PodRef, PolicyPod] = {}
        self._objects: dict[Resource, list[Object]] = {}
        self._records: dict[tuple[str, str], _Installed | None] = {}  # by uid and resourceVersion
        self._group: asyncio.TaskGroup | None = None
        self._begun = True  # the newest push: a change needs another one
        store.listen(self._note)

    def put(self, member: PolicyPod) -> None:
        """A pod appeared, or looks different to policies. The labels of its account are added here."""
        known = self._members.get(member.ref)
        if known is not None:
            member = replace(member, account_labels=known.account_labels)
        if known != member:
            self._members[member.ref] = member
            self._touch()

    def drop(self, ref: PodRef) -> None:
        if self._members.pop(ref, None) is not None:
            self._touch()

    async def caught_up(self) -> None:
        """Return once the kernel does what the state says now."""
        await asyncio.shield(self._newest)

    def state(self) -> NetworkState:
        """The state at this moment. What did not change is the very same object as before."""
        records = self._read()
        tiers = {tier.name: tier for tier in STANDARD_TIERS}
        tiers |= {tier_name(one.name): one for one in records if isinstance(one, Tier)}
        nodes = self._all(r.NODES)
        return NetworkState(
            namespaces={
                name: labels_of_namespace(name, labels)
                for name, labels in map(_named, self._all(r.NAMESPACES))
            },
            members=self._with_accounts(),
            policies=[one for one in records if isinstance(one, InstalledPolicy)],
            services=self._all(r.SERVICES),
            endpoint_slices=self._all(r.ENDPOINT_SLICES),
            tiers=tuple(tiers.values()),
            nodes={obj["metadata"]["name"]: obj["metadata"].get("annotations") or {} for obj in nodes},
            network_sets=tuple(
                replace(one, labels=labels_of_set(one.namespace, one.labels))
                for one in records
                if isinstance(one, NetworkSet)
            ),
            selectable_nodes=tuple(map(_node, nodes)),
        )

    async def run(self) -> None:
        """Push for ever."""
        async with asyncio.TaskGroup() as self._group:
            self._touch()
            await asyncio.get_running_loop().create_future()

    async def _push(self) -> None:
        """Enforce the state as it is now; if that fails, try the newest again and again."""
        self._begun = True
        while True:
            try:
                return await self._fabric.enforce(self.state())
            except LabError:
                logger.exception("the network could not be changed; trying again")
            await asyncio.sleep(_RETRY_S)

    def _all(self, resource: Resource) -> list[Object]:
        """The objects of a kind that the network knows of; listed again only after a change."""
        if resource not in self._objects:
            self._objects[resource] = [
                stored.object for stored in self._store.items(resource) if not _outside(stored.object)
            ]
        return self._objects[resource]

    def _with_accounts(self) -> dict[PodRef, PolicyPod]:
        """The pods with the labels of their accounts; a pod is the same record while these are the same."""
        found = {}
        for ref, member in self._members.items():
            stored = self._store.get(r.SERVICE_ACCOUNTS, ObjectKey(ref.namespace, member.account))
            labels = {} if stored is None else labels_of_account(member.account, _labels(stored.object))
            if member.account_labels != labels:
                member = self._members[ref] = replace(member, account_labels=labels)  # noqa: PLW2901
            found[ref] = member
        return found

    def _read(self) -> list[_Installed]:
        """The records of all policy kinds; that of an object that has not changed is the same as before."""
        before, self._records = self._records, {}
        for resource, kind in _POLICIES.items():
            for obj in self._all(resource):
                key = (obj["metadata"]["uid"], obj["metadata"]["resourceVersion"])
                self._records[key] = before[key] if key in before else _installed(kind, obj)
        return [record for record in self._records.values() if record is not None]

    def _touch(self) -> None:
        if self._group is not None and self._begun:
            self._begun = False
            self._newest = self._group.create_task(self._push())

    def _note(self, change: StoredChange) -> None:
        if change.resource is r.DEFINITIONS:  # objects of a kind that is no longer served are gone
            self._objects.clear()
            self._touch()
        elif change.resource in _SEEN:
            self._objects.pop(change.resource, None)
            self._touch()


def _installed(kind: PolicyKind, obj: Object) -> _Installed | None:
    """What an object is to the network; None for one without effect, such as a staged policy."""
    match kind.record(obj):
        case Policy() as policy:
            return InstalledPolicy(policy, obj["metadata"].get("annotations") or {})
        case Tier() | NetworkSet() as record:
            return record
        case _:
            return None


def _named(obj: Object) -> tuple[str, Labels]:
    return obj["metadata"]["name"], _labels(obj)


def _labels(obj: Object) -> Labels:
    return obj["metadata"].get("labels") or {}


def _node(obj: Object) -> Node:
    listed = (obj.get("status") or {}).get("addresses") or ()
    addresses = tuple(ip_address(one["address"]) for one in listed if one["type"] != "Hostname")
    return Node(obj["metadata"]["name"], _labels(obj), addresses)


def _outside(obj: Object) -> bool:
    metadata = obj["metadata"]
    return bool(metadata.get("namespace", metadata["name"]) == OUTSIDE)
