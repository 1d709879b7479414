"""Runs cases on a cluster: fixtures are created once, cases run in parallel and are retried until stable.

However a run ends, its finished cases are kept.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import Any, Final

from netprobe.conformance.case import Case, CaseStep, identity
from netprobe.conformance.case_fixture import CaseFixture, FixturePlan, State
from netprobe.conformance.case_pods import CasePods, kept_open
from netprobe.conformance.fixture_map import NO_MARK, FixtureMap, probed_cells
from netprobe.conformance.result import (
    CaseResult,
    CaseStatus,
    Results,
    StepResult,
    attempts,
    is_settled,
    overall,
)
from netprobe.conformance.world import HOST_PORT, KUBELET, PASSING, PODS, SERVICE, Cell
from netprobe.diff import Row, compare
from netprobe.errors import ClusterError, ForbiddenError, NetprobeError
from netprobe.model.flow import Flow
from netprobe.model.matrix import Matrix
from netprobe.model.observation import Observation
from netprobe.probe import ClusterAPI, Deadlines, Fixture, Pace, PodOptions, Workbench, new_run
from netprobe.probe.canary import OPENING
from netprobe.probe.deciding import served
from netprobe.probe.nodes import nodes as nodes_of
from netprobe.probe.permission import CONFORMANCE
from netprobe.run.cluster import Progress, RunOptions, open_cluster
from netprobe.run.record import ClusterInfo, RunInfo
from netprobe.simulate import CALICO, Profile, Simulator

MOST_TROUBLES: Final = 3
NOT_ENFORCING: Final = (
    "this cluster accepts policies that it does not enforce: a port that one closes was open"
)
NO_SCTP: Final = "SCTP: nc does not support it"
NO_HOST_PODS: Final = "this cluster does not admit hostNetwork pods"


@dataclass(slots=True)
class Runner:
    """Runs cases. `fixtures`: how many cases run at once, each on its own nine pods.

    `full`: probe every cell of every case, not only the `probed_cells`. `on_result` is called with each
    result.
    """

    cluster: ClusterAPI
    cases: Sequence[Case]
    fixtures: int = 4
    full: bool = False
    lab: bool = False
    disposable: bool = False
    profile: Profile = CALICO
    options: PodOptions = field(default_factory=PodOptions)
    deadlines: Deadlines = field(default_factory=Deadlines)
    pace: Pace = field(default_factory=Pace)
    progress: Callable[[str], None] = lambda _: None
    on_result: Callable[[CaseResult], None] = lambda _: None
    run: str = field(default_factory=new_run)
    _closed: tuple[str, ...] = field(default=(), init=False)
    _deferred: list[Case] = field(default_factory=list, init=False)  # for want of a second node
    _versions: Mapping[str, str] = field(default_factory=dict, init=False)
    _running: list[CaseFixture] = field(default_factory=list, init=False)
    _done: dict[str, CaseResult] = field(default_factory=dict, init=False)

    @property
    def tried(self) -> int:
        """How many cases are finished."""
        return len(self._done)

    async def results(self) -> Results:
        """Run all cases and remove the fixtures.

        NetprobeError if they cannot be created or the cluster is lost: `so_far` has the results until then.
        """
        problems = await self._run(self.cases, await self._nodes())
        if deferred := tuple(self._deferred):
            self._deferred.clear()
            nodes = () if self.disposable else await self._nodes()  # one may have joined meanwhile
            if len(nodes) > 1:
                problems += await self._run(deferred, nodes)
            else:
                for case in deferred:
                    self._keep(CaseResult(case, CaseStatus.SKIPPED, reason=self._one_node()))
        return replace(self.so_far(), problems=tuple(problems))

    async def _run(self, cases: Sequence[Case], nodes: tuple[str, ...]) -> list[str]:
        """Run cases in fixtures on these nodes; those that need one more are deferred.

        Returns what went wrong in the removal.
        """
        pace = self.pace.shared(self.fixtures)
        asked = {case.name: probed_cells(case, full=self.full) for case in cases}
        self._versions = await served(self.cluster, sorted({k for case in self.cases for k in case.kinds}))
        count = max(1, min(self.fixtures, len(cases)))
        kinds = tuple(sorted(self._versions.keys() & OPENING.keys()))
        plans = [FixturePlan(self.run, index, nodes, kinds) for index in range(count)]
        bench = Workbench(
            self.cluster,
            Fixture(
                tuple(namespace for plan in plans for namespace in plan.namespaces()),
                tuple(pod for plan in plans for pod in plan.pods()),
                tuple(host for plan in plans for host in plan.hosts()) if self.lab else (),
            ),
            run=self.run,
            changes=0,
            lab=self.lab,
            disposable=self.disposable,
            options=self.options,
            deadlines=self.deadlines,
            progress=self.progress,
            permissions=CONFORMANCE,
        )
        problems: list[str] = []
        try:
            async with bench, AsyncExitStack() as stack:
                sites = await asyncio.gather(
                    *(plan.made(self.cluster, bench, self._versions, lab=self.lab) for plan in plans)
                )
                for plan, site in zip(plans, sites, strict=True):
                    flows = self._flows(site, asked)
                    fixture = CaseFixture(
                        self.cluster, bench, site, pairs=plan.pairs(), flows=flows, pace=pace
                    )
                    self._running.append(await stack.enter_async_context(fixture))
                self.progress("probing without policies")
                await asyncio.gather(*(fixture.prepare() for fixture in self._running))
                queue = deque(enumerate(cases))
                await run_all(self._work(fixture, bench, queue, asked) for fixture in self._running)
        except ClusterError as error:
            if self.tried < len(self.cases):
                self._take_back()
                raise
            problems.append(str(error))  # only the cleanup failed: the results are valid
        return problems

    def _take_back(self) -> None:
        """Drop the unknown and flaky results just before the cluster was lost: they say nothing about it."""
        for name, result in reversed(list(self._done.items())):
            if result.status not in {CaseStatus.UNKNOWN, CaseStatus.FLAKY}:
                break
            del self._done[name]

    def so_far(self, why: str = "") -> Results:
        """The results until now. All other cases are UNTRIED, with the reason `why`."""
        every = tuple(
            self._done.get(case.name) or CaseResult(case, CaseStatus.UNTRIED, reason=why)
            for case in self.cases
        )
        enforcement = NOT_ENFORCING if any(fixture.enforcing is False for fixture in self._running) else None
        return Results(every, enforcement, fixtures=max(1, len(self._running)))

    async def _work(
        self,
        fixture: CaseFixture,
        bench: Workbench,
        queue: deque[tuple[int, Case]],
        asked: Mapping[str, Sequence[Cell]],
    ) -> None:
        loop = asyncio.get_running_loop()
        troubles = 0  # in a row: a single failing case does not mean giving up, several are
        while queue:
            number, case = queue.popleft()
            begun = loop.time()
            reason = self._lacking(case, fixture)
            if reason == self._one_node():
                self._deferred.append(case)
                continue
            if reason:
                result = CaseResult(case, CaseStatus.SKIPPED, reason=reason)
            else:
                try:
                    result = await self._try(fixture, bench, f"c{number}-", case, asked[case.name])
                    troubles = 0
                except NetprobeError as error:
                    if isinstance(error, ForbiddenError) and ("host-network" in case.needs or case.kinds):
                        why = NO_HOST_PODS if not case.kinds else "a permission is missing"
                        result = CaseResult(case, CaseStatus.SKIPPED, reason=f"{why}: {error}")
                    else:
                        troubles += 1
                        if troubles == MOST_TROUBLES:
                            raise
                        result = CaseResult(case, CaseStatus.UNKNOWN, reason=str(error))
            self._keep(replace(result, seconds=loop.time() - begun))

    def _keep(self, result: CaseResult) -> None:
        self._done[result.case.name] = result
        self.on_result(result)

    async def _try(
        self, fixture: CaseFixture, bench: Workbench, prefix: str, case: Case, cells: Sequence[Cell]
    ) -> CaseResult:
        async with CasePods(self.cluster, bench, case, fixture.site, options=self.options) as case_pods:
            found = [
                await self._step(fixture, case_pods, case, step, prefix=prefix, cells=cells)
                for step in case.steps
            ]
        status, reason = overall(case, tuple(found), self._unscored(case))
        return CaseResult(case, status, tuple(found), reason)

    async def _step(
        self,
        fixture: CaseFixture,
        case_pods: CasePods,
        case: Case,
        step: CaseStep,
        *,
        prefix: str,
        cells: Sequence[Cell],
    ) -> StepResult:
        if await case_pods.clear(step):
            fixture.lost(fixture.site.namespaces[PASSING])
        policies = {identity(policy): policy for policy in case_pods.site.policies(step, prefix)}
        state = State(policies, dict(step.labels))
        async with kept_open(self.cluster, fixture.site, fixture.stations, step.holds):
            converged, problem = await fixture.change(state, lambda: case_pods.make(step))
            site = case_pods.site
            relative = replace(
                site, namespaces={name: name for name in site.namespaces}, host_port=HOST_PORT, mark=NO_MARK
            )
            cluster = relative.cluster(case, step)
            simulator = Simulator(cluster, self.profile)
            declared = relative.declared(step, cells)
            simulated = simulator.matrix(declared)
            there = step.present(cells)
            tries: list[tuple[Row, ...]] = []
            while True:
                seen = await self._seen(fixture, case_pods, there)
                observed: Matrix[Observation] = Matrix(
                    (flow, seen[cell]) for cell, flow in zip(there, declared, strict=True)
                )
                tries.append(tuple(compare(declared, simulated, observed)))
                if is_settled(tries):
                    break
            return StepResult(tries[-1], attempts(tries), converged, cluster.policies, problem)

    async def _seen(
        self, fixture: CaseFixture, case_pods: CasePods, cells: Sequence[Cell]
    ) -> Mapping[Cell, Observation]:
        """Observations of the cells: by probes, and by kubelets for cells that start at a node."""
        probed = [cell for cell in cells if not cell.source.startswith(KUBELET)]
        flows = [case_pods.site.flow(cell) for cell in probed]
        observed = await fixture.observe(flows, case_pods.stations)
        seen = dict(zip(probed, observed.values(), strict=True))
        for cell in cells:
            if cell not in seen:
                same_port = (seen[other] for other in seen if other[1:] == cell[1:])
                proofs = (observation.control.listener for observation in same_port)
                listener = next(filter(None, proofs), None)
                seen[cell] = await case_pods.observe_probe(cell.destination, listener=listener)
        return seen

    def _lacking(self, case: Case, fixture: CaseFixture) -> str | None:
        """Why a case cannot run here; None if it can."""
        both = {address.version for address in fixture.site.addresses[PODS[0]]} == {4, 6}
        reasons = {
            "sctp": NO_SCTP,
            "outside": None if self.lab else "hosts outside the cluster exist on the lab only",
            "kubelet": "the lab's kubelet does not probe pods" if self.lab else None,
            "dual-stack": None if both else "pods in this cluster have addresses of one family only",
            "two-nodes": None if len(set(fixture.site.nodes.values())) > 1 else self._one_node(),
        }
        for need in case.needs:
            if reason := reasons.get(need):
                return reason
        if missing := sorted(case.kinds - self._versions.keys()):
            return f"this cluster does not serve {' and '.join(missing)}"
        if SERVICE in case.scope.extra and fixture.lacks_services:
            return "no Service answered before the first policy was applied"
        return None

    def _unscored(self, case: Case) -> str | None:
        if case.undefined is not None:
            return case.undefined
        if "block-on-pods" in case.rules and not self.profile.blocks_match_pods:
            return f"whether an ipBlock matches pods is up to the plugin, and {self.profile.name}'s does not"
        return None

    async def _nodes(self) -> tuple[str, ...]:
        """Two nodes that accept pods; () if nodes cannot be listed."""
        try:
            found = await nodes_of(self.cluster, wait_s=self.deadlines.ready_s, progress=self.progress)
        except ClusterError:
            return ()
        takes = {node.name for node in found if node.usable and node.open}
        self._closed = tuple(node.name for node in found if node.name not in takes)
        return tuple(sorted(takes))[:2]

    def _one_node(self) -> str:
        closed = f": {', '.join(self._closed)} not ready or not schedulable" if self._closed else ""
        return f"this cluster has only one usable node{closed}"

    def _flows(self, site: FixtureMap, asked: Mapping[str, Sequence[Cell]]) -> list[Flow]:
        """Every flow that some case will probe between ends that exist from the start."""
        flows: dict[Flow, None] = {}
        versions = {str(address.version) for address in site.addresses[PODS[0]]}
        for case in self.cases:
            for cell in asked[case.name]:
                there = cell.source in site.addresses and cell.destination in site.addresses
                family = cell.port.split("/")[2:]
                if there and set(family) <= versions:
                    flows[site.flow(cell)] = None
        return list(flows)


async def run_all(work: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Await all. If one fails, cancel and await the others and raise its exception."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


LAB_FIXTURES = 8
CLUSTER_FIXTURES = 4


@dataclass(slots=True)
class ConformanceRun:
    """The cases to run, and where. `fixtures`: how many cases run at once, None for the default."""

    cases: Sequence[Case]
    options: RunOptions
    fixtures: int | None = None
    full: bool = False
    shard: tuple[int, int] | None = None
    cluster: ClusterInfo = field(default_factory=ClusterInfo, init=False)
    _started: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC), init=False)
    _runner: Runner | None = field(default=None, init=False)

    @property
    def info(self) -> RunInfo:
        """The run until now."""
        return RunInfo.since(self._started, self._runner.run if self._runner else None)

    async def results(self, progress: Progress, on_result: Callable[[CaseResult], None]) -> Results:
        """Run the cases and remove everything that was created.

        After a cancellation, the results of the finished cases. NetprobeError if the cluster cannot be used
        or is lost: `finished` has the results until then.
        """
        self._started = dt.datetime.now(dt.UTC)
        try:
            async with open_cluster(self.options, progress) as opened:
                self.cluster = opened.info
                self._runner = Runner(
                    opened.api,
                    self.cases,
                    fixtures=self.fixtures or (LAB_FIXTURES if opened.is_lab else CLUSTER_FIXTURES),
                    full=self.full,
                    lab=opened.is_lab,
                    disposable=self.options.target.is_ephemeral_lab,
                    profile=self.options.profile,
                    options=self.options.pods,
                    deadlines=self.options.deadlines,
                    pace=opened.pace(self.options.pace),
                    progress=progress,
                    on_result=on_result,
                )
                results = await self._runner.results()
        except asyncio.CancelledError as error:  # by a signal, and everything is removed
            return self.finished(error, interrupted=True)
        return replace(results, shard=self.shard)

    def finished(
        self, error: BaseException, *, interrupted: bool = False, problems: Sequence[str] = ()
    ) -> Results:
        """The cases that finished before `error` ended the run. Raises `error` if there are none."""
        runner = self._runner
        if runner is None or not runner.tried:
            raise error
        ended = "interrupted" if interrupted else "the run ended early"
        results = runner.so_far(ended)
        problems = [*problems, *getattr(error, "__notes__", ())]  # notes: what could not be removed
        if results.counts[CaseStatus.UNTRIED] or interrupted:
            problems.insert(0, f"{ended}: {runner.tried} of {len(runner.cases)} cases were tried")
        return replace(results, problems=tuple(problems), interrupted=interrupted, shard=self.shard)
