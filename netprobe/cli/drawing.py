"""From what a `graph` command names to the graph: a suite, manifests, or the report of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

from netprobe.cli.manifests import read_cluster
from netprobe.errors import UsageError
from netprobe.explain.why import path
from netprobe.model.cluster import Cluster
from netprobe.model.flow import External, Flow, Protocol
from netprobe.model.policy import Policy
from netprobe.model.verdict import Cause
from netprobe.report.graph import (
    Cell,
    Clause,
    Denied,
    Ends,
    Graph,
    Party,
    View,
    Wanted,
    build,
    summary,
)
from netprobe.report.graph.cells import NAMED, Citing, of_rows
from netprobe.report.graph.policies import crowds, ends_of, of_policies
from netprobe.report.graph.saved import of_report, read
from netprobe.report.graph.suggestions import with_suggestions

NAME = "NetworkPolicies"
MOST_PAIRS = 200_000
MOST_WHYS = 150_000  # decisions, of some 60 µs each


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line names. `whys`: the format tells why a flow is as it is."""

    suite: str | None
    filenames: Sequence[str]
    saved: Path | None
    sources: Sequence[str]
    destinations: Sequence[str]
    ports: tuple[tuple[int, Protocol], ...]
    externals: Sequence[External]
    step: int
    profile: str
    whys: bool


def drawing(asked: Asked, wanted: Wanted) -> Graph:
    """The graph that a command asks for; UsageError where its options do not go together."""
    if asked.suite is None and asked.saved is None:
        return _of_manifests(asked, wanted)
    if asked.externals:
        raise UsageError("--external goes with -f alone: a suite and a report have their own")
    return _of_suite(asked, wanted) if asked.saved is None else _of_report(asked, asked.saved, wanted)


def _of_manifests(asked: Asked, wanted: Wanted) -> Graph:
    from netprobe.simulate import Simulator, evaluate, profile
    from netprobe.survey import ask

    if not asked.filenames:
        raise UsageError("what should be drawn? Name a suite, manifests by -f, or a report by --report")
    if wanted.view in {View.DECLARED, View.OBSERVED}:
        raise UsageError(f"--{wanted.view.value}: manifests hold policies, so only --simulated can be drawn")
    if asked.step:
        raise UsageError("--step goes with a suite or a report")
    chosen = profile(asked.profile)
    cluster = read_cluster(asked.filenames)
    question = ask(
        cluster,
        sources=asked.sources,
        destinations=asked.destinations,
        externals=asked.externals,
        ports=asked.ports,
    )
    outside = [end for end in (*question.sources, *question.destinations) if isinstance(end, External)]
    evaluation = evaluate(cluster, chosen, externals=outside)
    found = crowds(
        evaluation, question.sources, {end: question.ports_of(end) for end in question.destinations}
    )
    notes = []
    decisions = len(found) * sum(len(crowd.ports) for crowd in found)
    if wanted.summary or (wanted.summary is None and decisions > MOST_PAIRS):
        if not wanted.summary:
            notes.append(f"{decisions:,} pairs and ports are too many to draw: a box is a namespace here")
        realms = summary.realms(found, evaluation)
        cells = summary.of_realms(realms, evaluation)
        return build(NAME, cells, replace(wanted, summary=True), summary.ends_of(realms), notes)
    simulator = Simulator(cluster, chosen) if asked.whys and decisions <= MOST_WHYS else None
    if asked.whys and simulator is None:
        notes.append("too many pairs to hold the reasons of all: narrow them by --from and --to")
    cells = of_policies(found, evaluation, simulator, Citing(citer(cluster.policies)))
    graph = build(NAME, cells, wanted, ends_of(cluster, found), notes)
    return with_suggestions(graph, simulator, outside) if simulator is not None else graph


