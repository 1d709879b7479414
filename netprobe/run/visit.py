"""A run beside the workloads of others: nothing of theirs is changed or entered, only connected to.

Look around; choose who is probed; find out who would see the guests, and stop there where one would come to
harm; make the guests; probe the real pods at their own addresses; look again whether they are still the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from netprobe.errors import ClusterError, ConflictError, UsageError
from netprobe.manifests import from_objects
from netprobe.model.flow import Pod, PodRef, Via
from netprobe.probe import Observed, Prober, new_run
from netprobe.probe.guests.conflicts import SideEffect, side_effects
from netprobe.probe.guests.guest_workbench import GuestWorkbench
from netprobe.probe.guests.shadows import NEVER_COPIED
from netprobe.probe.guests.surroundings import PodState, Surroundings, look_around, pod_states
from netprobe.run import told
from netprobe.run.cover import Merit, cover
from netprobe.run.judge import patiently, settled_with
from netprobe.run.others import Others, others
from netprobe.run.record import InPlace, Report, RunInfo, StoodFor
from netprobe.run.route import Route
from netprobe.run.scene import Scene, scene, unmet
from netprobe.run.target import Narrate, Opened
from netprobe.run.terms import Terms
from netprobe.simulate import Simulator
from netprobe.suite import Suite

DECIDING = ("Namespace", "Pod", "Service", "NetworkPolicy")
NAME = "as the cluster is"
STAND_IN = (
    f"shadow pods carry all labels of the real pod but {', '.join(sorted(NEVER_COPIED))}, and one stands for "
    "pods that differ to them alone"
)


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What a run would be like: its rows and guests, who would see these, and what its report would note."""

    scene: Scene
    seen_by: tuple[SideEffect, ...]
    run: str
    beside: Others
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Visit:
    """A suite, the cluster to hold it against, and how.

    `ways`: how the Services of rows are reached beside their address. `disturb`: go on where somebody comes
    to harm.
    """

    suite: Suite
    terms: Terms
    ways: tuple[Via, ...] = ()
    sample: int = 0
    seed: int = 0
    disturb: bool = False

    def check(self) -> None:
        """UsageError for what cannot be done in place; nothing has been asked of the cluster then."""
        where = self.suite.file
        if self.terms.target.is_ephemeral_lab:
            raise UsageError(
                "a run in place is about a cluster that is there: name it by --context, --kubeconfig or --lab"
            )
        if self.suite.steps:
            raise UsageError(
                f"{where} has steps, and a step changes what belongs to others: not in place "
                f"({', '.join(step.name for step in self.suite.steps)})"
            )
        if self.suite.policies:
            raise UsageError(
                f"{where} names policies, and a run in place applies none: take them out to test those "
                "that are in force, or try them in a copy with --shadow-namespace"
            )

    async def run(self, narrate: Narrate) -> Report:
        """Probe and report. Whatever ends it, nothing of the run is left; NetprobeError.

        ConflictError where somebody would come to harm; nothing was made then.
        """
        self.check()
        async with self.terms.opened(narrate) as there:
            return await self._visit(there, narrate)

    async def rehearse(self, narrate: Narrate) -> Rehearsed:
        """What the run would make, and who would see it: asks for nothing but get and list."""
        self.check()
        async with self.terms.opened(narrate) as there:
            around = await look_around(there.cluster)
            beside = await others(there)
        run = new_run()
        here = self._scene(around, run, alike=bool(beside))
        notes = (*unmet(here, self.ways), *beside.notes(STAND_IN))
        return Rehearsed(here, side_effects(here.party.shadows, around), run, beside, notes)

    def _scene(self, around: Surroundings, run: str, *, alike: bool) -> Scene:
        cluster = from_objects(obj for obj in around if obj["kind"] in DECIDING)
        known = pod_states(around)
        chosen = cover(
            cluster,
            [self.suite.expectation],
            self.terms.profile,
            merit(known),
            sample=self.sample,
            seed=self.seed,
        )
        declared = self.suite.moments(chosen.reduced(cluster))[0].declared
        return scene(
            cluster,
            Simulator(cluster, self.terms.profile),
            chosen,
            declared,
            known,
            run=run,
            ways=self.ways,
            alike=alike,
            family=self.terms.family,
        )

    async def _visit(self, there: Opened, narrate: Narrate) -> Report:
        started = datetime.now(UTC)
        narrate("looking around")
        around = await look_around(there.cluster)
        beside = await others(there)
        here = self._scene(around, run := new_run(), alike=bool(beside))
        seen_by = side_effects(here.party.shadows, around)
        refuse(seen_by, beside, disturb=self.disturb)
        bench = GuestWorkbench(
            there.cluster,
            here.party,
            run=run,
            options=self.terms.pods,
            deadlines=self.terms.deadlines,
            progress=narrate,
        )
        seen: Observed | None = None
        problems: list[str] = []
        try:
            async with bench:
                seen = await self._observe(there, here, bench, narrate)
        except ClusterError as error:
            if seen is None:
                raise
            problems.append(str(error))  # only the cleanup failed: what was found stands, and says so
        return self._report(
            there,
            here,
            bench,
            started,
            seen,
            problems=(*problems, *bench.warnings),
            told_too=[*notes(seen_by), *unmet(here, self.ways), *beside.notes(STAND_IN)],
        )

    async def _observe(self, there: Opened, here: Scene, bench: GuestWorkbench, narrate: Narrate) -> Observed:
        route = Route(here, bench)
        pace = self.terms.pace_on(there, len(here.simulated))
        prober = Prober(
            there.cluster,
            bench.stations,
            here.simulated,
            canaries=bench.canaries,
            pace=pace,
            locate=route.locate,
            listener=here.listener,
            pairs=route.pairs,
            progress=narrate,
        )
        async with prober:
            await prober.baseline(paths=False)
            seen = await patiently(prober, await prober.observe(), pace)
        now = pod_states(Surroundings.of_objects(await there.cluster.find("Pod")))
        return replace(seen, matrix=settled_with(seen.matrix, here, route, now))

    def _report(
        self,
        there: Opened,
        here: Scene,
        bench: GuestWorkbench,
        started: datetime,
        seen: Observed,
        *,
        problems: Sequence[str],
        told_too: Sequence[str],
    ) -> Report:
        facts = replace(seen.facts, converged_s=None)  # nothing of the cluster's own was changed
        step = told.step(
            NAME, here.declared, here.simulated, seen.matrix, facts=facts, simulator=here.simulator
        )
        nodes = {ref: pod.node for ref, pod in here.cluster.pods.items() if pod.node}
        ends = [*here.simulated.sources(), *here.simulated.destinations()]
        return Report(
            self.suite.name,
            there.info,
            RunInfo.since(started, bench.run),
            (step,),
            problems=tuple(dict.fromkeys((*problems, *facts.problems))),
            enforcement=told.enforcement(facts),
            nodes={end: nodes[end] for end in ends if isinstance(end, PodRef) and end in nodes},
            in_place=InPlace(here.cover.told(ends), tuple(stood_for(here)), tuple(told_too)),
        )


