"""`netprobe doctor`: is this cluster fit for a run, and does it enforce at all?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from netprobe.cli.command import Command
from netprobe.cli.flags import (
    ClusterFlags,
    LabFlags,
    PodFlags,
    cluster_options,
    lab_options,
    pod_options,
    resolve_target,
)
from netprobe.cli.options import OutputFlags, duration_option, examples, output_options, ready_option

if TYPE_CHECKING:
    from netprobe.doctor import Diagnosis
    from netprobe.run.options import RunOptions


@click.command(cls=Command)
@cluster_options
@lab_options
@pod_options
@click.option(
    "--nodes",
    type=click.IntRange(0),
    default=3,
    help="How many nodes to try; 0 is all of them.",
)
@duration_option(
    "--within", "within_s", default="10s", help="How long the cluster may take to enforce a policy."
)
@ready_option("120s")
@output_options(
    ("table", "json", "yaml", "rbac"),
    help="Output format; rbac: only the missing permissions, as YAML to apply.",
)
@examples("""
netprobe doctor --context kind-kind            # a cluster of your kubeconfig
netprobe doctor --context kind-kind -o json
netprobe doctor --context prod -o rbac         # the RBAC to ask an administrator for
netprobe doctor                                # a temporary lab
""")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    cluster: ClusterFlags,
    lab: LabFlags,
    pods: PodFlags,
    nodes: int,
    within_s: float,
    ready_s: float,
    out: OutputFlags,
) -> int:
    """Check whether a cluster enforces NetworkPolicy, and whether netprobe can run on it.

    Creates a client and a server on each node, denies their connections with a policy for ingress and one for
    egress, and removes everything again. Prints one line each for permissions, nodes, network plugin, paths,
    DNS, clocks and so on, with the evidence. Exit status: 0 fine, 1 something is wrong, 3 could not tell.
    """
    from netprobe.cli.emit import write
    from netprobe.cli.signals import run_async
    from netprobe.probe import Deadlines
    from netprobe.report.diagnosis import DIAGNOSIS_FORMATS
    from netprobe.run.options import RunOptions

    target, new_lab = resolve_target(ctx, cluster, lab)
    options = RunOptions(
        target,
        new_lab,
        pods=pods.options(lifetime_s=900),
        deadlines=Deadlines(ready_s=ready_s),
        request_timeout_s=cluster.request_timeout_s,
    )
    diagnosis = run_async(_diagnose(options, most_nodes=nodes, within_s=within_s))
    write(DIAGNOSIS_FORMATS.of(diagnosis), out)
    return diagnosis.exit_status


async def _diagnose(options: RunOptions, *, most_nodes: int, within_s: float) -> Diagnosis:
    from netprobe.cli.progress import shown
    from netprobe.doctor import Examination
    from netprobe.kube.facts import facts
    from netprobe.probe.deciding import other_policies
    from netprobe.run.cluster import open_cluster

    with shown() as progress:
        async with open_cluster(options, progress) as cluster:
            examination = Examination(
                cluster.api,
                await facts(cluster.api),
                cluster.api.server,
                tuple((await other_policies(cluster.api)).kinds),
                lab=cluster.is_lab,
                options=options.pods,
                deadlines=options.deadlines,
                most_nodes=most_nodes,
                within_s=within_s,
                progress=progress,
            )
            return await examination.diagnose()
