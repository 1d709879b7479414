"""An in-place run: it connects to the pods of existing workloads and changes none of their objects.

List the objects of the cluster; choose the pods to probe; work out which objects would see the shadow pods,
and stop if one would be disturbed; create the shadow pods; probe the real pods at their own addresses; check
that they are still the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from netprobe.errors import ConflictError, UsageError
from netprobe.explain.declared import ListedFlows
from netprobe.manifests import from_objects
from netprobe.model.flow import End, Pod, PodRef, Via
from netprobe.model.objects import Object
from netprobe.probe import Observed, PodOptions, Prober, lease, new_run
from netprobe.probe.conflicts import SideEffect, side_effects
from netprobe.probe.deciding import OtherPolicies, other_policies
from netprobe.probe.guest_workbench import NEVER_COPIED, GuestWorkbench, guest_objects
from netprobe.probe.ownership import ObjectRef, Record
from netprobe.probe.permission import IN_PLACE, require
from netprobe.probe.surroundings import PodState, Surroundings, look_around, pod_states
from netprobe.run.cluster import OpenCluster, Progress, RunOptions
from netprobe.run.driver import PreparedRun
from netprobe.run.in_place_plan import InPlacePlan, Merit, cover, plan, unmet_ways
from netprobe.run.moment import SimulatedMoment
from netprobe.run.present import closed_pair, judged_canaries
from netprobe.run.record import InPlace as InPlaceRecord
from netprobe.run.record import RepresentedPods
from netprobe.run.route import Route, recheck_denied, with_pod_changes
from netprobe.simulate import Simulator
from netprobe.suite import Suite

NAME = "as the cluster is"
STAND_IN = (
    f"shadow pods carry all labels of the real pod but {', '.join(sorted(NEVER_COPIED))}, and one represents "
    "pods that differ to them alone"
)
NEEDS_A_CLUSTER = "an in-place run needs an existing cluster: use --context, --kubeconfig or --lab"


@dataclass(frozen=True, slots=True)
class InPlaceMode:
    """A suite to compare with the pods of a cluster.

    `ways`: ways to reach the Services of rows besides their address. `sample`: also probe this many
    pods drawn at random, with `seed`. `disturb`: continue even if another workload would be disturbed.
    `lifetime_s`: after this time the cluster itself removes the shadow pods.
    """

    suite: Suite
    ways: tuple[Via, ...] = ()
    sample: int = 0
    seed: int = 0
    disturb: bool = False
    lifetime_s: int = 900

    @property
    def name(self) -> str:
        return self.suite.name

    def check(self, options: RunOptions) -> None:
        where = self.suite.file
        if options.target.is_ephemeral_lab:
            raise UsageError(NEEDS_A_CLUSTER)
        if self.suite.steps:
            raise UsageError(
                f"{where} has steps, which would change objects of others; an in-place run takes none "
                f"({', '.join(step.name for step in self.suite.steps)})"
            )
        if self.suite.policies:
            raise UsageError(
                f"{where} names policies, and an in-place run applies none: remove them to test those "
                "that are in force, or try them in a copy with --shadow-namespace"
            )

    @asynccontextmanager
    async def prepared(
        self, cluster: OpenCluster, options: RunOptions, progress: Progress
    ) -> AsyncIterator[PreparedRun]:
        """ConflictError if another workload would be disturbed; then nothing was created."""
        progress("looking around")
        await require(cluster.api, steps=False, wanted=IN_PLACE)  # before any list is refused
        found = await self._planned(cluster, options)
        found.refuse(disturb=self.disturb)
        here = found.plan
        workbench = GuestWorkbench(
            cluster.api,
            here.guests,
            run=found.run,
            options=self._pods(options),
            deadlines=options.deadlines,
            permissions=(),
            progress=progress,
        )
        async with workbench:
            route = Route(here, workbench, closed_by=closed_pair(workbench, here.simulator))
            pace = cluster.pace(options.pace, len(here.simulated))
            canaries = judged_canaries(workbench.canaries, here.cluster, options.profile)
            nodes: dict[End, str] = {ref: pod.node for ref, pod in here.cluster.pods.items() if pod.node}
            prober = Prober(
                cluster.api,
                workbench.stations,
                here.simulated,
                canaries=canaries,
                closed=here.simulated if route.closed_by else (),
                nodes=nodes,
                pace=pace,
                locate=route.locate,
                listener=here.listener,
                pairs=route.pairs,
                progress=progress,
            )

            async def observe(_: SimulatedMoment) -> Observed:
                seen = await recheck_denied(prober, await prober.observe(), pace)
                now = pod_states(Surroundings.of_objects(await cluster.api.find("Pod")))
                facts = replace(seen.facts, converged_s=None)  # nothing of the cluster's own was changed
                return replace(seen, facts=facts, matrix=with_pod_changes(seen.matrix, here, route, now))

            declared = ListedFlows(here.declared)
            yield PreparedRun(
                found.run,
                (SimulatedMoment(NAME, here.simulator, here.declared, here.simulated, declaration=declared),),
                prober,
                observe,
                paths=False,
                problems=tuple(workbench.warnings),
                warnings=here.cluster.warnings,
                nodes={end: nodes[end] for end in here.ends if isinstance(end, PodRef) and end in nodes},
                in_place=InPlaceRecord(
                    here.cover.sentence(here.ends),
                    tuple(_represented(here)),
                    (*_sightings(found.seen_by), *found.notes),
                ),
            )

    async def preview(self, cluster: OpenCluster, options: RunOptions) -> Iterator[str | Object]:
        """ConflictError at the end if another workload would be disturbed."""
        found = await self._planned(cluster, options)

        def pieces() -> Iterator[str | Object]:
            yield from found.preview(self._pods(options))
            found.refuse(disturb=self.disturb)

        return pieces()

    def _pods(self, options: RunOptions) -> PodOptions:
        return replace(options.pods, lifetime_s=self.lifetime_s)

    async def _planned(self, cluster: OpenCluster, options: RunOptions) -> PlannedInPlace:
        around, others = await look_around(cluster.api), await other_policies(cluster.api)
        live, states, run = from_objects(around.deciding()), pod_states(around), new_run()
        merit = preference(states)
        chosen = cover(
            live, self.suite.expectation, options.profile, merit, sample=self.sample, seed=self.seed
        )
        is_wanted = options.flows.on(live, self.suite.externals, chosen.represented)
        here = plan(
            live,
            Simulator(live, options.profile),
            chosen,
            self.suite.moments(chosen.reduced(live))[0].declared.where(is_wanted),
            states,
            run=run,
            ways=self.ways,
            all_labels=bool(others),
            family=options.family,
        )
        notes = (*unmet_ways(here, self.ways), *others.notes(STAND_IN))
        return PlannedInPlace(here, run, tuple(side_effects(here.guests.shadows, around)), others, notes)


@dataclass(frozen=True, slots=True)
class PlannedInPlace:
    """A planned run: its rows and shadow pods, what would notice these, and the notes of the report."""

    plan: InPlacePlan
    run: str
    seen_by: tuple[SideEffect, ...]
    others: OtherPolicies
    notes: tuple[str, ...]

    def preview(self, pods: PodOptions) -> Iterator[str | Object]:
        """What the report would note, and each object in the order of its creation."""
        plan, made = self.plan, guest_objects(self.plan.guests, self.run, pods)
        yield plan.cover.sentence(plan.ends)
        yield f"{len(plan.simulated)} flows; {len(made.pods)} pods on {len(plan.guests.nodes)} nodes"
        yield from (f"{'HARM' if one.harmful else 'seen by'}: {one}" for one in self.seen_by)
        yield from (f"note: {note}" for note in self.notes)
        yield "Later the policy canary opens port 9001, to a label that the run's own namespace gets, and the"
        yield "Lease is renewed. Nothing else is changed, and all of it is removed at the end."
        record = Record(self.run)
        refs = map(ObjectRef.of, (*made.owners, *made.pods))
        record.refs |= {ref for ref in refs if not record.covers(ref)}
        yield from (lease.home(record), lease.lease(record), *map(record.mark, made))

    def refuse(self, *, disturb: bool) -> None:
        """ConflictError if the shadow pods would disturb another workload and that is not accepted."""
        harmed = list(dict.fromkeys(str(one) for one in self.seen_by if one.harmful))
        if harmed and not disturb:
            raise ConflictError(
                f"this run would disturb other workloads ({len(harmed)} times); nothing was created:\n"
                + "\n".join(f"  {one}" for one in harmed[:20])
                + (f"\n  and {len(harmed) - 20} more" if len(harmed) > 20 else "")
                + (f"\n{self.others.labels_because}" if self.others else "")
                + "\n--dry-run shows the pods; --disturb creates them anyway"
            )


def preference(known: Mapping[PodRef, PodState]) -> Merit:
    """Ready pods first, then those of which more ports are proven: they make better destinations."""

    def of(pod: Pod) -> int:
        state = known.get(pod.ref)
        proven = len(state.proven) if state else 0
        return (1000 if pod.ready and pod.addresses else 0) + proven

    return of


def _sightings(seen_by: Iterable[SideEffect]) -> Iterator[str]:
    """One sentence for each watcher and what it sees."""
    seen = Counter((one.watcher, one.effect, one.harmful) for one in seen_by)
    for (watcher, sees, harmful), count in seen.items():
        pods = "1 shadow pod" if count == 1 else f"{count} shadow pods"
        yield f"{watcher} {sees} ({pods}{'; allowed by --disturb' if harmful else ''})"


def _represented(here: InPlacePlan) -> Iterator[RepresentedPods]:
    shadows = {ref: shadow.ref for shadow in here.guests.shadows for ref in shadow.stands_for}
    for end in here.ends:
        if isinstance(end, PodRef):
            yield RepresentedPods(end, here.cover.stands_for(end), shadows.get(end))
