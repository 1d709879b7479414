"""A run in a copy: policies are tried in namespaces of the run before they are applied."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TypeAlias

from netprobe.errors import InputError, Problem, UsageError
from netprobe.explain.declared import ListedFlows
from netprobe.manifests import Document, from_objects, read_documents
from netprobe.manifests.document import read_record
from netprobe.model.cluster import Cluster
from netprobe.model.flow import Flow, PodRef, ServiceRef
from netprobe.model.matrix import Matrix
from netprobe.model.objects import Object
from netprobe.model.policy import PolicyRef
from netprobe.model.text import listed
from netprobe.model.verdict import Decision, Verdict
from netprobe.policies.kinds import BY_KEY, NETWORK_POLICY, SIMULATED, PolicyKind, Record
from netprobe.policies.records import ref_of
from netprobe.probe import Fixture as PodsToMake
from netprobe.probe import (
    Observed,
    PodOptions,
    Prober,
    Workbench,
    canary,
    lease,
    new_run,
    ownership,
    run_objects,
)
from netprobe.probe.canary import OPENING
from netprobe.probe.deciding import OtherPolicies, key_of, other_policies
from netprobe.probe.permission import COPY, COPY_ACCOUNTS, Permission, write_policies
from netprobe.probe.run_objects import run_namespace
from netprobe.probe.surroundings import Surroundings, look_around
from netprobe.run.applied import Served, not_tried, set_version
from netprobe.run.cluster import OpenCluster, Progress, RunOptions
from netprobe.run.copied import Copied, copied
from netprobe.run.driver import PreparedRun
from netprobe.run.in_place import NEEDS_A_CLUSTER
from netprobe.run.in_place_plan import Cover, cover
from netprobe.run.moment import SimulatedMoment, rows_by_family
from netprobe.run.record import InPlace as InPlaceRecord
from netprobe.run.record import RepresentedPods
from netprobe.simulate import Simulator
from netprobe.suite import ApplyPolicies, Suite, apply

NAME = "tried in a copy"
STAND_IN = (
    "copies carry all labels of the real pods and namespaces; policies of a namespace are not copied, and "
    "those that match a namespace's name or a pod's address treat the copy differently"
)
NO_COPY = "Services are not copied: name the pods behind it"

Tried: TypeAlias = tuple[Document, Record]
"""A policy to try, as an object and as a record."""


@dataclass(frozen=True, slots=True)
class CopyMode:
    """Policies to try, and a suite that declares what is expected of them.

    `sample` and `seed`: as in `InPlace`.
    """

    policies: tuple[Tried, ...]
    suite: Suite | None
    sample: int = 0
    seed: int = 0

    @property
    def name(self) -> str | None:
        return self.suite.name if self.suite else None

    def check(self, options: RunOptions) -> None:
        if options.target.is_ephemeral_lab:
            raise UsageError(NEEDS_A_CLUSTER)
        if self.suite is not None and self.suite.steps:
            raise UsageError(f"{self.suite.file} has steps, which an in-place run does not support")

    @asynccontextmanager
    async def prepared(
        self, cluster: OpenCluster, options: RunOptions, progress: Progress
    ) -> AsyncIterator[PreparedRun]:
        """UsageError if there is nothing to probe."""
        progress("looking around")
        plan = await self._planned(cluster, options)
        copy = plan.copy
        workbench = Workbench(
            cluster.api,
            PodsToMake(copy.namespaces, tuple(copy.pods.values()), accounts=copy.accounts),
            run=plan.run,
            permissions=plan.permissions,
            kinds=plan.canary_kinds,
            one_node=cluster.info.nodes == 1,
            lab=cluster.is_lab,
            options=options.pods.on_any_node(),
            deadlines=options.deadlines,
            progress=progress,
        )
        async with workbench:
            placed = {
                pod.ref: replace(pod, addresses=workbench.stations[pod.ref].addresses)
                for pod in copy.pods.values()
            }
            skipped = copy.decided_otherwise(plan.simulated, plan.cluster, placed, options.profile)
            skipped |= dict(_uncopied(plan))
            flows = [copy.flow(flow) for flow in plan.simulated if flow not in skipped]
            pace = cluster.pace(options.pace, len(flows))
            prober = Prober(
                cluster.api,
                workbench.stations,
                flows,
                canaries=workbench.canaries,
                pace=pace,
                progress=progress,
            )

            async def observe(_: SimulatedMoment) -> Observed:
                async def change() -> None:
                    for manifest in copy.manifests:
                        await workbench.apply(manifest)

                seen = await prober.observe(change, plan.canary_kinds)
                cells = (
                    (flow, not_tried(skipped[flow]) if flow in skipped else seen.matrix[copy.flow(flow)])
                    for flow in plan.simulated
                )
                return replace(seen, matrix=Matrix(cells))

            simulator = Simulator(plan.cluster, options.profile)
            declared = ListedFlows(plan.declared) if plan.declared is not None else None
            yield PreparedRun(
                plan.run,
                (SimulatedMoment(NAME, simulator, plan.declared, plan.simulated, declaration=declared),),
                prober,
                observe,
                problems=tuple(workbench.warnings),
                warnings=plan.cluster.warnings,
                nodes={ref: pod.node for ref, pod in copy.pods.items() if pod.node},
                in_place=InPlaceRecord(
                    plan.cover.sentence(copy.pods),
                    tuple(
                        RepresentedPods(ref, plan.cover.stands_for(ref), copy.pods[ref].ref)
                        for ref in copy.pods
                    ),
                    (
                        *(f"{name} was copied as {copied}" for name, copied in copy.names.items()),
                        *plan.others.notes(STAND_IN),
                        *(f"not tried: {flow}: {why}" for flow, why in skipped.items()),
                    ),
                ),
            )

    async def preview(self, cluster: OpenCluster, options: RunOptions) -> Iterator[str | Object]:
        return (await self._planned(cluster, options)).preview(options.pods.on_any_node())

    async def _planned(self, cluster: OpenCluster, options: RunOptions) -> PlannedCopy:
        around = await look_around(cluster.api)
        others = await other_policies(cluster.api)
        documents, parsed = zip(*self.policies, strict=True)
        live = from_objects(around.deciding())
        whole = apply(live, ApplyPolicies(documents, parsed, "-f", ""))
        chosen = cover(
            whole,
            self.suite.expectation if self.suite else None,
            options.profile,
            lambda pod: pod.ready,
            sample=self.sample,
            seed=self.seed,
        )
        touched = {ref_of(record).namespace for record in parsed}
        reduced = chosen.reduced(whole)
        declared = None
        wanted: Iterable[Flow] = _between(reduced, touched)
        if self.suite is not None:
            declared = self.suite.moments(reduced)[0].declared.where(chosen.keeps)
            wanted = declared
        simulator = Simulator(whole, options.profile)
        selects = options.flows.on(whole, (), chosen.represented)
        wanted = (flow for flow in wanted if chosen.keeps(flow) and selects(flow))
        simulated = simulator.matrix(rows_by_family(wanted, simulator, options.family))
        if not simulated:
            raise UsageError(
                f"nothing to probe: no declared port in or around {', '.join(sorted(touched))}; "
                "name flows in a suite"
            )
        run = new_run()
        made = copied(whole, simulated, _manifests(around, self.policies), run, all_labels=bool(others))
        kinds = await _served_as(cluster, made.manifests)
        return PlannedCopy(run, whole, others, chosen, declared, simulated, made, kinds)


def policies_to_try(filenames: Iterable[str], suite: Suite | None) -> tuple[Tried, ...]:
    """The policies of files and of a suite. InputError for other objects, UsageError if there are none."""
    found = list(zip(suite.policies, suite.parsed, strict=True)) if suite else []
    problems: list[Problem] = []
    for document in read_documents(filenames):
        kind = document.policy_kind
        if kind is None or not kind.namespaced:
            what = "only policies of a namespace can be tried in a copy" if kind else "expected a policy"
            problems.append(document.problem("kind", f"{what}; this is a {document.kind}"))
            continue
        record, decoder = read_record(document, namespace="default")
        problems += document.problems(decoder.errors)
        if record is None:
            continue
        if any(ref_of(record) == ref_of(other) for _, other in found):
            problems.append(document.problem("metadata.name", f"{ref_of(record)} is given twice"))
        found.append((document, record))
    if problems:
        raise InputError(problems)
    if not found:
        raise UsageError("--shadow-namespace tries policies: name them with -f, or in the suite")
    return tuple(found)


@dataclass(frozen=True, slots=True)
class PlannedCopy:
    """What is tried, and the policies of other kinds in the cluster. `declared` is None without a suite.

    `kinds`: those of the copied objects other than NetworkPolicy, each in the group that the cluster serves.
    """

    run: str
    cluster: Cluster
    others: OtherPolicies
    cover: Cover
    declared: Matrix[Verdict] | None
    simulated: Matrix[Decision]
    copy: Copied
    kinds: tuple[PolicyKind, ...]

    @property
    def canary_kinds(self) -> tuple[str, ...]:
        return tuple(kind.key for kind in self.kinds if kind.key in OPENING)

    @property
    def permissions(self) -> tuple[Permission, ...]:
        accounts = (COPY_ACCOUNTS,) if self.copy.accounts else ()
        return (*COPY, *accounts, *write_policies(self.kinds))

    def preview(self, options: PodOptions) -> Iterator[str | Object]:
        """What the report would note, and the namespaces, pods and policies of the run."""
        home, pods = run_namespace(self.run), self.copy.pods
        yield f"{self.cover.sentence(pods)}; {len(self.simulated)} flows"
        yield f"and a Lease in {home}, renewed while the run lives"
        yield from (f"note: {note}" for note in self.others.notes(STAND_IN))
        record = ownership.Record(self.run)
        objects = [lease.home(record)]
        objects += [run_objects.namespace(one.name, self.run, one.labels) for one in self.copy.namespaces]
        objects += [
            run_objects.pod(pod.ref, self.run, options, labels=pod.labels, ports=pod.ports, node=pod.node)
            for pod in pods.values()
        ]
        for index, node in enumerate(sorted({pod.node for pod in pods.values() if pod.node})):
            objects += canary.pods(home, self.run, node, index, options)
        yield from map(record.mark, (*objects, canary.policy(home, self.run, 0), *self.copy.manifests))


async def _served_as(cluster: OpenCluster, manifests: Iterable[Object]) -> tuple[PolicyKind, ...]:
    """The kinds of objects other than NetworkPolicies; the objects get the version that the cluster serves.

    UsageError for a kind that it does not serve.
    """
    others = [obj for obj in manifests if key_of(obj) != NETWORK_POLICY.key]
    kinds = tuple({key: BY_KEY[key] for key in map(key_of, others)}.values())
    served = await Served.by(cluster.api, kinds)
    if served.missing:
        raise UsageError(f"this cluster does not serve {listed(served.missing)}")
    for obj in others:
        set_version(obj, served.versions[key_of(obj)] or obj["apiVersion"])
    return tuple(map(served.group, kinds))


def _manifests(around: Surroundings, policies: Iterable[Tried]) -> dict[PolicyRef, Object]:
    """The object of each policy of a namespace; those to try replace existing ones of the same name."""
    namespaced = [kind.key for kind in SIMULATED if kind.namespaced]
    found: dict[PolicyRef, Object] = {
        PolicyRef(obj["metadata"]["namespace"], obj["metadata"]["name"], key): obj
        for key in namespaced
        for obj in around.of(key)
    }
    return found | {ref_of(record): dict(document.object) for document, record in policies}


def _between(cluster: Cluster, touched: set[str]) -> Iterator[Flow]:
    """Without a suite: each pair with an end in the namespace of a new policy, on declared ports."""
    for source in cluster.pods.values():
        for destination in cluster.pods.values():
            if source is destination or touched.isdisjoint({source.ref.namespace, destination.ref.namespace}):
                continue
            if source.host_network or destination.host_network:
                continue
            for port in destination.ports:
                yield Flow(source.ref, destination.ref, port.number, port.protocol)


def _uncopied(plan: PlannedCopy) -> Iterator[tuple[Flow, str]]:
    for flow in plan.simulated:
        hosts = [
            end
            for end in (flow.source, flow.destination)
            if isinstance(end, PodRef) and plan.cluster.pods[end].host_network
        ]
        if isinstance(flow.destination, ServiceRef):
            yield flow, NO_COPY
        elif hosts:
            yield flow, f"{hosts[0]} is on its node's network, and its copy would not be"