def merit(known: Mapping[PodRef, PodState]) -> Merit:
    """Ready pods first, then those of which more ports are proven: they make better destinations."""

    def of(pod: Pod) -> int:
        standing = known.get(pod.ref)
        proven = len(standing.proven) if standing else 0
        return (1000 if pod.ready and pod.addresses else 0) + proven

    return of


def refuse(seen_by: Iterable[SideEffect], beside: Others, *, disturb: bool) -> None:
    """ConflictError where somebody would come to harm by the guests, unless that is wanted."""
    harmed = list(dict.fromkeys(str(one) for one in seen_by if one.harmful))
    if harmed and not disturb:
        raise ConflictError(
            f"this run would disturb what others run ({len(harmed)} times); nothing was created:\n"
            + "\n".join(f"  {one}" for one in harmed[:20])
            + (f"\n  and {len(harmed) - 20} more" if len(harmed) > 20 else "")
            + (f"\n{beside.labels_because}" if beside else "")
            + "\n--dry-run shows the pods; --disturb makes them all the same"
        )


def notes(seen_by: Iterable[SideEffect]) -> Iterator[str]:
    """One sentence for each watcher and what it sees."""
    told: dict[tuple[str, str, bool], int] = {}
    for one in seen_by:
        key = one.watcher, one.sees, one.harmful
        told[key] = told.get(key, 0) + 1
    for (watcher, sees, harmful), count in told.items():
        pods = "1 shadow pod" if count == 1 else f"{count} shadow pods"
        yield f"{watcher} {sees} ({pods}{'; allowed by --disturb' if harmful else ''})"


def stood_for(here: Scene) -> Iterator[StoodFor]:
    shadows = {ref: shadow.ref for shadow in here.party.shadows for ref in shadow.stands_for}
    ends = dict.fromkeys([*here.simulated.sources(), *here.simulated.destinations()])
    for end in ends:
        if isinstance(end, PodRef):
            yield StoodFor(end, here.cover.stands_for(end), shadows.get(end))
