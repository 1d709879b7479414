"""One run from suite to report: the order of things, and nothing else.

Up with the cluster and the pods; a baseline; then the policies, and each step after them: change, wait,
probe, simulate the same moment, compare. The prober gets flows and never a verdict.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import assert_never

from netprobe.cli.narration import Narrate, narrated
from netprobe.cli.target import Opened, Target, opened
from netprobe.cli.why import explainer
from netprobe.diff import compare
from netprobe.errors import ClusterError, UsageError
from netprobe.lab import LabOptions
from netprobe.model.cluster import Cluster
from netprobe.model.flow import PodRef
from netprobe.model.matrix import Matrix
from netprobe.model.verdict import Decision, Verdict
from netprobe.probe import Deadlines, Fixture, Observed, OutsideHost, Pace, PodOptions, Prober, Workbench
from netprobe.report import Report, RunInfo, Step
from netprobe.simulate import Profile, Simulator
from netprobe.suite import Action, Apply, Change, Delete, Suite, Topology, apply

APPLIED = "policies applied"


@dataclass(frozen=True, slots=True)
class Moment:
    """What is expected and what the policies say after one change."""

    name: str
    actions: tuple[Action, ...]
    simulator: Simulator
    declared: Matrix[Verdict]
    simulated: Matrix[Decision]


@dataclass(frozen=True, slots=True)
class Campaign:
    """A suite, and how and where it is to be run."""

    suite: Suite
    target: Target
    lab: LabOptions
    pods: PodOptions
    deadlines: Deadlines
    pace: Pace
    profile: Profile
    request_timeout_s: float = 30.0

    async def run(self) -> Report:
        """Probe the suite and report. Whatever ends it, nothing of the run is left; NetprobeError."""
        topology = self.suite.topology
        if topology is None:
            raise UsageError(
                f"{self.suite.file} has no topology: what should be created? "
                "`netprobe simulate` says what its policies mean without a cluster"
            )
        with narrated() as narrate:
            async with opened(
                self.target, self.lab, request_timeout_s=self.request_timeout_s, narrate=narrate
            ) as there:
                return await self._probe(topology, there, narrate)

    async def _probe(self, topology: Topology, there: Opened, narrate: Narrate) -> Report:
        started = datetime.now(UTC)
        listeners = self.suite.listeners()
        bench = Workbench(
            there.cluster,
            Fixture(
                tuple(topology.namespaces.values()),
                tuple(replace(pod, ports=listeners[ref]) for ref, pod in topology.pods.items()),
                tuple(OutsideHost(host, listeners[host]) for host in self.suite.externals),
            ),
            changes=1 + len(self.suite.steps),
            lab=there.is_lab,
            options=self.pods,
            deadlines=self.deadlines,
            progress=narrate,
        )
        seen: list[Observed] = []
        moments: Sequence[Moment] = ()
        problems: list[str] = []
        try:
            async with bench:
                moments = self._moments(bench)
                seen = await self._observe(there, bench, moments, narrate)
        except ClusterError as error:
            if not moments or len(seen) < len(moments):
                raise
            problems.append(str(error))  # only the cleanup failed: what was found stands, and says so
        return self._report(there, bench, started, zip(moments, seen, strict=True), problems)

    def _moments(self, bench: Workbench) -> list[Moment]:
        """The states that the suite goes through, on the addresses that the pods really have."""
        cluster = self.suite.cluster(_live(self.suite, bench))
        names = [APPLIED, *(step.name for step in self.suite.steps)]
        changes: list[tuple[Action, ...]] = [(), *(step.actions for step in self.suite.steps)]
        moments = []
        for name, actions, declared in zip(names, changes, self.suite.declared(cluster), strict=True):
            for action in actions:
                cluster = apply(cluster, action)
            simulator = Simulator(cluster, self.profile)
            flows = [row for flow in declared for row in simulator.split(flow)]
            moments.append(Moment(name, actions, simulator, declared, simulator.matrix(flows)))
        return moments

    async def _observe(
        self, there: Opened, bench: Workbench, moments: Sequence[Moment], narrate: Narrate
    ) -> list[Observed]:
        flows = dict.fromkeys(flow for moment in moments for flow in moment.simulated)
        seen = []
        async with Prober(there.cluster, bench, flows, pace=self.pace, progress=narrate) as prober:
            await prober.baseline()

            async def policies() -> None:
                for document in self.suite.policies:
                    await bench.apply(dict(document.object))

            seen.append(await prober.observe(policies))
            for moment in moments[1:]:
                narrate(moment.name)

                async def change(moment: Moment = moment) -> None:
                    for action in moment.actions:
                        await _take(bench, action, moment.simulator.cluster)

                seen.append(await prober.observe(change))
        return seen

    def _report(
        self,
        there: Opened,
        bench: Workbench,
        started: datetime,
        observed: Iterable[tuple[Moment, Observed]],
        problems: Iterable[str],
    ) -> Report:
        steps = []
        told = list(problems)
        enforcement = None
        for number, (moment, after) in enumerate(observed):
            facts = after.facts
            told += facts.problems
            if facts.enforcement.enforcing is False:
                enforcement = f"this cluster enforces no NetworkPolicy: {facts.enforcement.evidence}"
            here = after.matrix.where(moment.simulated.__contains__)
            steps.append(
                Step(
                    moment.name,
                    compare(moment.declared, moment.simulated, here, step=number),
                    converged_s=facts.converged_s,
                    rounds=facts.rounds,
                    execs=facts.execs,
                    explain=explainer(moment.simulator),
                )
            )
        return Report(
            self.suite.name,
            there.info,
            RunInfo.since(started, bench.run),
            tuple(steps),
            problems=tuple(dict.fromkeys(told)),
            enforcement=enforcement,
            nodes={end: station.node for end, station in bench.stations.items() if station.node},
        )


def _live(suite: Suite, bench: Workbench) -> Cluster:
    """The topology with the addresses and nodes that the pods were given."""
    made = suite.topology.cluster() if suite.topology is not None else Cluster()
    pods = {}
    for ref, pod in made.pods.items():
        station = bench.stations[ref]
        pods[ref] = replace(pod, addresses=station.addresses, node=station.node)
    return replace(made, pods=pods)


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
