"""`run --in-place --shadow-namespace`: policies tried in a copy, before they are applied to anything real."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import yaml

from netprobe.errors import ClusterError, InputError, Problem, UsageError
from netprobe.manifests import Document, from_objects, parse_policy, read_documents
from netprobe.model.cluster import Cluster
from netprobe.model.flow import Flow, Pod, PodRef, ServiceRef
from netprobe.model.matrix import Matrix
from netprobe.model.objects import Object
from netprobe.model.observation import Observation, Outcome
from netprobe.model.policy import Policy, PolicyRef
from netprobe.model.verdict import Decision, Verdict
from netprobe.probe import Fixture, Observed, PodOptions, Prober, Workbench, canary, new_run, run_objects
from netprobe.probe.guests.surroundings import Surroundings, look_around
from netprobe.run import told
from netprobe.run.copy import Copy, copy
from netprobe.run.cover import Cover, cover
from netprobe.run.families import apart
from netprobe.run.others import Others, others
from netprobe.run.record import InPlace, Report, RunInfo, StoodFor
from netprobe.run.target import Narrate, Opened
from netprobe.run.terms import Terms
from netprobe.simulate import Simulator
from netprobe.suite import Apply, Suite, apply

NAME = "tried in a copy"
STAND_IN = (
    "copies carry all labels of the real pods and namespaces; policies of a namespace are not copied, and "
    "those that go by a namespace's name or a pod's address do not see the copy as the real one"
)
NO_COPY = "Services are not copied: name the pods behind it"
_EVERYWHERE = ({"operator": "Exists"},)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be tried, beside which policies of other kinds. `declared` is None without a suite."""

    cluster: Cluster
    beside: Others
    cover: Cover
    declared: Matrix[Verdict] | None
    simulated: Matrix[Decision]
    copy: Copy


@dataclass(frozen=True, slots=True)
class Trial:
    """Policies to try (from files, and those of a suite), and on what."""

    filenames: tuple[str, ...]
    suite: Suite | None
    terms: Terms
    sample: int = 0
    seed: int = 0

    async def run(self, narrate: Narrate) -> Report:
        """Try and report; InputError for the policies, UsageError where there is nothing to try."""
        tried = self._tried()
        started = datetime.now(UTC)
        async with self.terms.opened(narrate) as there:
            narrate("looking around")
            around = await look_around(there.cluster)
            plan = self._plan(around, await others(there), tried, run := new_run())
            return await self._try(there, plan, run, started, narrate)

    async def rehearse(self, narrate: Narrate) -> Iterator[str]:
        """What a run would create, as YAML; asks for nothing but get and list."""
        tried = self._tried()
        async with self.terms.opened(narrate) as there:
            around = await look_around(there.cluster)
            beside = await others(there)
        run = new_run()
        return _rehearsal(self._plan(around, beside, tried, run), run, self._options)

    @property
    def _options(self) -> PodOptions:
        return replace(self.terms.pods, tolerations=_EVERYWHERE)  # each copy runs where the real pod does

    def _tried(self) -> list[tuple[Document, Policy]]:
        if self.terms.target.is_ephemeral_lab:
            raise UsageError(
                "a run in place is about a cluster that is there: name it by --context, --kubeconfig or --lab"
            )
        if self.suite is not None and self.suite.steps:
            raise UsageError(f"{self.suite.file} has steps: a run in place takes none")
        tried = list(zip(self.suite.policies, self.suite.parsed, strict=True)) if self.suite else []
        problems: list[Problem] = []
        for document in read_documents(self.filenames):
            if document.kind != "NetworkPolicy":
                problems.append(
                    document.problem("kind", f"a NetworkPolicy is tried; this is a {document.kind}")
                )
                continue
            try:
                policy = parse_policy(document, namespace="default")
            except InputError as error:
                problems += error.problems
                continue
            if any(policy.ref == other.ref for _, other in tried):
                problems.append(document.problem("metadata.name", f"{policy.ref} is tried twice"))
            tried.append((document, policy))
        if problems:
            raise InputError(problems)
        if not tried:
            raise UsageError("--shadow-namespace tries policies: name them by -f, or in the suite")
        return tried

    def _plan(
        self, around: Surroundings, beside: Others, tried: Sequence[tuple[Document, Policy]], run: str
    ) -> Plan:
        deciding = {"Namespace", "Pod", "Service", "NetworkPolicy"}
        live = from_objects(obj for obj in around if obj["kind"] in deciding)
        documents, policies = zip(*tried, strict=True)
        cluster = apply(live, Apply(documents, policies, "-f", ""))
        expectations = [self.suite.expectation] if self.suite else []
        chosen = cover(
            cluster,
            expectations,
            self.terms.profile,
            lambda pod: pod.ready,
            sample=self.sample,
            seed=self.seed,
        )
        touched = {policy.ref.namespace for policy in policies}
        reduced = chosen.reduced(cluster)
        declared = None
        asked: Iterable[Flow] = _between(reduced, touched)
        if self.suite is not None:
            declared = self.suite.moments(reduced)[0].declared.where(chosen.keeps)
            asked = declared
        simulator = Simulator(cluster, self.terms.profile)
        simulated = simulator.matrix(apart(filter(chosen.keeps, asked), simulator, self.terms.family))
        if not simulated:
            raise UsageError(
                f"no flow to try: no pod in {', '.join(sorted(touched))} or beside it declares a port: "
                "name flows in a suite"
            )
        manifests: dict[PolicyRef, Object] = {
            PolicyRef(obj["metadata"]["namespace"], obj["metadata"]["name"]): obj
            for obj in around.of("NetworkPolicy")
        }
        manifests |= {policy.ref: dict(document.object) for document, policy in tried}
        made = copy(cluster, simulated, manifests, run, alike=bool(beside))
        return Plan(cluster, beside, chosen, declared, simulated, made)

    async def _try(self, there: Opened, plan: Plan, run: str, started: datetime, narrate: Narrate) -> Report:
        made = Workbench(
            there.cluster,
            Fixture(plan.copy.namespaces, tuple(plan.copy.pods.values())),
            run=run,
            lab=there.is_lab,
            options=self._options,
            deadlines=self.terms.deadlines,
            progress=narrate,
        )
        problems: list[str] = []
        seen: Observed | None = None
        astray: dict[Flow, str] = {}
        try:
            async with made:
                placed = {
                    pod.ref: replace(pod, addresses=made.stations[pod.ref].addresses)
                    for pod in plan.copy.pods.values()
                }
                astray = plan.copy.astray(plan.simulated, plan.cluster, placed, self.terms.profile)
                astray |= dict(_uncopied(plan))
                problems += made.warnings
                seen = await self._observe(there, made, plan, astray, narrate)
        except ClusterError as error:
            if seen is None:
                raise
            problems.append(str(error))
        return self._report(there, plan, run, started, seen, astray=astray, problems=problems)

    async def _observe(
        self, there: Opened, made: Workbench, plan: Plan, astray: Mapping[Flow, str], narrate: Narrate
    ) -> Observed:
        flows = [plan.copy.flow(flow) for flow in plan.simulated if flow not in astray]
        pace = self.terms.pace_on(there, len(flows))
        async with Prober(
            there.cluster, made.stations, flows, canaries=made.canaries, pace=pace, progress=narrate
        ) as prober:
            await prober.baseline()

            async def policies() -> None:
                for manifest in plan.copy.manifests:
                    await made.apply(manifest)

            return await prober.observe(policies)

    def _report(
        self,
        there: Opened,
        plan: Plan,
        run: str,
        started: datetime,
        seen: Observed,
        *,
        astray: Mapping[Flow, str],
        problems: Sequence[str],
    ) -> Report:
        observed = Matrix(
            (flow, _skipped(astray[flow]) if flow in astray else seen.matrix[plan.copy.flow(flow)])
            for flow in plan.simulated
        )
        facts = seen.facts
        simulator = Simulator(plan.cluster, self.terms.profile)
        step = told.step(NAME, plan.declared, plan.simulated, observed, facts=facts, simulator=simulator)
        ends = list(plan.copy.pods)
        notes = [f"{name} was copied as {copied}" for name, copied in plan.copy.names.items()]
        notes += plan.beside.notes(STAND_IN)
        notes += [f"not tried: {flow}: {why}" for flow, why in astray.items()]
        return Report(
            self.suite.name if self.suite else None,
            there.info,
            RunInfo.since(started, run),
            (step,),
            problems=tuple(dict.fromkeys((*problems, *facts.problems))),
            enforcement=told.enforcement(facts),
            nodes={ref: pod.node for ref, pod in plan.copy.pods.items() if pod.node},
            in_place=InPlace(
                plan.cover.told(ends),
                tuple(StoodFor(ref, plan.cover.stands_for(ref), plan.copy.pods[ref].ref) for ref in ends),
                tuple(notes),
            ),
        )


