"""Pods that a case makes while its policies are there already, and that end with it."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

from netprobe.conformance.case import Moment
from netprobe.conformance.site import Site
from netprobe.conformance.world import container_ports
from netprobe.model.flow import End, Protocol
from netprobe.probe import ClusterAPI, PodOptions, Station
from netprobe.probe.bench import pod
from netprobe.probe.readiness import Readiness
from netprobe.probe.workbench import station

READY_S = 60.0


class Latecomers:
    """Use as `async with`, one for a case. `site` and `stations` know the pods that were made so far."""

    def __init__(self, cluster: ClusterAPI, run: str, options: PodOptions, site: Site) -> None:
        self.site = site
        self.stations: dict[End, Station] = {}
        self._cluster = cluster
        self._run = run
        self._options = options

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for made in self.stations.values():
            await self._cluster.delete("Pod", made.pod, made.namespace)

    async def make(self, moment: Moment) -> None:
        """Make the pods of a moment that are not there yet, and wait until they are ready.

        WorkbenchError or TimeoutError where one never is.
        """
        for name in moment.pods:
            ref = self.site.pod(name)
            if ref in self.stations:
                continue
            ports = [port for port in container_ports(ref.name) if port.protocol is not Protocol.SCTP]
            labels = self.site.labels(name, moment)
            async with asyncio.timeout(READY_S), Readiness(self._cluster, self._run) as readiness:
                await self._cluster.create(pod(ref, self._run, self._options, labels=labels, ports=ports))
                made = station(ref, (await readiness.ready([ref]))[ref])
            self.stations[ref] = made
            self.site = self.site.with_pods({name: made.addresses}, {name: made.node or ""})
