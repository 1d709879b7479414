"""`netprobe graph`: the matrix as a picture."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from netprobe.cli.frame import say
from netprobe.cli.options import (
    ExternalType,
    OutputFileType,
    PortArgument,
    examples,
    filename_option,
    port_option,
    profile_option,
)
from netprobe.errors import UsageError
from netprobe.model.flow import External

FORMATS = ("mermaid", "dot", "svg", "html")
SUFFIXES = {".mmd": "mermaid", ".mermaid": "mermaid", ".dot": "dot", ".gv": "dot", ".svg": "svg"}
SUFFIXES |= {".html": "html", ".htm": "html"}


F = TypeVar("F", bound=Callable[..., Any])


def switch(name: str, positive: str, negative: str, told: str) -> Callable[[F], F]:
    """An option that is decided by the size of the graph unless it is given."""
    return click.option(f"--{positive}/--{negative}", name, default=None, help=told)


@click.command
@click.argument("suite", required=False, type=click.Path())
@filename_option
@click.option(
    "--report",
    "saved",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Draw a report of `netprobe run -o json`. With a SUITE too, what its rows deny is drawn.",
)
@click.option(
    "--from", "sources", multiple=True, metavar="POD", help="Only from these: NAMESPACE/POD, * for any."
)
@click.option("--to", "destinations", multiple=True, metavar="POD", help="Only to these.")
@port_option
@click.option(
    "--external",
    "externals",
    type=ExternalType(),
    multiple=True,
    metavar="ADDRESS",
    help="An address outside, as both ends; with -f.",
)
@click.option("--declared", "view", flag_value="declared", help="Draw what the suite declares.")
@click.option("--simulated", "view", flag_value="simulated", help="Draw what the policies say.")
@click.option("--observed", "view", flag_value="observed", help="Draw what a report saw, and nothing else.")
@click.option(
    "--denied",
    type=click.Choice(["rows", "named", "all", "none"]),
    default=None,
    help="Which denied flows to draw: those that a row of the suite denies (rows, the default), only "
    "those of rows that name both ends (named), all, or none. What is not as declared always is.",
)
@click.option("--step", type=click.IntRange(0), default=0, help="After that many steps of the suite.")
@switch("group", "group", "no-group", "Pods of different workloads that behave alike are one box.")
@switch("bundle", "bundle", "no-bundle", "Arrows from or to every pod of a namespace are one.")
@switch("summary", "by-namespace", "by-pod", "A namespace is one box.")
@profile_option
@click.option(
    "-o", "--output", type=click.Choice(FORMATS), help="The format; else by the file's name, or mermaid."
)
@click.option("--output-file", type=OutputFileType(), metavar="PATH", help="Write to a file.")
@examples("""
netprobe graph suite.yaml                                     # mermaid, for a README
netprobe graph suite.yaml --output-file matrix.html           # a page to click through
netprobe graph -f manifests/ --to shop/cart -o svg > cart.svg
netprobe graph --report report.json suite.yaml --observed -o dot | dot -Tpdf > seen.pdf
""")
def command(
    *,
    suite: str | None,
    filenames: Sequence[str],
    saved: Path | None,
    sources: Sequence[str],
    destinations: Sequence[str],
    ports: Sequence[PortArgument],
    externals: Sequence[External],
    view: str | None,
    denied: str | None,
    step: int,
    group: bool | None,
    bundle: bool | None,
    summary: bool | None,
    profile: str,
    output: str | None,
    output_file: Path | None,
) -> int:
    """Draw who may talk to whom, by a SUITE, by manifests, or by the report of a run.

    Namespaces are frames, arrows what is allowed, with the ports; what a row of the suite denies is drawn
    with a mark, and what is not as declared in red. A page (-o html) tells why a flow is allowed or denied,
    and asks nothing of any server. The exit status is 0 whatever the picture shows: `simulate` and `run`
    judge.
    """
    from netprobe.cli.drawing import Asked, drawing
    from netprobe.report.graph import Denied, View, Wanted, draw
    from netprobe.report.graph.mermaid import MOST_ARROWS

    format_ = output or _format_of(output_file)
    wanted = Wanted(
        View(view or "result"),
        Denied(denied or "rows"),
        group,
        bundle,
        summary,
        only_drawn=bool(sources or destinations),
        most_arrows=MOST_ARROWS if format_ == "mermaid" else None,
    )
    asked = Asked(
        suite,
        filenames,
        saved,
        sources,
        destinations,
        tuple((port.number, port.protocol) for port in ports),
        externals,
        step,
        profile,
        whys=format_ == "html",
    )
    graph = drawing(asked, wanted)
    for note in graph.notes:
        say(note)
    if format_ == "mermaid" and len(graph.edges) > MOST_ARROWS:
        say(
            f"mermaid draws {MOST_ARROWS} arrows unless its maxEdges is raised, and these are "
            f"{len(graph.edges):,}: narrow them by --from and --to, or ask for -o html"
        )
    if not graph.nodes:
        say("no flow to draw: fewer than two pods, or no port that one declares (--port names one)")
    pieces = draw(graph, format_)
    if output_file is None:
        sys.stdout.writelines(pieces)
        return 0
    from netprobe.report import save

    save(output_file, pieces)
    return 0


def _format_of(file: Path | None) -> str:
    """The format that a file's name asks for; mermaid where there is none, or a text to put it in."""
    suffix = file.suffix.lower() if file is not None else ""
    if suffix in {"", ".md", ".txt"}:
        return "mermaid"
    if suffix not in SUFFIXES:
        raise UsageError(
            f"{file}: what is that? Say so by -o ({', '.join(FORMATS)}); names end in {', '.join(SUFFIXES)}"
        )
    return SUFFIXES[suffix]
