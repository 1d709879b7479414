"""A run with pods of its own: the suite's topology, policies and steps."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import assert_never

from netprobe.errors import UsageError
from netprobe.model.cluster import Cluster
from netprobe.model.flow import PodRef
from netprobe.probe import Fixture as PodsToMake
from netprobe.probe import Observed, OutsideHost, Prober, Workbench
from netprobe.run.cluster import OpenCluster
from netprobe.run.driver import Bench
from netprobe.run.moment import SimulatedMoment, moments
from netprobe.run.options import Progress, RunOptions
from netprobe.run.placement import Placing
from netprobe.suite import Action, Apply, Change, Delete, Suite, Topology


@dataclass(frozen=True, slots=True)
class Fixture:
    """A suite with a topology, and on which nodes its pods go."""

    suite: Suite
    placing: Placing = field(default_factory=Placing)

    @property
    def name(self) -> str:
        return self.suite.name

    def check(self, options: RunOptions) -> None:  # noqa: ARG002 (as every mode)
        self.placing.check(tuple(self._topology().pods.values()))

    @asynccontextmanager
    async def prepared(
        self, cluster: OpenCluster, options: RunOptions, progress: Progress
    ) -> AsyncIterator[Bench]:
        """WorkbenchError where the pods cannot be made."""
        pods = await self._pods(cluster)
        workbench = Workbench(
            cluster.api,
            pods,
            changes=1 + len(self.suite.steps),
            lab=cluster.is_lab,
            disposable=options.target.is_ephemeral_lab,
            options=options.pods,
            deadlines=options.deadlines,
            progress=progress,
        )
        async with workbench:
            found = tuple(
                moments(
                    self.suite,
                    self._live(workbench),
                    options.profile,
                    rows=self.placing.rows,
                    probed=True,
                    family=options.family,
                )
            )
            flows = dict.fromkeys(flow for moment in found for flow in moment.simulated)
            prober = Prober(
                cluster.api,
                workbench.stations,
                flows,
                canaries=workbench.canaries,
                pace=cluster.pace(options.pace, len(flows)),
                twins=workbench.twins,
                progress=progress,
            )

            async def observe(moment: SimulatedMoment) -> Observed:
                async def change() -> None:
                    for action in moment.actions:
                        await _take(workbench, action, moment.simulator.cluster)

                return await prober.observe(change)

            yield Bench(
                workbench.run,
                found,
                prober,
                observe,
                problems=tuple(workbench.warnings),
                nodes={end: station.node for end, station in workbench.stations.items() if station.node},
                elsewhere={end: station.node for end, station in workbench.twins.items() if station.node},
            )

    def _topology(self) -> Topology:
        if self.suite.topology is None:
            raise UsageError(
                f"{self.suite.file} has no topology: what should be created? "
                "`netprobe simulate` says what its policies mean without a cluster"
            )
        return self.suite.topology

    async def _pods(self, cluster: OpenCluster) -> PodsToMake:
        topology, listeners = self._topology(), self.suite.listeners()
        placed = await self.placing.placed(cluster.api, tuple(topology.pods.values()))
        return PodsToMake(
            tuple(topology.namespaces.values()),
            tuple(replace(pod, ports=listeners[pod.ref]) for pod in placed.pods),
            tuple(OutsideHost(host, listeners[host]) for host in self.suite.externals),
            topology.annotations,
            placed.twins,
        )

    def _live(self, workbench: Workbench) -> Cluster:
        """The topology with the addresses, nodes and labels that its pods were given."""
        made = self._topology().cluster()
        pods = {}
        for ref, pod in made.pods.items():
            station = workbench.stations[ref]
            labels = workbench.labels[ref]
            pods[ref] = replace(pod, addresses=station.addresses, node=station.node, labels=labels)
        namespaces = {
            name: replace(namespace, labels=workbench.labels[name])
            for name, namespace in made.namespaces.items()
        }
        return replace(made, pods=pods, namespaces=namespaces)


async def _take(workbench: Workbench, action: Action, cluster: Cluster) -> None:
    """Do to the cluster what `suite.apply` does to the simulated one."""
    match action:
        case Apply(documents):
            for document in documents:
                await workbench.apply(dict(document.object))
        case Delete(ref):
            await workbench.delete("NetworkPolicy", ref.name, ref.namespace)
        case Change(changes, namespace):
            change = workbench.annotate if action.annotations else workbench.label
            targets: list[PodRef | str] = [namespace] if namespace else list(action.pods(cluster))
            for target in targets:
                await change(target, changes)
        case _:
            assert_never(action)
