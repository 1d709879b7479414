"""Graphs of what the `graph` command reads: manifests, a simulated suite, or the report of a run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from netprobe.diff import Row
from netprobe.errors import UsageError
from netprobe.model.cluster import Cluster
from netprobe.model.flow import External, Flow, Protocol
from netprobe.report.graph import manifest_cells
from netprobe.report.graph.build import EndInfo, GraphOptions, build
from netprobe.report.graph.cells import ReasonsOf, cells_of_rows, citer
from netprobe.report.graph.elements import Cell, Denied, EndName, Graph
from netprobe.report.graph.saved_report import SavedReport, cells_of_report
from netprobe.simulate import Profile, Simulator, evaluate
from netprobe.suite.moments import Moment
from netprobe.survey import ask

MANIFESTS_TITLE = "NetworkPolicies"
MOST_PAIRS = 200_000
"""Pairs of pod groups and ports; with more, a namespace is one box."""
MOST_REASONS = 150_000
"""Pairs of pod groups and ports whose reasons are in a page; each takes some 60 µs."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which flows to draw: patterns of sources and destinations, and ports. Empty means all."""

    sources: Sequence[str] = ()
    destinations: Sequence[str] = ()
    ports: Sequence[tuple[int, Protocol]] = ()

    def has(self, cell: Cell) -> bool:
        return (
            _matches(self.sources, cell.source)
            and _matches(self.destinations, cell.destination)
            and (not self.ports or (cell.port, cell.protocol) in self.ports)
        )


def _matches(patterns: Sequence[str], end: EndName) -> bool:
    """A pattern without a slash is a namespace, or a host outside."""
    names = {str(end), *([end.namespace] if end.namespace is not None else [])}
    return not patterns or any(fnmatchcase(name, pattern) for name in names for pattern in patterns)


def graph_of_manifests(
    cluster: Cluster,
    options: GraphOptions,
    selection: Selection,
    externals: Sequence[External],
    profile: Profile,
    *,
    explain: bool,
) -> Graph:
    """What the policies of a cluster allow. With `explain`, flows have reasons."""
    question = ask(
        cluster,
        sources=selection.sources,
        destinations=selection.destinations,
        externals=externals,
        ports=tuple(selection.ports),
    )
    outside = [end for end in (*question.sources, *question.destinations) if isinstance(end, External)]
    evaluation = evaluate(cluster, profile, externals=outside)
    ports = {end: question.ports_of(end) for end in question.destinations}
    groups = manifest_cells.pod_groups(evaluation, question.sources, ports)
    pairs = len(groups) * sum(len(group.ports) for group in groups)
    notes = []
    if options.by_namespace or (options.by_namespace is None and pairs > MOST_PAIRS):
        if not options.by_namespace:
            notes.append(f"{pairs:,} pairs and ports are too many to draw: each box is a namespace")
        namespaces = manifest_cells.by_namespace(groups, evaluation)
        cells = manifest_cells.cells_by_namespace(namespaces, evaluation)
        ends = manifest_cells.namespace_info(namespaces)
        return build(MANIFESTS_TITLE, cells, replace(options, by_namespace=True), ends, notes)
    simulator = Simulator(cluster, profile) if explain and pairs <= MOST_REASONS else None
    if explain and simulator is None:
        notes.append("too many pairs to include the reasons: select some with --from and --to")
    reasons_of = ReasonsOf(citer(cluster.policies))
    cells = manifest_cells.cells_of_groups(groups, evaluation, simulator, reasons_of)
    return build(MANIFESTS_TITLE, cells, options, manifest_cells.end_info(cluster, groups), notes)


def graph_of_rows(title: str, rows: Iterable[Row], cluster: Cluster, options: GraphOptions) -> Graph:
    """The rows of one step of a suite, in the cluster of that step."""
    return build(title, cells_of_rows(rows, citer(cluster.policies)), options, _workloads(cluster))


def graph_of_report(
    title: str,
    report: SavedReport,
    step: int,
    options: GraphOptions,
    selection: Selection,
    *,
    moment: Moment | None = None,
) -> Graph:
    """One step of a saved report. UsageError if it has no such step.

    `moment` is the suite at that step: reports of older versions do not say which rows declare a flow, and
    no report says of which workload a pod is.
    """
    if step and step >= len(report.steps):
        raise UsageError(f"--step {step}: {title} has steps 0 to {max(0, len(report.steps) - 1)}")
    cells: Iterable[Cell] = (cell for cell in cells_of_report(report, step) if selection.has(cell))
    ends, notes = EndInfo(), []
    if moment is not None:
        cells, ends = _declared(cells, moment), _workloads(moment.cluster)
    elif options.denied in {Denied.ROWS, Denied.NAMED} and not report.has_declared_by:
        notes.append("this report does not say which flows a row denies: name its suite, or use --denied all")
    return build(report.suite or title, cells, options, ends, notes)


def _declared(cells: Iterable[Cell], moment: Moment) -> Iterator[Cell]:
    """The cells with what declares them."""
    declared_by = {_key(flow): moment.declared_by(flow) for flow in moment.declared}
    for cell in cells:
        key = (str(cell.source), str(cell.destination), cell.port, cell.protocol)
        yield replace(cell, declared_by=declared_by.get(key))


def _key(flow: Flow) -> tuple[str, str, int, Protocol]:
    return str(flow.source), str(flow.destination), flow.port, flow.protocol


def _workloads(cluster: Cluster) -> EndInfo:
    return EndInfo(
        workloads={
            EndName.of(ref): pod.workload.partition("/")[2]
            for ref, pod in cluster.pods.items()
            if pod.workload
        }
    )
