"""The bench of a run in place: shadow pods in namespaces of others, canaries and free pods in its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from ipaddress import ip_address
from typing import Any

from netprobe.errors import WorkbenchError
from netprobe.model.flow import Address, PodRef
from netprobe.model.objects import Object
from netprobe.probe import admission_changes, lease
from netprobe.probe.api import ClusterAPI
from netprobe.probe.canary import Canary
from netprobe.probe.guests import shadows
from netprobe.probe.guests.shadows import GuestPlan
from netprobe.probe.netcat import Target
from netprobe.probe.permission import IN_PLACE, Permission
from netprobe.probe.plan import Station, Try
from netprobe.probe.readiness import Readiness
from netprobe.probe.run_objects import Fixture, PodOptions, run_namespace
from netprobe.probe.workbench import Deadlines, Progress, Workbench, station, together


class GuestWorkbench(Workbench):
    """A Workbench whose stations are shadow pods, each under the name of the real pods that it stands for.

    Entering creates exactly the `shadows.objects` of the party, and a Lease. `strange`: sentences on what
    admission made of the shadow pods. What is raised is as for Workbench.
    """

    def __init__(
        self,
        cluster: ClusterAPI,
        party: GuestPlan,
        *,
        run: str | None = None,
        lab: bool = False,
        options: PodOptions | None = None,
        deadlines: Deadlines | None = None,
        progress: Progress = lambda _: None,
    ) -> None:
        super().__init__(
            cluster,
            Fixture((), ()),
            run=run,
            lab=lab,
            options=options,
            deadlines=deadlines,
            progress=progress,
        )
        self.party = party
        self.strange: tuple[str, ...] = ()
        self._clients: dict[str, Station] = {}
        self._servers: dict[str, Station] = {}

    def pair(self, source: str, destination: str, target: Target) -> tuple[Try, ...]:
        """The try that proves the path from one node to another, by the protocol of `target`; () for none."""
        client, server = self._clients.get(source), self._servers.get(destination)
        if client is None or server is None or not server.addresses:
            return ()
        port = next((p.number for p in shadows.SERVED if p.protocol is target.protocol), None)
        host = next((a for a in server.addresses if _speaks(a, target.host)), None)
        return ((client, Target(str(host), port, target.protocol)),) if port and host else ()

    def witness(self, node: str, target: Target) -> tuple[Try, ...]:
        """The try of a target by a policy-free pod on a node: for what is outside the cluster."""
        client = self._clients.get(node)
        return ((client, target),) if client else ()

    @property
    def _permissions(self) -> tuple[Permission, ...]:
        return IN_PLACE

    @property
    def _beyond(self) -> bool:
        return True

    async def _build(self) -> None:
        made = shadows.objects(self.party, self.run, self._options)
        self._progress("creating the run's own namespace")
        await self._namespace(run_namespace(self.run), {})
        await self._stack.enter_async_context(lease.held(self._cluster, self.run))
        jobs = await together(*map(self._cluster.create, made.owners))
        uids = {job["metadata"]["namespace"]: str(job["metadata"]["uid"]) for job in jobs}
        made = shadows.objects(self.party, self.run, self._options, uids)
        await self._cluster.create(made.policy)
        await self._populate_with(made)

    async def _populate_with(self, made: shadows.Objects) -> None:
        self._progress(f"starting {len(made.pods)} pods")
        readiness = Readiness(self._cluster, self.run)
        try:
            async with asyncio.timeout(self._deadlines.ready_s), readiness:
                creating: list[Awaitable[Any]] = [self._pod(obj) for obj in made.pods]
                await together(*creating)
                pods = await readiness.ready([_ref(obj) for obj in made.pods])
        except TimeoutError as e:
            raise WorkbenchError(
                f"pods are not ready after {self._deadlines.ready_s:g} s: {await readiness.explain()}"
            ) from e
        self._place(made, pods)

    def _place(self, made: shadows.Objects, pods: Mapping[PodRef, Object]) -> None:
        self.stations = {}
        for shadow in self.party.shadows:
            place = station(shadow.stands_for[0], pods[shadow.ref])
            self.stations |= dict.fromkeys(shadow.stands_for, place)
        asked = {_ref(obj): obj for obj in made.shadows}
        relabelled = admission_changes.relabelled((obj, pods[ref]) for ref, obj in asked.items())
        self.strange = (*admission_changes.sidecars(pods.values()), *relabelled)

        def at(obj: Object) -> Station:
            return station(_ref(obj), pods[_ref(obj)])

        self._clients = {node: at(client) for node, (_, client) in made.canaries.items()}
        self._servers = {node: at(server) for node, server in made.free.items()}
        self.canaries = tuple(
            Canary(client=self._clients[node], target=at(target))
            for node, (target, _) in made.canaries.items()
        )


def _speaks(address: Address, host: str) -> bool:
    """Whether an address is of the family of a host; nobody knows which one a name leads to."""
    try:
        return ip_address(host).version == address.version
    except ValueError:
        return True


def _ref(obj: Object) -> PodRef:
    return PodRef(obj["metadata"]["namespace"], obj["metadata"]["name"])
