"""Pods, and the namespace v, that a case creates while its policies are in force.

The namespace is created before its policies, pods after the policies of their step. Some clusters refuse
hostNetwork pods (the Pod Security Standard "baseline" forbids them), so only cases that need them create any.
"""

from __future__ import annotations

from contextlib import suppress
from ipaddress import ip_address
from types import TracebackType
from typing import Self

from netprobe.conformance import kubelet_probe
from netprobe.conformance.case import Case, CaseStep
from netprobe.conformance.fixture_map import FixtureMap
from netprobe.conformance.fixture_plan import served
from netprobe.conformance.world import KUBELET, ON_HOST, PASSING
from netprobe.errors import NotFoundError
from netprobe.model.flow import ContainerPort, End, PodRef
from netprobe.model.objects import Object
from netprobe.model.observation import Observation, Outcome
from netprobe.probe import ClusterAPI, PodOptions, Station, Workbench
from netprobe.probe.bench import station
from netprobe.probe.readiness import is_ready, runs
from netprobe.probe.run_objects import on_node_network, pod


class CasePods:
    """Use as `async with`, one per case. `site` and `stations` know the pods that were created so far."""

    def __init__(
        self, cluster: ClusterAPI, bench: Workbench, case: Case, site: FixtureMap, *, options: PodOptions
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
        await self._bench.remove_namespace(name)

    async def make(self, step: CaseStep) -> None:
        """Create the missing pods of a step and wait until they are ready.

        ForbiddenError if the cluster does not admit them, WorkbenchError if one never becomes ready.
        """
        for name in step.pods:
            ref = self.site.pod(name)
            if ref in self.stations:
                continue
            # Whether a pod that the kubelet probes becomes ready is the question of the case.
            until = runs if name in self._probed else is_ready
            live = (await self._bench.start([self._object(name, step)], until=until))[ref]
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
