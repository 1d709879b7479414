"""A run with its own pods: the suite's topology, policies and steps.

With `--placement` all pods run on one node. For flows from another node each pod has a twin there: the same
labels in the same namespace, which is all that policies see, and no listeners.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Final, assert_never

from netprobe.errors import ClusterError, ConflictError, UsageError, WorkbenchError
from netprobe.manifests import Document
from netprobe.model.cluster import Cluster
from netprobe.model.flow import Flow, Placement, PodRef
from netprobe.model.policy import Policy, Staged
from netprobe.policies.records import TIER, ref_of
from netprobe.probe import Fixture as PodsToMake
from netprobe.probe import Observed, OutsideHost, Prober, Workbench, permission
from netprobe.probe.canary import OPENING
from netprobe.probe.nodes import chosen
from netprobe.probe.nodes import nodes as nodes_of
from netprobe.probe.run_objects import RUN
from netprobe.run.applied import Served, applications, kinds_of, rank, refuse_existing, with_skipped
from netprobe.run.cluster import OpenCluster, Progress, RunOptions
from netprobe.run.driver import PreparedRun
from netprobe.run.moment import SimulatedMoment, moments
from netprobe.run.present import DeniedBefore, Present, judged_canaries, unable
from netprobe.simulate import Simulator
from netprobe.suite import ApplyPolicies, DeletePolicies, SetMetadata, StepAction, Suite, Topology

PLACEMENTS: Final[Mapping[str | None, tuple[Placement, ...]]] = {
    None: (),
    "same": (Placement.SAME,),
    "other": (Placement.OTHER,),
    "both": (Placement.SAME, Placement.OTHER),
}


@dataclass(frozen=True, slots=True)
class FixtureMode:
    """A suite with a topology. Without `placements` its pods run where it or the scheduler puts them."""

    suite: Suite
    placements: tuple[Placement, ...] = ()

    @property
    def name(self) -> str:
        return self.suite.name

    def check(self, options: RunOptions) -> None:  # noqa: ARG002 (as every mode)
        pinned = [str(pod.ref) for pod in self._topology().pods.values() if pod.node is not None]
        if self.placements and pinned:
            raise UsageError(f"--placement chooses nodes, but the suite sets some: {', '.join(pinned[:4])}")

    @asynccontextmanager
    async def prepared(
        self, cluster: OpenCluster, options: RunOptions, progress: Progress
    ) -> AsyncIterator[PreparedRun]:
        """WorkbenchError if the pods cannot be made; UsageError if an object of the whole cluster exists."""
        pods = await self._pods(await self._nodes(cluster, options, progress))
        kinds = kinds_of(self.suite)
        served = await Served.by(cluster.api, kinds)
        known = [kind for kind in kinds if kind.key not in served.missing]
        canary_kinds = [kind.key for kind in known if kind.key in OPENING]
        present = Present() if options.target.is_ephemeral_lab else await Present.of(cluster.api)
        await refuse_existing(cluster.api, self.suite, served, present.cluster)
        workbench = Workbench(
            cluster.api,
            pods,
            permissions=(*permission.FIXTURE, *permission.write_policies(map(served.group, known))),
            changes=1 + len(self.suite.steps),
            kinds=canary_kinds,
            one_node=cluster.info.nodes == 1,
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
                    present.beside(self._live(workbench)),
                    served.profile(options.profile),
                    options.flows.on(self.suite.cluster(), self.suite.externals),
                    rows=self._rows,
                    probed=True,
                    family=options.family,
                )
            )
            flows = dict.fromkeys(flow for moment in found for flow in moment.simulated)
            before = present.beside(self._live(workbench))
            denied = DeniedBefore.of(Simulator(before, options.profile), flows)
            canaries = judged_canaries(workbench.canaries, present.cluster, options.profile, canary_kinds)
            applying = Applying(served, workbench)
            prober = Prober(
                cluster.api,
                workbench.stations,
                flows,
                canaries=canaries,
                pace=cluster.pace(options.pace, len(flows)),
                pairs=lambda flow: workbench.pairs(flow) if flow in denied.decisions else (),
                twins=workbench.twins,
                closed=denied.decisions,
                progress=progress,
            )

            async def observe(moment: SimulatedMoment) -> Observed:
                async def change() -> None:
                    for action in moment.actions:
                        await applying.take(action, moment.simulator.cluster)

                seen = denied.explained(await prober.observe(change, canary_kinds))
                skipped = served.skipped(moment.simulated, moment.simulator)
                return replace(seen, matrix=with_skipped(seen.matrix, skipped))

            yield PreparedRun(
                workbench.run,
                found,
                prober,
                observe,
                problems=tuple(workbench.warnings),
                warnings=(*present.notes(), *applying.notes(self.suite, workbench.run), *unable(canaries)),
                nodes={end: station.node for end, station in workbench.stations.items() if station.node},
                elsewhere={end: station.node for end, station in workbench.twins.items() if station.node},
            )

    def _topology(self) -> Topology:
        if self.suite.topology is None:
            raise UsageError(
                f"{self.suite.file} has no topology, so there are no pods to create; "
                "`netprobe simulate` shows what its policies allow"
            )
        return self.suite.topology

    async def _pods(self, nodes: Sequence[str]) -> PodsToMake:
        """The pods of the topology, each on its node, and their twins."""
        topology, listeners = self._topology(), self.suite.listeners()
        pods = [replace(pod, ports=listeners[pod.ref]) for pod in topology.pods.values()]
        if nodes:
            pods = [replace(pod, node=nodes[0]) for pod in pods]
        twins = {
            pod.ref: replace(pod, ref=_twin(pod.ref), ports=(), node=nodes[1])
            for pod in (pods if Placement.OTHER in self.placements else ())
        }
        return PodsToMake(
            tuple(topology.namespaces.values()),
            tuple(pods),
            tuple(OutsideHost(host, listeners[host]) for host in self.suite.externals),
            topology.annotations,
            twins,
        )

    async def _nodes(self, cluster: OpenCluster, options: RunOptions, progress: Progress) -> tuple[str, ...]:
        """The nodes of the placements; WorkbenchError if too few accept pods."""
        if not self.placements:
            return ()
        try:
            found = await nodes_of(cluster.api, wait_s=options.deadlines.ready_s, progress=progress)
        except ClusterError:  # not permitted to list them
            found = ()
        nodes = chosen(found, 2)
        needed = 2 if Placement.OTHER in self.placements else 1
        if len(nodes) < needed:
            raise WorkbenchError(
                f"--placement needs {needed} nodes that accept pods, but there are {len(nodes)}: "
                f"{', '.join(nodes) or 'none'}"
            )
        return nodes

    def _rows(self, flow: Flow) -> Iterator[Flow]:
        """The rows of a flow: one for each placement if both ends are pods."""
        apart = isinstance(flow.source, PodRef) and isinstance(flow.destination, PodRef)
        if not (self.placements and apart and flow.source != flow.destination):
            yield flow
            return
        yield from (replace(flow, placement=one) for one in self.placements)

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


def _twin(ref: PodRef) -> PodRef:
    return PodRef(ref.namespace, f"{ref.name[:240]}-netprobe-twin")


@dataclass(frozen=True, slots=True)
class Applying:
    """Does to the cluster what `suite.apply` does to the simulated one."""

    served: Served
    workbench: Workbench

    async def take(self, action: StepAction, cluster: Cluster) -> None:
        match action:
            case ApplyPolicies(documents):
                await self._apply(documents)
            case DeletePolicies(ref):
                if self.served.has(ref):
                    await self.workbench.delete(ref.kind, ref.name, ref.namespace or None)
            case SetMetadata(changes, namespace):
                change = self.workbench.annotate if action.annotations else self.workbench.label
                targets: list[PodRef | str] = [namespace] if namespace else list(action.pods(cluster))
                for target in targets:
                    await change(target, changes)
            case _:
                assert_never(action)

    async def _apply(self, documents: Sequence[Document]) -> None:
        """Tiers first, then sets, then policies: a policy whose tier is missing denies at its end."""
        for document in sorted(documents, key=rank):
            kind = document.policy_kind
            if kind is not None and kind.key in self.served.missing:
                continue
            obj = self.served.adapted(document, self.workbench.run)
            if kind is not None and kind.key == TIER:
                with suppress(ConflictError):  # the same tier exists; another one was refused before
                    await self.workbench.create(obj)
            else:
                await self.workbench.apply(obj)

    def notes(self, suite: Suite, run: str) -> Iterator[str]:
        """What the run did to objects of the whole cluster."""
        narrowed, moved = [], {}
        for action in applications(suite):
            for document, record in zip(action.documents, action.records, strict=True):
                kind = document.policy_kind
                if kind is None or kind.key in self.served.missing:
                    continue
                if not kind.namespaced and isinstance(record, Policy | Staged):
                    narrowed.append(f"{kind.kind} {ref_of(record).name}")
                version = self.served.versions.get(kind.key, document.api_version)
                if version != document.api_version:
                    moved[kind.kind] = version
        if narrowed:
            yield f"applied to the pods of this run only ({RUN}={run}): {', '.join(dict.fromkeys(narrowed))}"
        for name, version in moved.items():
            yield f"{name} objects were applied as {version}, which this cluster serves"
