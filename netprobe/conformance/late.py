"""Pods that a case makes while its policies are there already, and that end with it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Self

from netprobe.conformance.case import Moment
from netprobe.conformance.plan import served
from netprobe.conformance.site import Site
from netprobe.errors import ConflictError, NotFoundError, WorkbenchError
from netprobe.model.flow import End
from netprobe.probe import ClusterAPI, PodOptions, Station
from netprobe.probe.api import Object
from netprobe.probe.bench import pod
from netprobe.probe.readiness import Readiness
from netprobe.probe.workbench import station

READY_S = 60.0
POLL_S = 0.2


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
            with suppress(NotFoundError):
                await self._cluster.delete("Pod", made.pod, made.namespace)

    async def _create(self, obj: Object) -> None:
        """Create a pod. One of the same name, of the last case or moment, may take a moment to go."""
        while True:
            try:
                await self._cluster.create(obj)
            except ConflictError:
                await asyncio.sleep(POLL_S)
            else:
                return

    async def make(self, moment: Moment) -> None:
        """Make the pods of a moment that are not there yet, and wait until they are ready.

        WorkbenchError where one never is.
        """
        try:
            async with asyncio.timeout(READY_S):
                await self._make(moment)
        except TimeoutError as error:
            raise WorkbenchError(f"a pod of the case is not ready after {READY_S:g} s") from error

    async def _make(self, moment: Moment) -> None:
        for name in moment.pods:
            ref = self.site.pod(name)
            if ref in self.stations and name not in moment.remade:
                continue
            if ref in self.stations:
                gone = self.stations.pop(ref)
                await self._cluster.delete("Pod", gone.pod, gone.namespace)
            labels = self.site.labels(name, moment)
            async with Readiness(self._cluster, self._run) as readiness:
                await self._create(pod(ref, self._run, self._options, labels=labels, ports=served(ref.name)))
                made = station(ref, (await readiness.ready([ref]))[ref])
            self.stations[ref] = made
            self.site = self.site.with_pods({name: made.addresses}, {name: made.node or ""})
