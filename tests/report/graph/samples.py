"""Cells and graphs made by hand, and hostile names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from netprobe.diff import Mismatch
from netprobe.model.verdict import Verdict
from netprobe.report import graph
from netprobe.report.graph import Graph, GraphOptions
from netprobe.report.graph.elements import EndName, GraphCell, by_pair

FlowCell: TypeAlias = tuple[EndName, EndName, GraphCell]

HOSTILE = (
    '"]; end; click x href "https://evil.example"',
    "</script><script>alert(1)</script>",
    "</style><img src=https://evil.example/x onerror=alert(1)>",
    "<!--<script>",
    "a' onclick='alert(1)",
    '\\"; }; digraph x { "',
    "&lt;b&gt; &#34; #34;",
    "`code` **bold** 1. list",
    "line\nbreak\u2028\u2029\r\0",
    "\u202eright to left",
    "]]> <![CDATA[",
    "%%{init: {'securityLevel': 'loose'}}%%",
    "\ud800 half a surrogate",
)

DENIED_SIMULATED = (Mismatch.DECLARED_SIMULATED,)


def cell(
    source: str,
    destination: str,
    port: int = 80,
    simulated: Verdict = Verdict.ALLOW,
    *,
    declared: Verdict | None = None,
    declared_by: str | None = None,
) -> FlowCell:
    """A simulated cell; a declaration that differs makes it a mismatch."""
    differs = DENIED_SIMULATED if declared not in {None, simulated} else ()
    found = GraphCell(
        port, declared=declared, simulated=simulated, mismatches=differs, declared_by=declared_by
    )
    return EndName.parse(source), EndName.parse(destination), found


def build(cells: Iterable[FlowCell], options: GraphOptions = GraphOptions()) -> Graph:  # noqa: B008 (frozen)
    return graph.build("t", by_pair(cells), options)


def everybody(ends: list[str], port: int = 80) -> list[FlowCell]:
    """Everyone reaches everyone else."""
    return [cell(one, other, port) for one in ends for other in ends if one != other]


def arrows(of: Graph) -> set[str]:
    """ "a/x > b/y 80, 443"."""
    return {f"{of.name(edge.source)} > {of.name(edge.target)} {edge.label.text}" for edge in of.edges}


def hostile() -> Graph:
    """All hostile names as namespaces, pods and hosts outside, with every kind of arrow."""
    pods = [EndName(name, name) for name in HOSTILE]
    hosts = [EndName(None, name) for name in HOSTILE]
    cells: list[FlowCell] = []
    for number, (pod, host) in enumerate(zip(pods, hosts, strict=True)):
        verdict = (Verdict.ALLOW, Verdict.DENY, Verdict.UNKNOWN)[number % 3]
        known = GraphCell(80, simulated=verdict, declared=verdict, declared_by="row", note=host.name)
        wrong = GraphCell(81, declared=Verdict.DENY, simulated=Verdict.ALLOW, mismatches=DENIED_SIMULATED)
        cells += [(host, pod, known), (pod, pods[(number + 1) % len(pods)], wrong)]
    return graph.build(HOSTILE[1], by_pair(cells), notes=[HOSTILE[2]])
