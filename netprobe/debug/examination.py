"""A diagnosis from start to end: read, send packets, conclude, and remove what was made.

The answer is handed over while the pods still exist; they are removed afterwards, however it ends.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from ipaddress import ip_address
from typing import Any, Final

from netprobe.debug import reading
from netprobe.debug.answer import Answer, conclude
from netprobe.debug.ends import Destination
from netprobe.debug.evidence import Evidence
from netprobe.debug.facts import read_files, read_live
from netprobe.debug.guests import STAYS, EphemeralContainers, plan_guests, with_guests
from netprobe.debug.packets import NAME_S, Experiment, resolved
from netprobe.debug.reading import Read, Request, read
from netprobe.debug.records import Listener, Packets, Sender
from netprobe.errors import ClusterError, NetprobeError, UsageError, WorkbenchError
from netprobe.model.flow import External, PodRef, Protocol
from netprobe.model.observation import Outcome
from netprobe.probe import netcat, new_run, permission
from netprobe.probe.guest_workbench import GuestPlan, GuestWorkbench
from netprobe.probe.netcat import Target
from netprobe.probe.permission import DEBUG, EPHEMERAL
from netprobe.probe.plan import Station
from netprobe.probe.session import Sessions
from netprobe.run.cluster import OpenCluster, Progress, open_cluster
from netprobe.run.running_lab import trace
from netprobe.simulate import Simulator

LIFETIME_S: Final = 900
"""After this time the cluster itself removes the pods."""

AGAIN_S: Final = 2.0
NO_PROBE: Final = "--no-probe only reads"
NOT_LIVE: Final = "manifests were read, not a cluster"


def debug_files(request: Request, paths: Iterable[str]) -> Answer:
    """The answer as far as manifests give it."""
    return conclude(read(request, read_files(paths), unsent=NOT_LIVE).evidence)


async def debug(request: Request, progress: Progress, on_answer: Callable[[Answer], None]) -> Answer:
    """The answer for a live cluster. NetprobeError if it cannot be read, or if removal fails afterwards."""
    async with open_cluster(request.options, progress) as cluster:
        found = await _read(request, cluster, progress)
        async with prepared(request, cluster, found, progress) as examine:
            answer = conclude(await examine(found))
            on_answer(answer)
        return answer


async def watch(
    request: Request, progress: Progress, on_answer: Callable[[Answer, float | None], None]
) -> Answer:
    """Repeat until the result changes; `on_answer` gets the first answer, then the one that differs.

    With the seconds since the first.
    """
    first: Answer | None = None
    begun = 0.0
    async with open_cluster(request.options, progress) as cluster:
        while True:
            found = await _read(request, cluster, progress)
            renew_at = time.monotonic() + LIFETIME_S / 2
            async with prepared(request, cluster, found, progress) as examine:
                plan = _key(found)
                while _key(found) == plan and time.monotonic() < renew_at:
                    answer = conclude(await examine(found))
                    if first is None:
                        first, begun = answer, time.monotonic()
                        on_answer(answer, None)
                    elif answer.result != first.result:
                        on_answer(answer, time.monotonic() - begun)
                        return answer
                    progress(f"watching for a change, for {time.monotonic() - begun:.0f} s")
                    await asyncio.sleep(AGAIN_S)
                    found = await _read(request, cluster, lambda _: None)


def _key(found: Read) -> object:
    """What the pods of the run depend on: if it changes, they are recreated."""
    evidence = found.evidence
    plan, _ = plan_guests(found.facts, evidence.source, evidence.legs, "", shadow=True, disturb=True)
    return plan, evidence.source.runs


async def _read(request: Request, cluster: OpenCluster, progress: Progress) -> Read:
    progress("reading the cluster")
    facts = await read_live(cluster, probing=request.probe)
    return read(request, facts, unsent=NO_PROBE, network=cluster.info.cni)


@asynccontextmanager
async def prepared(
    request: Request, cluster: OpenCluster, found: Read, progress: Progress
) -> AsyncIterator[Examination]:
    """Make the pods that the question needs; yields what examines it, again and again if wanted."""
    async with AsyncExitStack() as stack:
        examination = Examination(request, cluster, progress)
        if request.probe and (found.evidence.legs or found.evidence.name):
            await examination.open(found, stack)
        yield examination


class Examination:
    def __init__(self, request: Request, cluster: OpenCluster, progress: Progress) -> None:
        self._request = request
        self._cluster = cluster
        self._progress = progress
        self._run = new_run()
        self._bench: GuestWorkbench | None = None
        self._plan = GuestPlan((), ())
        self._source: Station | None = None
        self._unsent = NO_PROBE
        self._pace = cluster.pace(request.options.pace)
        self._options = replace(request.options.pods, lifetime_s=LIFETIME_S)
        self._ephemeral = EphemeralContainers(cluster.api, self._options, request.options.deadlines.ready_s)
        self._sessions: Sessions = Sessions(cluster.api, self._pace)
        self._source_sessions = self._sessions
        self._listeners: dict[PodRef, tuple[Listener, ...]] = {}
        self._notes: list[str] = []

    async def open(self, found: Read, stack: AsyncExitStack) -> None:
        """Make the pods; what cannot be made is missing, and `unsent` says why."""
        evidence = found.evidence
        stack.push_async_callback(self._sessions.close)
        plan, self._unsent = plan_guests(
            found.facts,
            evidence.source,
            evidence.legs,
            self._run,
            shadow=not self._request.ephemeral,
            disturb=self._request.disturb,
        )
        if evidence.source.address is not None:
            self._unsent = "FROM is outside the cluster"
        try:
            self._bench = await self._start(plan, stack)
        except (ClusterError, WorkbenchError) as error:
            self._unsent = str(error)
        pod = evidence.source.pod
        if self._bench is not None and pod is not None:
            self._source = self._bench.stations.get(pod.ref)
        if self._request.ephemeral and pod is not None and pod.runs:
            try:
                self._source = await self._enter(found, pod.ref, stack)
            except (ClusterError, WorkbenchError) as error:
                self._unsent = str(error)

    async def _start(self, plan: GuestPlan, stack: AsyncExitStack) -> GuestWorkbench:
        """Start the pods; on the source's node alone if those on the other nodes do not start."""
        self._plan = plan
        bench = GuestWorkbench(
            self._cluster.api,
            plan,
            run=self._run,
            options=self._options,
            deadlines=self._request.options.deadlines,
            progress=self._progress,
            permissions=DEBUG,
        )
        try:
            return await stack.enter_async_context(bench)
        except WorkbenchError as error:
            here = plan.shadows[0].node if plan.shadows else None
            if here is None or len(plan.nodes) < 2:
                raise
            self._notes.append(f"pods were started on {here} only: {error}")
            self._run = new_run()
            shadow = replace(
                plan.shadows[0], ref=PodRef(plan.shadows[0].ref.namespace, f"netprobe-{self._run}-0")
            )
            return await self._start(GuestPlan((shadow,), (here,)), stack)

    async def _enter(self, found: Read, pod: PodRef, stack: AsyncExitStack) -> Station:
        name = f"netprobe-{self._run}"
        await permission.require(self._cluster.api, steps=False, wanted=EPHEMERAL)
        self._request.say(STAYS.format(pod=pod))
        self._progress(f"starting an ephemeral container in {pod}")
        await self._ephemeral.add(pod, name, netcat.command(self._pace))
        self._source_sessions = Sessions(self._ephemeral, self._pace)
        stack.push_async_callback(self._source_sessions.close)
        model = found.facts.cluster.pods[pod]
        return Station(pod, pod.namespace, pod.name, name, model.addresses, model.node)

    async def __call__(self, found: Read) -> Evidence:
        """The evidence with the packets that were sent."""
        evidence = found.evidence
        if self._bench is None and self._source is None:
            return replace(evidence, unsent=self._unsent) if self._request.probe else evidence
        self._progress("trying connections")
        evidence = await self._looked_up(found)
        cluster = found.facts.cluster
        if self._bench is not None:
            cluster = with_guests(cluster, self._bench, self._plan)
        experiment = Experiment(
            evidence,
            Simulator(cluster, self._request.options.profile),
            self._source,
            {Sender.SOURCE: self._source_sessions, Sender.FREE: self._sessions},
            self._bench,
            self._pace,
        )
        tries, canaries, lag_s = await experiment.run()
        packets = Packets(self._run, tries, canaries, lag_s, notes=tuple(self._notes))
        evidence = replace(evidence, packets=packets, unsent=self._unsent)
        if self._request.ephemeral:
            await self._read_listeners(evidence)
            packets = replace(packets, listeners=dict(self._listeners))
        if self._cluster.is_lab:
            packets = replace(packets, kernel=await self._kernel(evidence))
        return replace(evidence, packets=packets)

    async def _looked_up(self, found: Read) -> Evidence:
        """The evidence with the address of a name outside the cluster, as the source sees it."""
        evidence = found.evidence
        name = evidence.name
        if name is None or name.in_cluster or evidence.legs or self._source is None:
            return evidence
        with suppress(TimeoutError):
            async with asyncio.timeout(NAME_S):
                target = Target(name.text, evidence.question.port)
                answer = await self._source_sessions.try_once(self._source, target)
                if address := resolved(answer.text):
                    outside = Destination(name.text, address=External(ip_address(address)))
                    where = found.facts, evidence.source, outside, evidence.question
                    return replace(evidence, legs=reading.legs(*where, self._request.options.profile))
        return evidence

    async def _read_listeners(self, evidence: Evidence) -> None:
        """What the pods listen on that refuse connections."""
        for leg in evidence.legs:
            end = leg.flow.destination
            seen = evidence.seen(leg)
            refused = seen is not None and seen.outcome is Outcome.REFUSED
            if not isinstance(end, PodRef) or not refused or end in self._listeners:
                continue
            self._request.say(STAYS.format(pod=end))
            try:
                name = f"netprobe-{self._run}-ports"
                self._listeners[end] = await self._ephemeral.listeners(end, name)
            except (NetprobeError, TimeoutError) as error:
                self._notes.append(f"what {end} listens on was not read: {error}")

    async def _kernel(self, evidence: Evidence) -> Any:
        """What the counters of a lab's rules say about the first leg that does not connect, if they can."""
        pod = evidence.source.pod
        leg = next((leg for leg in evidence.legs if not evidence.connects(leg)), None)
        if (
            leg is None
            or leg.address is None
            or pod is None
            or not pod.runs
            or leg.flow.protocol is Protocol.SCTP
        ):
            return None
        with suppress(ClusterError, UsageError):  # the end may have gone meanwhile
            where = str(leg.address), leg.flow.port, leg.flow.protocol
            return await trace(self._cluster.api, pod.ref, *where, timeout_s=1)
        return None