def _between(cluster: Cluster, touched: set[str]) -> Iterator[Flow]:
    """Without a suite: each pair with an end in a namespace that a new policy is about, on declared ports."""
    for source in cluster.pods.values():
        for destination in cluster.pods.values():
            if source is destination or touched.isdisjoint({source.ref.namespace, destination.ref.namespace}):
                continue
            if source.host_network or destination.host_network:
                continue
            for port in destination.ports:
                yield Flow(source.ref, destination.ref, port.number, port.protocol)


def _uncopied(plan: Plan) -> Iterator[tuple[Flow, str]]:
    for flow in plan.simulated:
        hosts = [
            end
            for end in (flow.source, flow.destination)
            if isinstance(end, PodRef) and plan.cluster.pods[end].host_network
        ]
        if isinstance(flow.destination, ServiceRef):
            yield flow, NO_COPY
        elif hosts:
            yield flow, f"{hosts[0]} is on its node's network, which a copy is not"


def _skipped(why: str) -> Observation:
    return Observation(Outcome.SKIPPED, Verdict.UNKNOWN, reason=f"skipped: {why}", attempts=0)


def _rehearsal(plan: Plan, run: str, options: PodOptions) -> Iterator[str]:
    pods: list[Pod] = list(plan.copy.pods.values())
    nodes = sorted({pod.node for pod in pods if pod.node})
    objects = [run_objects.namespace(run_objects.run_namespace(run), run)]
    objects += [run_objects.namespace(one.name, run, one.labels) for one in plan.copy.namespaces]
    objects += [
        run_objects.pod(pod.ref, run, options, labels=pod.labels, ports=pod.ports, node=pod.node)
        for pod in pods
    ]
    for index, node in enumerate(nodes):
        objects += canary.pods(run_objects.run_namespace(run), run, node, index, options)
    objects += [canary.policy(run_objects.run_namespace(run), run, 0), *plan.copy.manifests]
    yield f"# {plan.cover.told(plan.copy.pods)}; {len(plan.simulated)} flows\n"
    yield f"# and a Lease in {run_objects.run_namespace(run)}, renewed while the run lives\n"
    yield from (f"# note: {note}\n" for note in plan.beside.notes(STAND_IN))
    for obj in objects:
        yield "---\n" + str(yaml.safe_dump(obj, sort_keys=False, width=110, allow_unicode=False))
