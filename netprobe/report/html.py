"""The report as one page: differences, a matrix to look into, every flow, the graph, the cluster.

Everything is in `page_data`; templates/report.js draws it. What many flows share (ends, ports, reasons,
policies) is in the data once, and flows refer to it by number: a page of 40,000 flows has about 2 MB.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple
from itertools import islice
from typing import Any

from netprobe.diff import WRONG, FlowStatus, Row
from netprobe.explain.why import path
from netprobe.model.policy import PolicyRef
from netprobe.model.text import plain
from netprobe.model.verdict import Cause
from netprobe.report import phrases
from netprobe.report.graph import Graph, GraphOptions, build
from netprobe.report.graph.cells import cells_of_rows
from netprobe.report.graph.inputs import workloads
from netprobe.report.graph.pictures import Numbers, drawing, visible
from netprobe.report.grouped import differences
from netprobe.report.page import page
from netprobe.report.style import PLAIN, Style
from netprobe.run.policy_text import PolicyTexts
from netprobe.run.record import Report, ReportStep, port_text

MOST_FLOWS = 250_000
"""Flows in a page; of more, only those that are not as expected."""
MOST_DRAWN = 20_000
"""Flows in a drawing with a box for each workload; of more, a box for each namespace."""

VERDICTS = ("allow", "deny", "unknown")
STATUSES = tuple(status.value for status in FlowStatus)
HEADS = {
    FlowStatus.AS_EXPECTED: "as expected",
    FlowStatus.MISMATCH: "not as expected",
    FlowStatus.UNKNOWN: "unknown",
    FlowStatus.UNDEFINED: "implementation-defined",
    FlowStatus.SKIPPED: "skipped",
}


def html(report: Report, _style: Style = PLAIN) -> Iterator[str]:
    graph = (
        _graph(report.steps[-1], phrases.simulated(report.suite, report.cluster)) if report.steps else None
    )
    heads = {**HEADS, FlowStatus.AS_EXPECTED: "decided"} if report.suite is None else HEADS
    counted = zip(heads.items(), astuple(report.counts), strict=True)
    return page(
        "report.html",
        styles=("pages.css", "graph.css", "report.css"),
        script="report.js",
        data=page_data(report, graph),
        title=phrases.title(report),
        phrases=phrases,
        report=report,
        counts=[(s.value, head, n) for (s, head), n in counted if n or s is FlowStatus.AS_EXPECTED],
        warnings=phrases.warnings(report),
        notes=[note for note in phrases.in_place(report) if not note.startswith("warning: ")],
        drawing=drawing(graph) if graph is not None else None,
    )


def page_data(report: Report, graph: Graph | None = None) -> dict[str, Any]:
    """What report.js reads.

    A flow is eight numbers in a flat list: source, destination, port, declared, simulated, observed, status,
    and causes; -1 means none. `texts` has the sentences of a flow, by its step and index.
    """
    ends: Numbers[tuple[str, str]] = Numbers()
    ports: Numbers[str] = Numbers()
    causes: Numbers[tuple[Cause, ...]] = Numbers()
    steps = [_step(step, ends, ports, causes) for step in report.steps]
    policies: Numbers[PolicyRef] = Numbers()
    written = [
        [[cause.direction.value, cause.effect.value, policies(cause.policy), path(cause)] for cause in some]
        for some in causes
    ]
    texts = report.steps[-1].policies if report.steps else PolicyTexts()
    return {
        "ends": [[plain(namespace), plain(name)] for namespace, name in ends],
        "ports": list(ports),
        "verdicts": VERDICTS,
        "statuses": STATUSES,
        "heads": list(HEADS.values()),
        "causes": written,
        "policies": [_policy(ref, texts, causes) for ref in policies],
        "steps": steps,
        "nodes": [[plain(name) for name in node.members] for node in graph.nodes] if graph else [],
        "arrows": [
            [
                graph.nodes_of(edge.source),
                graph.nodes_of(edge.target),
                [port.removesuffix(" some") for port in edge.label.ports],
            ]
            for edge in graph.edges
        ]
        if graph
        else [],
    }


def _step(
    step: ReportStep, ends: Numbers[tuple[str, str]], ports: Numbers[str], causes: Numbers[tuple[Cause, ...]]
) -> dict[str, Any]:
    flows: list[int] = []
    texts: dict[int, list[str]] = {}
    families = phrases.has_both_families(step.rows)
    wrong: dict[int, Row] = {}
    complete = step.counts.flows <= MOST_FLOWS
    rows = step.rows if complete else (r for r in step.rows if r.status is not FlowStatus.AS_EXPECTED)
    for number, row in enumerate(islice(rows, MOST_FLOWS)):
        flow = row.flow
        because = row.decision.because if row.decision else ()
        flows += [
            ends((phrases.namespace(flow.source), str(flow.source))),
            ends((phrases.namespace(flow.destination), str(flow.destination))),
            ports(plain(_port(row, families))),
            *(VERDICTS.index(v.value) if v else -1 for v in (row.declared, row.simulated, row.observed)),
            STATUSES.index(row.status.value),
            causes(because) if because else -1,
        ]
        if sentences := list(_sentences(row)):
            texts[number] = sentences
        if row.status in WRONG:
            wrong[number] = row
    numbers = {id(row): number for number, row in wrong.items()}
    return {
        "flows": flows,
        "texts": texts,
        "complete": complete,
        "differences": [
            {
                "status": STATUSES.index(one.status.value),
                "summary": plain(one.summary),
                "reasons": [plain(reason) for reason in one.reasons],
                "flows": [numbers[id(row)] for row in one.rows],
            }
            for one in differences(wrong.values())
        ],
    }


def _port(row: Row, families: bool) -> str:
    named = phrases.destination(row.flow)[len(str(row.flow.destination)) :]
    return port_text(row.flow, families) + named


def _sentences(row: Row) -> Iterator[str]:
    if row.status is FlowStatus.MISMATCH:
        yield phrases.differing_tables(row)
    elif mark := phrases.mark(row):
        yield plain(mark)
    yield from (plain(sentence) for sentence in row.why.sentences if sentence != row.reason)


def _policy(ref: PolicyRef, texts: PolicyTexts, causes: Numbers[tuple[Cause, ...]]) -> dict[str, Any]:
    """A policy with its lines, and which of them each path covers."""
    found = texts.text(ref)
    known: dict[str, Any] = {"name": plain(str(ref)), "kind": ref.kind}
    if found is None:
        return known
    paths = {path(cause) for some in causes for cause in some if cause.policy == ref}
    return known | {
        "file": plain(f"{found.file}:{found.first}") if found.file else None,
        "first": found.first,
        "lines": [plain(line) for line in found.lines],
        "blocks": {where: found.block(where) for where in sorted(paths)},
    }


def _graph(step: ReportStep, title: str) -> Graph:
    flows = step.counts.flows
    options = GraphOptions(by_namespace=True if flows > MOST_DRAWN else None)
    pairs = cells_of_rows(islice(step.rows, MOST_FLOWS))
    return visible(build(title, pairs, options, workloads(step.policies.cluster)))
