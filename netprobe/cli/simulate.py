"""`netprobe simulate`: what the policies say, without a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import click

from netprobe.cli.flags import Selection, selection_options
from netprobe.cli.invoke import say
from netprobe.cli.options import examples, manifests_option, output_options, profile_option
from netprobe.cli.parameters import ReportFile
from netprobe.errors import UsageError
from netprobe.model.flow import End
from netprobe.report import FORMATS

OF_EVERY_ROW = frozenset({"json", "yaml", "junit", "github"})
"""The formats that write every row, however many there are."""


@click.command
@click.argument("suite", required=False, type=click.Path())
@manifests_option
@selection_options
@click.option("--include-self", is_flag=True, help="Include flows of pods to themselves.")
@click.option(
    "--changed-only", is_flag=True, help="Show only flows that policies deny, or that are not as expected."
)
@profile_option
@output_options(FORMATS.names)
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
    selection: Selection,
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
    if suite is not None:
        if selection.externals or include_self:
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
            sources=selection.sources,
            destinations=selection.destinations,
            ports=selection.ports,
            changed_only=changed_only,
        )
    elif filenames:
        from netprobe.cli.inputs import read_cluster
        from netprobe.run.simulated import pairs_step
        from netprobe.simulate import AllPairs, read_question

        cluster, name = read_cluster(filenames), None
        question = read_question(
            cluster,
            sources=selection.sources,
            destinations=selection.destinations,
            externals=selection.externals,
            ports=selection.ports,
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
