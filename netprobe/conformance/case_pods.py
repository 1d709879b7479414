"""Pods, and the namespace v, that a case creates while its policies are in force.

The namespace is created before its policies, pods after the policies of their step. Some clusters refuse
hostNetwork pods (the Pod Security Standard "baseline" forbids them), so only cases that need them create any.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from ipaddress import ip_address
from types import TracebackType
from typing import Final, Protocol, Self

from netprobe.conformance import kubelet_probe
from netprobe.conformance.case import Case, CaseStep
from netprobe.conformance.fixture_map import FixtureMap
from netprobe.conformance.fixture_plan import served
from netprobe.conformance.world import KUBELET, ON_HOST, PASSING
from netprobe.errors import ConflictError, ForbiddenError, NotFoundError, WorkbenchError
from netprobe.model.flow import ContainerPort, End, PodRef
from netprobe.model.objects import Object
from netprobe.model.observation import Observation, Outcome
from netprobe.probe import ClusterAPI, PodOptions, Station
from netprobe.probe.bench import station
from netprobe.probe.readiness import cannot_start, describe, is_ready
from netprobe.probe.run_objects import RUN, on_node_network, pod

READY_S: Final = 60.0
REMOVED_S: Final = 90.0
POLL_S: Final = 0.2


class Bench(Protocol):
    """The part of a Workbench that CasePods use."""

    @property
    def run(self) -> str: ...
    async def namespace(self, name: str, labels: Mapping[str, str]) -> None: ...


class CasePods:
    """Use as `async with`, one per case. `site` and `stations` know the pods that were created so far."""

    def __init__(
        self, cluster: ClusterAPI, bench: Bench, case: Case, site: FixtureMap, *, options: PodOptions
    ) -> None:
        self.site = site
        self.stations: dict[End, Station] = {}
        self._cluster = cluster
        self._bench = bench
        self._run = bench.run
        self._options = options
        self._probed = {end.removeprefix(KUBELET) for end in case.scope.extra if end.startswith(KUBELET)}
        self._passing = False
        self._reached: str | None = None  # the node whose kubelet last reached a pod of the case

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for made in self.stations.values():
            with suppress(NotFoundError):
                await self._cluster.delete("Pod", made.pod, made.namespace)
        if self._passing:
            with suppress(NotFoundError):
                await self._cluster.delete("Namespace", self.site.namespaces[PASSING])

    async def clear(self, step: CaseStep) -> bool:
        """Before a step's change: remove the pods that it does not have, and prepare its namespace.

        Returns whether the namespace v, and so every policy in it, is gone or new. WorkbenchError if the
        namespace does not go away.
        """
        away = self._passing and (not step.passing or PASSING in step.remade)
        kept = {self.site.pod(name) for name in step.pods if name not in step.remade}
        for ref in [ref for ref in self.stations if isinstance(ref, PodRef) and ref not in kept]:
            gone = self.stations.pop(ref)
            if not (away and gone.namespace == self.site.namespaces[PASSING]):
                await self._cluster.delete("Pod", gone.pod, gone.namespace)
        if away:
            await self._remove()
        if not step.passing or self._passing:
            return away
        await self._bench.namespace(self.site.namespaces[PASSING], self.site.labels(PASSING, step))
        self._passing = True
        return True

    async def _remove(self) -> None:
        """Delete the namespace and wait until it is gone, so that probes see a cluster without it."""
        name = self.site.namespaces[PASSING]
        self._passing = False
        self.stations = {end: made for end, made in self.stations.items() if made.namespace != name}
        await self._cluster.delete("Namespace", name)
        try:
            async with asyncio.timeout(REMOVED_S):
                await self._gone(name)
        except TimeoutError as error:
            raise WorkbenchError(f"namespace {name} still exists after {REMOVED_S:g} s") from error

    async def _gone(self, namespace: str) -> None:
        while True:
            try:
                await self._cluster.get("Namespace", namespace)
            except NotFoundError:
                return
            await asyncio.sleep(POLL_S)

    async def make(self, step: CaseStep) -> None:
        """Create the missing pods of a step and wait until they are ready.

        ForbiddenError if the cluster does not admit them, WorkbenchError if one never becomes ready.
        """
        try:
            async with asyncio.timeout(READY_S):
                await self._make(step)
        except TimeoutError as error:
            raise WorkbenchError(f"a pod of the case is not ready after {READY_S:g} s") from error

    async def _make(self, step: CaseStep) -> None:
        for name in step.pods:
            ref = self.site.pod(name)
            if ref in self.stations:
                continue
            # Whether a pod that the kubelet probes becomes ready is the question of the case.
            fine = kubelet_probe.is_running if name in self._probed else is_ready
            live = await self._live(ref, await self._create(self._object(name, step)), fine)
            made = station(ref, live)
            self.stations[ref] = made
            addresses = {name: made.addresses, f"{KUBELET}{name}": (ip_address(live["status"]["hostIP"]),)}
            self.site = self.site.with_pods(addresses, {name: made.node or ""})

    def _object(self, name: str, step: CaseStep) -> Object:
        ref, labels, ports = self.site.pod(name), self.site.labels(name, step), served(name)
        if name not in ON_HOST:
            obj = pod(ref, self._run, self._options, labels=labels, ports=ports)
            return kubelet_probe.with_readiness_probe(obj) if name in self._probed else obj
        ports = tuple(ContainerPort(self.site.host_port, port.protocol, port.name) for port in ports)
        node = self.site.nodes[ON_HOST[name]] or None
        obj = pod(ref, self._run, self._options, labels=labels, ports=ports, node=node)
        return on_node_network(obj)

    async def _live(self, ref: PodRef, created: Object, fine: Callable[[Object], bool]) -> Object:
        """The pod once it is usable; the status of an earlier pod with the same name is not its status."""
        while True:
            pods = await self._cluster.find("Pod", ref.namespace, {RUN: self._run})
            for live in pods:
                if live["metadata"]["uid"] != created["metadata"]["uid"]:
                    continue
                if cannot_start(live):
                    raise WorkbenchError(f"pod {ref} cannot become ready: {describe(live)}")
                if fine(live):
                    return live
            await asyncio.sleep(POLL_S)

    async def _create(self, obj: Object) -> Object:
        """Create a pod, waiting until an earlier one of the same name is gone.

        In a new namespace, wait until its service account exists.
        """
        while True:
            try:
                return await self._cluster.create(obj)
            except ConflictError:
                await asyncio.sleep(POLL_S)
            except ForbiddenError as error:
                if "service account" not in str(error):
                    raise
                await asyncio.sleep(POLL_S)

    async def observe_probe(self, name: str, *, listener: str | None) -> Observation:
        """The kubelet's view of a pod of the case; `listener`: how the pod is known to serve the port."""
        ref = self.site.pod(name)
        before = self._reached == self.stations[ref].node
        seen = await kubelet_probe.observe_probe(
            self._cluster, ref, self._run, listener=listener, before=before
        )
        if seen.outcome is Outcome.CONNECTED:
            self._reached = self.stations[ref].node
        return seen
