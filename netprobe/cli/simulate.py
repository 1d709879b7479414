"""`netprobe simulate`: what the policies say, without a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import click

from netprobe.cli.main import say
from netprobe.cli.options import (
    ExternalType,
    PortArgument,
    ReportFile,
    examples,
    filename_option,
    output_option,
    port_option,
    profile_option,
)
from netprobe.errors import UsageError
from netprobe.model.flow import End, External

OF_EVERY_ROW = frozenset({"json", "yaml", "junit", "github"})
"""The formats that write every row, however many there are."""


@click.command
@click.argument("suite", required=False, type=click.Path())
@filename_option
@port_option
@click.option(
    "--from",
    "sources",
    multiple=True,
    metavar="POD",
    help="Only flows from these pods: NAMESPACE/POD, may contain *. Repeatable.",
)
@click.option(
    "--to",
    "destinations",
    multiple=True,
    metavar="POD",
    help="Only flows to these pods, or to svc:NAMESPACE/NAME. Repeatable.",
)
@click.option(
    "--external",
    "externals",
    type=ExternalType(),
    multiple=True,
    metavar="ADDRESS",
    help="Include an address outside the cluster, as source and destination. Repeatable.",
)
@click.option("--include-self", is_flag=True, help="Include flows of pods to themselves.")
@click.option(
    "--changed-only", is_flag=True, help="Show only flows that policies deny, or that are not as expected."
)
@profile_option
@output_option()
@examples("""
netprobe simulate suite.yaml                        # compare with what the suite declares
netprobe simulate suite.yaml -o github              # in a workflow: annotations at the policy's line
netprobe simulate -f manifests/ --port 80 --port 53/udp -o json
kubectl get namespaces,pods,services,networkpolicies -A -o json | netprobe simulate -f - --to shop/cart
""")
def command(
    *,
    suite: str | None,
    filenames: Sequence[str],
    ports: Sequence[PortArgument],
    sources: Sequence[str],
    destinations: Sequence[str],
    externals: Sequence[External],
    include_self: bool,
    changed_only: bool,
    profile: str,
    output: str,
    reports: Sequence[ReportFile],
) -> int:
    """Show what the policies of a SUITE, or of manifests, allow.

    With a SUITE, compare the flows that it declares with what its policies say; exit status 1 if they
    differ. Without one, list every ordered pair of different pods, on the ports that the destination
    declares or that --port names.
    """
    from netprobe.cli.emit import emit
    from netprobe.run.record import ClusterInfo, Report, RunInfo
    from netprobe.simulate import profile as profile_of

    started = datetime.now(UTC)
    chosen = profile_of(profile)
    wanted_ports = [(port.number, port.protocol) for port in ports]
    if suite is not None:
        if externals or include_self:
            raise UsageError(
                "--external and --include-self cannot be used with a suite, as it declares its own flows"
            )
        from netprobe.cli.inputs import suite_and_live
        from netprobe.run.simulated import suite_steps

        read, live = suite_and_live(suite, filenames)
        name: str | None = read.name
        cluster = read.cluster(live)
        steps = suite_steps(
            read,
            live,
            chosen,
            sources=sources,
            destinations=destinations,
            ports=wanted_ports,
            changed_only=changed_only,
        )
    elif filenames:
        from netprobe.cli.inputs import read_cluster
        from netprobe.run.simulated import pairs_step
        from netprobe.simulate import AllPairs, ask

        cluster, name = read_cluster(filenames), None
        question = ask(
            cluster,
            sources=sources,
            destinations=destinations,
            externals=externals,
            ports=wanted_ports,
            include_self=include_self,
        )
        if not question.size:
            say("no flow to show: fewer than two pods, or no pod declares a port (name one with --port)")
        written = {output, *(one.format for one in reports)}
        steps = (
            pairs_step(
                AllPairs(question, chosen),
                changed_only=changed_only,
                groups=bool(written - OF_EVERY_ROW),
                rows=bool(written & OF_EVERY_ROW),
            ),
        )
    else:
        raise UsageError("nothing to simulate: give a suite, or manifests with -f")
    nodes: dict[End, str] = {pod.ref: pod.node for pod in cluster.pods.values() if pod.node is not None}
    info = ClusterInfo(cni=chosen.name)
    return emit(Report(name, info, RunInfo.since(started), steps, nodes=nodes), output, reports)
