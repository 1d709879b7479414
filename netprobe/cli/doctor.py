"""`netprobe doctor`: is this cluster fit for a run, and does it enforce at all?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from netprobe.cli.options import DurationType, cluster_options, examples, lab_options, ready_option
from netprobe.cli.pod_options import PodFlags, pod_options, print_images

if TYPE_CHECKING:
    from netprobe.doctor import Diagnosis
    from netprobe.lab import LabOptions
    from netprobe.probe import Deadlines, PodOptions
    from netprobe.run.target import Target


@click.command
@cluster_options
@lab_options
@pod_options
@click.option(
    "--nodes",
    type=click.IntRange(0),
    default=3,
    show_default=True,
    help="How many nodes to try; 0 is all of them.",
)
@click.option(
    "--within",
    "within_s",
    type=DurationType(),
    default="10s",
    show_default=True,
    help="How long the cluster may take to enforce a policy.",
)
@ready_option("120s")
@click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "json", "yaml", "rbac"]),
    default="table",
    show_default=True,
    help="rbac: the missing permissions alone, to be applied.",
)
@examples("""
netprobe doctor --context kind-kind            # a cluster of your kubeconfig
netprobe doctor --context kind-kind -o json
netprobe doctor --context prod -o rbac         # what to ask an administrator for
netprobe doctor                                # a lab made for this
""")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    kubeconfig: str | None,
    context: str | None,
    request_timeout_s: float,
    nodes: int,
    within_s: float,
    ready_s: float,
    output: str,
    **others: Any,
) -> int:
    """Say whether a cluster enforces NetworkPolicy, and whether netprobe can run on it.

    A client and a server on each node are made, denied to talk by a policy for ingress and one for egress,
    watched, and removed again. One line each for permissions, nodes, network plugin, paths, DNS, clocks and
    the like, with the evidence. Exit status: 0 fine, 1 something is wrong, 3 could not tell.
    """
    import os
    import sys

    from netprobe.cli.options import resolve_target
    from netprobe.cli.progress import run_async
    from netprobe.probe import Deadlines
    from netprobe.report import Style
    from netprobe.report.diagnosis import render_diagnosis

    flags = PodFlags.taken_from(others)
    target, options = resolve_target(ctx, kubeconfig, context, **others)
    if flags.print_images:
        return print_images(flags)
    diagnosis = run_async(
        _diagnose(
            target,
            options,
            pods=flags.pods(lifetime_s=900),
            deadlines=Deadlines(ready_s=ready_s),
            most_nodes=nodes,
            within_s=within_s,
            request_timeout_s=request_timeout_s,
        )
    )
    print(render_diagnosis(diagnosis, output, Style.of(sys.stdout, os.environ)), end="")
    return diagnosis.exit_status


async def _diagnose(
    target: Target,
    lab: LabOptions,
    *,
    pods: PodOptions,
    deadlines: Deadlines,
    most_nodes: int,
    within_s: float,
    request_timeout_s: float,
) -> Diagnosis:
    from netprobe.cli.progress import shown
    from netprobe.doctor import Examination
    from netprobe.kube.facts import facts, other_policies
    from netprobe.run.cluster import open_cluster
    from netprobe.run.options import RunOptions

    with shown() as narrate:
        options = RunOptions(target, lab, request_timeout_s=request_timeout_s)
        async with open_cluster(options, narrate) as there:
            examination = Examination(
                there.api,
                await facts(there.api),
                there.api.server,
                await other_policies(there.api),
                lab=there.is_lab,
                options=pods,
                deadlines=deadlines,
                most_nodes=most_nodes,
                within_s=within_s,
                progress=narrate,
            )
            return await examination.diagnose()
