"""The graphs of what the `graph` command reads: manifests, a suite, or the report of a run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from itertools import chain

from netprobe.errors import UsageError
from netprobe.explain import Advisor, explain
from netprobe.model.cluster import Cluster
from netprobe.model.flow import End, External, Flow, PodRef, ServiceRef
from netprobe.model.verdict import Verdict
from netprobe.report.graph.build import EndInfo, GraphOptions, build
from netprobe.report.graph.cells import (
    by_namespace,
    cells_by_namespace,
    cells_of_groups,
    cells_of_report,
    cells_of_rows,
    end_info,
    namespace_info,
    pod_groups,
)
from netprobe.report.graph.elements import Denied, DrawnTable, EndName, Graph, GraphCell, Pairs
from netprobe.report.saved import SavedReport
from netprobe.run.policy_text import PolicyTexts
from netprobe.run.steps import suite_moments, suite_steps
from netprobe.simulate import PortAsked, Profile, Simulator, evaluate, read_question
from netprobe.suite import Suite
from netprobe.suite.moments import Moment

MANIFESTS_TITLE = "NetworkPolicies"
MOST_PAIRS = 200_000
"""Pairs of pod groups and ports; with more, a namespace is one box."""
MOST_REASONS = 150_000
"""Pairs of pod groups and ports whose reasons are in a page; each takes some 60 µs."""
MOST_SUGGESTIONS = 1_000
"""Flows with a suggested change; each takes a few milliseconds in a small cluster."""
MOST_SUGGESTION_WORK = 100_000
"""Flows with a suggested change times pods: each candidate is simulated on the whole cluster."""


@dataclass(frozen=True, slots=True)
class GraphRequest:
    """Which flows to draw, and how.

    `sources` and `destinations` are patterns of their names; like `ports`, empty means all. `explain`: with
    reasons, for a format that shows them. `suggest`: also with suggested changes. `step`: after the first N
    steps of a suite or report.
    """

    options: GraphOptions
    profile: Profile
    sources: Sequence[str] = ()
    destinations: Sequence[str] = ()
    ports: tuple[PortAsked, ...] = ()
    step: int = 0
    explain: bool = False
    suggest: bool = False

    def selected(self, pairs: Pairs) -> Pairs:
        kept = {
            pair: tuple(one for one in cells if not self.ports or (one.port, one.protocol) in self.ports)
            for pair, cells in pairs.items()
            if _matches(self.sources, pair[0]) and _matches(self.destinations, pair[1])
        }
        return {pair: cells for pair, cells in kept.items() if cells}

    def completed(self, graph: Graph, cluster: Cluster, externals: Iterable[External]) -> Graph:
        """The graph with what the cluster adds: warnings, files, and suggested changes if they are wanted."""
        graph = replace(graph, warnings=cluster.warnings, texts=PolicyTexts(cluster))
        if not self.suggest:
            return graph
        return _with_suggestions(graph, Simulator(cluster, self.profile), externals)


def _matches(patterns: Sequence[str], end: EndName) -> bool:
    """A pattern without a slash is a namespace, or a host outside."""
    names = {str(end), *([end.namespace] if end.namespace is not None else [])}
    return not patterns or any(fnmatchcase(name, pattern) for name in names for pattern in patterns)


def graph_of_manifests(request: GraphRequest, cluster: Cluster, externals: Sequence[External] = ()) -> Graph:
    """What the policies of a cluster allow. UsageError for a request that needs more than policies."""
    options = request.options
    if options.view in {DrawnTable.DECLARED, DrawnTable.OBSERVED}:
        raise UsageError(f"--{options.view.value}: manifests have policies only, which --simulated draws")
    if request.step:
        raise UsageError("--step goes with a suite or a report")
    question = read_question(
        cluster,
        sources=request.sources,
        destinations=request.destinations,
        externals=externals,
        ports=request.ports,
    )
    outside = [end for end in (*question.sources, *question.destinations) if isinstance(end, External)]
    evaluation = evaluate(cluster, request.profile, externals=outside)
    ports = {end: question.ports_of(end) for end in question.destinations}
    workload_of: dict[End, str] = {
        ref: f"{ref.namespace}/{pod.workload}" for ref, pod in cluster.pods.items() if pod.workload
    }
    groups = pod_groups(evaluation, question.sources, ports, None if options.group else workload_of)
    pairs = len(groups) * sum(len(group.ports) for group in groups)
    notes = []
    if options.by_namespace or (options.by_namespace is None and pairs > MOST_PAIRS):
        if not options.by_namespace:
            notes.append(f"{pairs:,} pairs and ports are too many to draw: each box is a namespace")
        namespaces = by_namespace(groups)
        cells = cells_by_namespace(namespaces, evaluation)
        ends = namespace_info(namespaces)
        graph = build(MANIFESTS_TITLE, cells, replace(options, by_namespace=True), ends, notes)
        return replace(graph, warnings=cluster.warnings)
    simulator = Simulator(cluster, request.profile) if request.explain and pairs <= MOST_REASONS else None
    if request.explain and simulator is None:
        notes.append("too many pairs to include the reasons: select some with --from and --to")
    cells = cells_of_groups(groups, evaluation, simulator)
    info = end_info(cluster, groups)
    graph = build(MANIFESTS_TITLE, cells, options, info, notes)
    return request.completed(graph, cluster, externals)


def graph_of_suite(request: GraphRequest, suite: Suite, live: Cluster | None) -> Graph:
    """What the policies of a suite allow, compared with its declaration. UsageError if it lacks the step.

    `live` is the cluster of a suite without a topology.
    """
    if request.options.view is DrawnTable.OBSERVED:
        raise UsageError("--observed: a suite was not probed; name the report of a run with --from-report")
    cluster = suite.cluster(live, request.step)
    moments = suite_moments(
        suite,
        live,
        request.profile,
        sources=request.sources,
        destinations=request.destinations,
        ports=request.ports,
    )
    step = suite_steps(moments)[request.step]
    title = suite.name if not request.step else f"{suite.name}, after: {step.name}"
    graph = build(title, cells_of_rows(step.rows), request.options, workloads(cluster))
    return request.completed(graph, cluster, suite.externals)


def graph_of_report(
    request: GraphRequest,
    title: str,
    report: SavedReport,
    suite: Suite | None = None,
    live: Cluster | None = None,
) -> Graph:
    """A saved report. UsageError if it, or the suite, lacks the step.

    The suite adds what a report does not have: which rows declare a flow (in reports of older versions), the
    workloads of pods, and the policies for suggestions.
    """
    if request.step and request.step >= len(report.steps):
        last = max(0, len(report.steps) - 1)
        raise UsageError(f"--step {request.step}: {title} has steps 0 to {last}")
    cells = request.selected(cells_of_report(report, request.step))
    title = report.suite or title
    if suite is not None:
        cluster = suite.cluster(live, request.step)
        cells = _declared(cells, suite.moments(live)[request.step])
        graph = build(title, cells, request.options, workloads(cluster))
        return request.completed(graph, cluster, suite.externals)
    notes = []
    if request.options.denied in {Denied.ROWS, Denied.NAMED} and not report.has_declared_by:
        notes.append("this report does not say which flows a row denies: name its suite, or use --denied all")
    return build(title, cells, request.options, _guessed(cells), notes)


def _declared(pairs: Pairs, moment: Moment) -> Pairs:
    """The cells with what declares them."""
    declared_by = {
        (str(flow.source), str(flow.destination), flow.port, flow.protocol): moment.declared_by(flow)
        for flow in moment.declared
    }
    return {
        (source, target): tuple(
            replace(one, declared_by=declared_by.get((str(source), str(target), one.port, one.protocol)))
            for one in cells
        )
        for (source, target), cells in pairs.items()
    }


def workloads(cluster: Cluster) -> EndInfo:
    """The workload of each pod that has one."""
    return EndInfo(
        workloads={
            EndName.of(ref): pod.workload.partition("/")[2]
            for ref, pod in cluster.pods.items()
            if pod.workload
        }
    )


_REPLICA = re.compile(r"(.+?)(?:-[a-z0-9]{6,10})?-(?:[a-z0-9]{5}|[0-9]+)")


def _guessed(pairs: Pairs) -> EndInfo:
    """The workloads of pods by their names: web-6d4cf56db6-x2x7k, db-0."""
    ends = {end for end in chain.from_iterable(pairs) if end.namespace is not None}
    found = {end: match[1] for end in ends if (match := _REPLICA.fullmatch(end.name))}
    return EndInfo(workloads=found)


def _with_suggestions(graph: Graph, simulator: Simulator, externals: Iterable[External] = ()) -> Graph:
    """The graph with the smallest change that would reverse the verdict of each flow that has reasons.

    If there are too many flows, the unexpected ones come first, then those that rows declare; the rest have
    none, and a note says so.
    """
    advisor = Advisor(simulator)
    hosts: dict[EndName, End] = {EndName.of(host): host for host in externals}
    cells = [
        (pair, index, cell)
        for pair, held in graph.cells.items()
        for index, cell in enumerate(held)
        if cell.sides is not None
    ]
    cells.sort(key=lambda each: (not each[2].mismatches, each[2].declared_by in {None, "default"}))
    budget = min(MOST_SUGGESTIONS, max(20, MOST_SUGGESTION_WORK // max(1, len(simulator.cluster.pods))))
    found = {pair: list(held) for pair, held in graph.cells.items()}
    for pair, index, cell in cells[:budget]:
        ends = [_end(name, simulator, hosts) for name in _sample(graph, *pair)]
        found[pair][index] = replace(cell, change=_change(cell, advisor, *ends))
    notes = graph.notes
    if len(cells) > budget:
        notes = (*notes, f"Changes are suggested for {budget:,} of {len(cells):,} flows")
    return replace(graph, cells={pair: tuple(held) for pair, held in found.items()}, notes=notes)


def _sample(graph: Graph, source: int, target: int) -> tuple[EndName, EndName]:
    """A flow between two boxes; of a box with several ends to itself, one between two of them."""
    one, others = graph.nodes[source].members, graph.nodes[target].members
    other = others[1] if source == target and len(others) > 1 else others[0]
    return EndName.parse(one[0]), EndName.parse(other)


def _change(cell: GraphCell, advisor: Advisor, source: End | None, destination: End | None) -> str | None:
    if source is None or destination is None or cell.simulated in {None, Verdict.UNKNOWN}:
        return None
    explanation = explain(advisor, Flow(source, destination, cell.port, cell.protocol, cell.family))
    change = explanation.change
    if change is None or explanation.verdict is not cell.simulated:  # the report is older than the policies
        return None
    return f"To be {'allowed' if change.verdict is Verdict.ALLOW else 'denied'}: {change.text}"


def _end(name: EndName, simulator: Simulator, hosts: dict[EndName, End]) -> End | None:
    """The end with that name; None if the cluster does not have it."""
    if name.namespace is None:
        return hosts.get(name)
    if name.service:
        service = ServiceRef(name.namespace, name.name)
        return service if service in simulator.cluster.services else None
    pod = PodRef(name.namespace, name.name)
    return pod if pod in simulator.cluster.pods else None
