"""One run from suite to report: the order of things, and nothing else.

Up with the cluster and the pods; a baseline; then the policies, and each step after them: change, wait,
probe, simulate the same moment, compare. The prober gets flows and never a verdict.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import assert_never

from netprobe.errors import ClusterError, UsageError
from netprobe.model.cluster import Cluster
from netprobe.model.flow import PodRef
from netprobe.probe import Fixture, Observed, OutsideHost, Prober, Workbench
from netprobe.run import told
from netprobe.run.moment import SimulatedMoment
from netprobe.run.moment import moments as states
from netprobe.run.placement import Placing
from netprobe.run.record import Report, RunInfo
from netprobe.run.target import Narrate, Opened
from netprobe.run.terms import Terms
from netprobe.suite import Action, Apply, Change, Delete, Suite, Topology


@dataclass(frozen=True, slots=True)
class Campaign:
    """A suite, and how and where it is to be run."""

    suite: Suite
    terms: Terms
    placing: Placing = field(default_factory=Placing)

    async def run(self, narrate: Narrate) -> Report:
        """Probe the suite and report. Whatever ends it, nothing of the run is left; NetprobeError."""
        topology = self.suite.topology
        if topology is None:
            raise UsageError(
                f"{self.suite.file} has no topology: what should be created? "
                "`netprobe simulate` says what its policies mean without a cluster"
            )
        self.placing.check(tuple(topology.pods.values()))
        async with self.terms.opened(narrate) as there:
            return await self._probe(topology, there, narrate)

    async def _probe(self, topology: Topology, there: Opened, narrate: Narrate) -> Report:
        started = datetime.now(UTC)
        listeners = self.suite.listeners()
        placed = await self.placing.placed(there.cluster, tuple(topology.pods.values()))
        bench = Workbench(
            there.cluster,
            Fixture(
                tuple(topology.namespaces.values()),
                tuple(replace(pod, ports=listeners[pod.ref]) for pod in placed.pods),
                tuple(OutsideHost(host, listeners[host]) for host in self.suite.externals),
                topology.annotations,
                placed.twins,
            ),
            changes=1 + len(self.suite.steps),
            lab=there.is_lab,
            disposable=self.terms.target.is_ephemeral_lab,
            options=self.terms.pods,
            deadlines=self.terms.deadlines,
            progress=narrate,
        )
        seen: list[Observed] = []
        moments: Sequence[SimulatedMoment] = ()
        problems: list[str] = []
        try:
            async with bench:
                problems += bench.warnings
                live = _live(self.suite, bench)
                moments = list(
                    states(
                        self.suite,
                        live,
                        self.terms.profile,
                        rows=self.placing.rows,
                        probed=True,
                        family=self.terms.family,
                    )
                )
                seen = await self._observe(there, bench, moments, narrate)
        except ClusterError as error:
            if not moments or len(seen) < len(moments):
                raise
            problems.append(str(error))  # only the cleanup failed: what was found stands, and says so
        return self._report(there, bench, started, zip(moments, seen, strict=True), problems)

    async def _observe(
        self, there: Opened, bench: Workbench, moments: Sequence[SimulatedMoment], narrate: Narrate
    ) -> list[Observed]:
        flows = dict.fromkeys(flow for moment in moments for flow in moment.simulated)
        seen = []
        pace = self.terms.pace_on(there, len(flows))
        prober = Prober(
            there.cluster,
            bench.stations,
            flows,
            canaries=bench.canaries,
            pace=pace,
            twins=bench.twins,
            progress=narrate,
        )
        async with prober:
            await prober.baseline()

            for at in moments:
                narrate(at.moment.name)

                async def change(at: SimulatedMoment = at) -> None:
                    for action in at.moment.actions:
                        await _take(bench, action, at.moment.cluster)

                seen.append(await prober.observe(change))
        return seen

    def _report(
        self,
        there: Opened,
        bench: Workbench,
        started: datetime,
        observed: Iterable[tuple[SimulatedMoment, Observed]],
        problems: Iterable[str],
    ) -> Report:
        steps = []
        all_problems = list(problems)
        enforcement = None
        for number, (at, after) in enumerate(observed):
            facts = after.facts
            all_problems += facts.problems
            enforcement = told.enforcement(facts) or enforcement
            steps.append(
                told.step(
                    at.moment.name,
                    at.declared,
                    at.simulated,
                    after.matrix.where(at.simulated.__contains__),
                    facts=facts,
                    simulator=at.simulator,
                    number=number,
                    declared_by=at.moment.declared_by,
                )
            )
        return Report(
            self.suite.name,
            there.info,
            RunInfo.since(started, bench.run),
            tuple(steps),
            problems=tuple(dict.fromkeys(all_problems)),
            enforcement=enforcement,
            nodes={end: station.node for end, station in bench.stations.items() if station.node},
            elsewhere={end: station.node for end, station in bench.twins.items() if station.node},
        )


def _live(suite: Suite, bench: Workbench) -> Cluster:
    """The topology with the addresses and nodes that the pods were given, and the labels that they have."""
    made = suite.topology.cluster() if suite.topology is not None else Cluster()
    pods = {}
    for ref, pod in made.pods.items():
        station = bench.stations[ref]
        labels = bench.labels[ref]
        pods[ref] = replace(pod, addresses=station.addresses, node=station.node, labels=labels)
    namespaces = {
        name: replace(namespace, labels=bench.labels[name]) for name, namespace in made.namespaces.items()
    }
    return replace(made, pods=pods, namespaces=namespaces)


async def _take(bench: Workbench, action: Action, cluster: Cluster) -> None:
    """Do to the cluster what `suite.apply` does to the simulated one."""
    match action:
        case Apply(documents):
            for document in documents:
                await bench.apply(dict(document.object))
        case Delete(ref):
            await bench.delete("NetworkPolicy", ref.name, ref.namespace)
        case Change(changes, namespace):
            change = bench.annotate if action.annotations else bench.label
            targets: list[PodRef | str] = [namespace] if namespace else list(action.pods(cluster))
            for target in targets:
                await change(target, changes)
        case _:
            assert_never(action)