def _of_suite(asked: Asked, wanted: Wanted) -> Graph:
    from netprobe.cli.suite import simulated, suite_and_live
    from netprobe.simulate import Simulator, profile

    if wanted.view is View.OBSERVED:
        raise UsageError("--observed: a suite was not probed; name the report of a run by --report")
    suite, live = suite_and_live(str(asked.suite), asked.filenames)
    cluster_then = suite.cluster(live, asked.step)
    steps = simulated(
        suite,
        live,
        profile(asked.profile),
        sources=asked.sources,
        destinations=asked.destinations,
        ports=asked.ports,
    )
    rows = steps[asked.step].rows
    cells = of_rows(rows, citer(cluster_then.policies))
    name = suite.name if not asked.step else f"{suite.name}, after: {steps[asked.step].name}"
    graph = build(name, cells, wanted, _replicas(cluster_then))
    if not asked.whys:
        return graph
    return with_suggestions(graph, Simulator(cluster_then, profile(asked.profile)), suite.externals)


def _of_report(asked: Asked, file: Path, wanted: Wanted) -> Graph:
    saved = read(file)
    if asked.step and asked.step >= len(saved.steps):
        raise UsageError(f"--step {asked.step}: {file} has steps 0 to {max(0, len(saved.steps) - 1)}")
    cells: Iterable[Cell] = (cell for cell in of_report(saved, asked.step) if _is_asked(asked, cell))
    notes = []
    if asked.suite is not None:
        from netprobe.cli.suite import suite_and_live
        from netprobe.simulate import Simulator, profile

        suite, live = suite_and_live(asked.suite, asked.filenames)
        cluster = suite.cluster(live, asked.step)
        moment = suite.moments(live)[asked.step]
        declared_by = {_key(flow): moment.declared_by(flow) for flow in moment.declared}
        cells = (_named(cell, declared_by) for cell in cells)
        graph = build(saved.suite or file.name, cells, wanted, _replicas(cluster))
        if not asked.whys:
            return graph
        return with_suggestions(graph, Simulator(cluster, profile(asked.profile)), suite.externals)
    if asked.filenames:
        raise UsageError("-f goes with a suite or alone: a report holds its flows")
    if wanted.denied in {Denied.ROWS, Denied.NAMED} and not saved.tells_rows:
        notes.append("this report does not say which flows a row denies: name its suite, or --denied all")
    return build(saved.suite or file.name, cells, wanted, Ends(), notes)


def citer(policies: Iterable[Policy]) -> Callable[[Cause], Clause]:
    """Names the place of a cause in its policy, and in a file where the policy came from one."""
    known = {policy.ref: policy for policy in policies}

    def cite(cause: Cause) -> Clause:
        policy, where = known.get(cause.policy), path(cause)
        place = None
        if policy is not None and policy.origin is not None:
            place = str(policy.origin.place(where))
        return Clause(str(cause.policy), where, place)

    return cite


def _replicas(cluster: Cluster) -> Ends:
    workloads = {
        Party.of(ref): pod.workload.partition("/")[2] for ref, pod in cluster.pods.items() if pod.workload
    }
    return Ends(workloads=workloads)


Key = tuple[str, str, int, Protocol]


def _key(flow: Flow) -> Key:
    return str(flow.source), str(flow.destination), flow.port, flow.protocol


def _named(cell: Cell, declared_by: Mapping[Key, str | None]) -> Cell:
    key = (str(cell.source), str(cell.destination), cell.port, cell.protocol)
    return replace(cell, named=NAMED[declared_by.get(key)])


def _is_asked(asked: Asked, cell: Cell) -> bool:
    return (
        _matches(asked.sources, cell.source)
        and _matches(asked.destinations, cell.destination)
        and (not asked.ports or (cell.port, cell.protocol) in asked.ports)
    )


def _matches(patterns: Sequence[str], party: Party) -> bool:
    """Patterns as `netprobe.survey.ends` reads them: a bare one is a namespace, or an end outside."""
    names = {str(party), *([party.namespace] if party.namespace is not None else [])}
    return not patterns or any(fnmatchcase(name, pattern) for name in names for pattern in patterns)
