"""`netprobe explain`: which policy, rule, peer and side decide a flow, and what to change."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace

import click

from netprobe.cli import complete
from netprobe.cli.command import Command
from netprobe.cli.emit import write
from netprobe.cli.flags import ClusterFlags, cluster_options
from netprobe.cli.inputs import InputFlags, input_options, read_world
from netprobe.cli.options import (
    FAMILIES,
    OutputFlags,
    examples,
    family_option,
    output_options,
    profile_option,
)
from netprobe.cli.parameters import PORT, PortArgument
from netprobe.errors import UsageError
from netprobe.model.cluster import Cluster
from netprobe.model.flow import End, External, Flow
from netprobe.model.verdict import Verdict
from netprobe.report.escape import plain
from netprobe.report.style import BOLD_BAD, BOLD_GOOD, BOLD_UNSURE, Style

COLOURS = {Verdict.ALLOW: BOLD_GOOD, Verdict.DENY: BOLD_BAD, Verdict.UNKNOWN: BOLD_UNSURE}


@click.command(cls=Command)
@click.argument("source", metavar="FROM", shell_complete=complete.pods)
@click.argument("destination", metavar="TO", shell_complete=complete.destinations)
@click.option(
    "--port",
    type=PORT,
    metavar="PORT[/PROTOCOL]",
    help="Port, as in 80 or 53/udp. Optional if TO declares only one port.",
)
@input_options
@click.option(
    "--suite", "suite_path", type=click.Path(), metavar="FILE", help="The suite, if it is not an argument."
)
@click.option("--step", type=click.IntRange(0), default=0, help="Apply the first N steps of the suite.")
@cluster_options
@family_option
@profile_option
@output_options(("text", "json"))
@examples("""
netprobe explain frontend/web database/pg --port 5432 manifests/
netprobe explain monitoring/grafana production/postgres --port 9187 suite.yaml
netprobe explain shop/cart 203.0.113.10 --port 443 --context staging
netprobe explain shop/web svc:shop/cart --port 80 cluster.json -o json
""")
def command(
    *,
    source: str,
    destination: str,
    port: PortArgument | None,
    inputs: InputFlags,
    step: int,
    cluster: ClusterFlags,
    ip_family: str | None,
    profile: str,
    out: OutputFlags,
) -> int:
    """Explain why the policies allow or deny a flow, from manifests, a suite or a live cluster.

    FROM and TO are NAMESPACE/POD, NAMESPACE/WORKLOAD or an address outside; TO may also be
    svc:NAMESPACE/SERVICE. The answer comes first, then every policy that applies, with the first thing in
    each rule that does not match, then the smallest change that would reverse the verdict.

    Exit status: 0, 2 for unusable input, 3 if the verdict is unknown.
    """
    from netprobe.explain import document, explain, lines
    from netprobe.simulate import Simulator
    from netprobe.simulate import profile as profile_of

    chosen = profile_of(profile)
    world = read_world(
        inputs,
        cluster,
        nothing="no policies given: use -f, --suite or --context",
    )
    if step and world.suite is None:
        raise UsageError("--step needs --suite")
    found = world.cluster(step)
    flow = _flow(found, world.externals, source, destination, port)
    if ip_family is not None:
        flow = replace(flow, family=FAMILIES[ip_family])
    explanation = explain(Simulator(found, chosen), flow)

    def render(format_: str, style: Style) -> Iterator[str]:
        if format_ == "json":
            yield json.dumps(document(explanation), indent=2) + "\n"
            return
        first, *rest = lines(explanation)
        yield style.paint(plain(first), COLOURS[explanation.verdict]) + "\n"
        yield from (plain(line) + "\n" for line in rest)

    write(render, out)
    return 3 if explanation.verdict is Verdict.UNKNOWN and not explanation.parts else 0


def _flow(
    cluster: Cluster, outside: Sequence[External], source: str, destination: str, port: PortArgument | None
) -> Flow:
    from netprobe.simulate import Question, flow, unknown_port

    one = _end(cluster, outside, source, "FROM")
    other = _end(cluster, outside, destination, "TO")
    question = Question(cluster, (one,), (other,), None if port is None else (port,))
    declared = question.ports_of(other)
    if port is not None and not declared:
        raise UsageError(f"--port {port.number}: {unknown_port(question, str(port.number))}")
    if len(declared) != 1:
        ports = ", ".join(f"{number}/{protocol.value}" for number, protocol in declared) or "none"
        raise UsageError(f"no port given: {other} declares {ports}; use --port")
    return flow(one, other, *declared[0])


def _end(cluster: Cluster, outside: Sequence[External], text: str, name: str) -> End:
    """The end with that name: a pod, a Service, an address, or a pod of the workload with that name."""
    from netprobe.simulate import ends, unknown_end

    found = ends(cluster, text, outside)
    if len(found) == 1:
        return found[0]
    if found:
        some = ", ".join(map(str, found[:3]))
        raise UsageError(f"{name} {text}: matches {len(found)} ends, such as {some}; name one")
    raise UsageError(f"{name} {text}: {unknown_end(cluster, text)}")
