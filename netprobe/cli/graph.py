"""`netprobe graph`: who may talk to whom, as a picture."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from netprobe.cli import options
from netprobe.cli.command import is_given
from netprobe.cli.flags import ClusterFlags, Selection
from netprobe.cli.inputs import InputFlags, World, read_world
from netprobe.cli.invoke import say
from netprobe.errors import UsageError
from netprobe.report import GRAPH_FORMATS

if TYPE_CHECKING:
    from netprobe.report.graph import Graph
    from netprobe.report.graph.inputs import GraphRequest

SUFFIXES = {".mmd": "mermaid", ".mermaid": "mermaid", ".dot": "dot", ".gv": "dot", ".svg": "svg"}
SUFFIXES |= {".html": "html", ".htm": "html"}


@dataclass(frozen=True, slots=True)
class GraphFlags(options.Flags):
    inputs: InputFlags = options.nested(InputFlags)
    cluster: ClusterFlags = options.nested(ClusterFlags)
    saved: Path | None = options.option(
        "--from-report FILE",
        "Draw a report written by `netprobe run -o json`; with its SUITE, in more detail.",
        type=click.Path(path_type=Path),
    )
    selection: Selection = options.nested(Selection)
    view: str | None = options.switches(
        declared="Draw what the suite declares.",
        simulated="Draw what the policies say.",
        observed="Draw what was observed in a report (--from-report).",
    )
    denied: str | None = options.option(
        "--denied",
        "Which denied flows to draw: those that a row of the suite denies (rows, the default), that a "
        "row naming both ends denies (named), all, or none. Flows that are not as expected are always drawn.",
        type=click.Choice(["rows", "named", "all", "none"]),
        default=None,
    )
    step: int = options.option(
        "--step N", "Draw the state after the first N steps of the suite.", type=click.IntRange(0), default=0
    )
    group: bool | None = options.option(  # for these three, by default the size of the graph decides
        "--group/--no-group",
        "Draw pods of different workloads that behave alike as one box. Default: above 30 boxes.",
        default=None,
    )
    bundle: bool | None = options.option(
        "--bundle/--no-bundle",
        "Draw one arrow for all pods of a namespace if they have the same. Default: above 40 arrows.",
        default=None,
    )
    by_namespace: bool | None = options.option(
        "--by-namespace/--by-pod",
        "Draw one box for each namespace. Default: above 400 boxes.",
        default=None,
    )
    profile: str = options.profile()
    out: options.OutputFlags = options.output(
        GRAPH_FORMATS.names,
        help="Output format. Default: by the extension of --output-file, otherwise mermaid.",
    )


@options.as_command(GraphFlags)
def command(flags: GraphFlags) -> int:
    """Draw who may talk to whom, according to a SUITE, manifests, a live cluster, or the report of a run.

    Frames are namespaces, and arrows are allowed flows with their ports. Denied flows are drawn dotted if a
    row of the suite denies them. Flows that are not as expected are red. A page (-o html) also shows why a
    flow is allowed or denied, and works offline. The exit status does not depend on what is drawn.

    Examples:
      netprobe graph suite.yaml                                     # mermaid, for a README
      netprobe graph suite.yaml --output-file matrix.html           # a page to click through
      netprobe graph manifests/ --to shop/cart -o svg > cart.svg
      netprobe graph --from-report report.json --observed -o svg > run.svg
    """
    from netprobe.cli.emit import write
    from netprobe.report.graph import Denied, DrawnTable, GraphOptions
    from netprobe.report.graph.inputs import GraphRequest
    from netprobe.report.graph.text_formats import MERMAID_MOST_EDGES
    from netprobe.simulate import profile as profile_of

    out = flags.out
    if not is_given("output"):
        out = replace(out, output=_format_of(out.output_file))
    written = {out.output, *(one.format for one in out.reports)}
    wanted = GraphOptions(
        DrawnTable(flags.view or "result"),
        Denied(flags.denied or "rows"),
        flags.group,
        flags.bundle,
        flags.by_namespace,
        drawn_only=bool(flags.selection.sources or flags.selection.destinations),
        most_edges=MERMAID_MOST_EDGES if written == {"mermaid"} else None,
    )
    request = GraphRequest(
        wanted,
        profile_of(flags.profile),
        flags.selection.sources,
        flags.selection.destinations,
        tuple(flags.selection.ports),
        flags.step,
        explain="html" in written,
        suggest="html" in written,
    )
    graph = _graph(request, flags)
    for note in graph.notes:
        say(note)
    if "mermaid" in written and len(graph.edges) > MERMAID_MOST_EDGES:
        say(
            f"mermaid draws at most {MERMAID_MOST_EDGES} arrows unless maxEdges is raised, and there are "
            f"{len(graph.edges):,}: select some with --from and --to, or use -o html"
        )
    if not graph.nodes:
        say("no flow to draw: fewer than two pods, or no pod declares a port (name one with --port)")
    write(GRAPH_FORMATS.of(graph), out)
    return 0


def _graph(request: GraphRequest, flags: GraphFlags) -> Graph:
    """Read what the arguments name. UsageError if they do not go together."""
    from netprobe.report.graph.inputs import graph_of_manifests, graph_of_report, graph_of_suite
    from netprobe.report.saved import read_report

    inputs, cluster, saved, externals = flags.inputs, flags.cluster, flags.saved, flags.selection.externals
    suite, manifests = inputs.split()
    if externals and (suite or saved):
        raise UsageError("--external needs -f without a suite: suites and reports name their own hosts")
    if saved is not None:
        if suite is None and (manifests or cluster):
            raise UsageError("--from-report cannot be combined with manifests: a report has its own flows")
        world = read_world(inputs, cluster, nothing="") if suite is not None else World()
        return graph_of_report(request, saved.name, read_report(saved), world.suite, world.live)
    world = read_world(
        inputs,
        cluster,
        nothing="nothing to draw: name a SUITE, manifests with -f, a cluster with --context, "
        "or a report with --from-report",
    )
    if world.suite is not None:
        return graph_of_suite(request, world.suite, world.live)
    return graph_of_manifests(request, world.cluster(), externals)


def _format_of(file: Path | None) -> str:
    """The format of a file by its name: mermaid for Markdown, text, and without a file."""
    suffix = file.suffix.lower() if file is not None else ""
    if suffix in {"", ".md", ".txt"}:
        return "mermaid"
    if suffix not in SUFFIXES:
        known = ", ".join(SUFFIXES)
        raise UsageError(
            f"{file}: unknown format; use -o ({', '.join(GRAPH_FORMATS.names)}) or one of the endings {known}"
        )
    return SUFFIXES[suffix]
