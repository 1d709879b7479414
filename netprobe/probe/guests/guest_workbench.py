"""The bench of a run in place: shadow pods in namespaces of others, canaries and control pods in its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from typing import Unpack

from netprobe.model.flow import Address, PodRef
from netprobe.model.objects import Object
from netprobe.probe import admission_changes
from netprobe.probe.api import ClusterAPI
from netprobe.probe.bench import Bench, BenchOptions, ref_of, station, together
from netprobe.probe.canary import Canaries, Canary
from netprobe.probe.guests import shadows
from netprobe.probe.guests.shadows import GuestPlan
from netprobe.probe.netcat import Target
from netprobe.probe.ownership import ObjectRef
from netprobe.probe.permission import IN_PLACE, Permission
from netprobe.probe.plan import Station, Try
from netprobe.probe.run_objects import run_namespace


class GuestWorkbench(Bench):
    """A bench whose stations are shadow pods, each under the names of the real pods that it represents.

    `clients` and `servers`, by node, are pods that no policy of a namespace selects. Entering creates exactly
    the `shadows.objects` of the plan, and a Lease. What it raises: see Bench.
    """

    def __init__(
        self,
        cluster: ClusterAPI,
        plan: GuestPlan,
        permissions: Sequence[Permission] = IN_PLACE,
        **options: Unpack[BenchOptions],
    ) -> None:
        super().__init__(cluster, permissions=permissions, **options)
        self._plan = plan
        self.clients: Mapping[str, Station] = {}
        self.servers: Mapping[str, Station] = {}

    def control_pair(self, source: str, destination: str, target: Target) -> tuple[Try, ...]:
        """The try that proves the path from one node to another, with the protocol of `target`.

        () if there is none.
        """
        client, server = self.clients.get(source), self.servers.get(destination)
        if client is None or server is None:
            return ()
        port = next((p.number for p in shadows.SERVED if p.protocol is target.protocol), None)
        host = next((a for a in server.addresses if _same_family(a, target.host)), None)
        return ((client, Target(str(host), port, target.protocol)),) if port and host else ()

    def control_try(self, node: str, target: Target) -> tuple[Try, ...]:
        """The try of a target by a policy-free pod on a node: for what is outside the pod network."""
        client = self.clients.get(node)
        return ((client, target),) if client else ()

    async def _build(self) -> None:
        self._progress("creating the run's own namespace")
        await self._make_home()
        owners = shadows.objects(self._plan, self.run, self._options).owners
        await self._note(*map(ObjectRef.of, owners))
        jobs = await together(*map(self.create, owners))
        uids = {job["metadata"]["namespace"]: str(job["metadata"]["uid"]) for job in jobs}
        made = shadows.objects(self._plan, self.run, self._options, uids)
        await self.create(made.policy)
        self._progress(f"starting {len(made.pods)} pods")
        pods = await self.start(made.pods)
        relabelled = admission_changes.relabelled((obj, pods[ref_of(obj)]) for obj in made.shadows)
        self.warnings = (*admission_changes.sidecars(pods.values()), *relabelled)
        self._place(made, pods)

    def _place(self, made: shadows.Objects, pods: Mapping[PodRef, Object]) -> None:
        def at(obj: Object) -> Station:
            return station(ref_of(obj), pods[ref_of(obj)])

        self.stations = {}
        for shadow in self._plan.shadows:
            place = station(shadow.stands_for[0], pods[shadow.ref])
            self.stations |= dict.fromkeys(shadow.stands_for, place)
        self.clients = {node: at(client) for node, (_, client) in made.canaries.items()}
        self.servers = {node: at(server) for node, server in made.control_pods.items()}
        pairs = tuple(
            Canary(client=self.clients[node], target=at(target))
            for node, (target, _) in made.canaries.items()
        )
        self.canaries = Canaries(self._cluster, self, self.run, run_namespace(self.run), pairs)


def _same_family(address: Address, host: str) -> bool:
    """Whether an address is of the family of a host; True for a name, which may resolve to either."""
    try:
        return ip_address(host).version == address.version
    except ValueError:
        return True
