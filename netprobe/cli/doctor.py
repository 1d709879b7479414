"""`netprobe doctor`: is this cluster fit for a run, and does it enforce at all?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from netprobe.cli import options
from netprobe.cli.flags import ClusterFlags, LabFlags, PodFlags, resolve_target
from netprobe.report import DIAGNOSIS_FORMATS

if TYPE_CHECKING:
    from netprobe.doctor import Diagnosis
    from netprobe.run.cluster import RunOptions


@dataclass(frozen=True, slots=True)
class DoctorFlags(options.Flags):
    cluster: ClusterFlags = options.nested(ClusterFlags)
    lab: LabFlags = options.nested(LabFlags)
    pods: PodFlags = options.nested(PodFlags)
    nodes: int = options.option(
        "--nodes N", "How many nodes to test; 0 means all.", type=click.IntRange(0), default=3
    )
    within_s: float = options.duration(
        "--within", "How long the cluster may take to enforce a policy.", default="10s"
    )
    ready_s: float = options.ready("120s")
    out: options.OutputFlags = options.output(
        DIAGNOSIS_FORMATS.names,
        help="Output format; rbac: only the missing permissions, as YAML to apply.",
    )


@options.as_command(DoctorFlags)
def command(flags: DoctorFlags) -> int:
    """Check whether a cluster enforces NetworkPolicy, and whether netprobe can run on it.

    Creates a client and a server on each tested node, denies their connections with a policy for ingress and
    one for egress, and removes everything again. Prints a line with the evidence for each check: permissions,
    nodes, network plugin, paths, DNS, enforcement, clocks and so on.

    Exit status: 0 fine, 1 something is wrong, 3 could not tell.

    Examples:
      netprobe doctor --context kind-kind            # a cluster of your kubeconfig
      netprobe doctor --context kind-kind -o json
      netprobe doctor --context prod -o rbac         # RBAC to ask an administrator for
      netprobe doctor                                # a lab created for this run
    """
    from netprobe.cli.emit import write
    from netprobe.cli.signals import run_async
    from netprobe.probe import Deadlines
    from netprobe.run.cluster import RunOptions

    target, new_lab = resolve_target(flags.cluster, flags.lab)
    wanted = RunOptions(
        target,
        new_lab,
        pods=flags.pods.options(lifetime_s=900),
        deadlines=Deadlines(ready_s=flags.ready_s),
        request_timeout_s=flags.cluster.request_timeout_s,
    )
    diagnosis = run_async(_diagnose(wanted, most_nodes=flags.nodes, within_s=flags.within_s))
    write(DIAGNOSIS_FORMATS.of(diagnosis), flags.out)
    return diagnosis.exit_status


async def _diagnose(wanted: RunOptions, *, most_nodes: int, within_s: float) -> Diagnosis:
    from netprobe.cli.progress import shown
    from netprobe.doctor import Examination
    from netprobe.kube.facts import facts
    from netprobe.probe.deciding import other_policies
    from netprobe.run.cluster import open_cluster

    with shown() as progress:
        async with open_cluster(wanted, progress) as cluster:
            examination = Examination(
                cluster.api,
                await facts(cluster.api),
                cluster.api.server,
                tuple((await other_policies(cluster.api)).kinds),
                lab=cluster.is_lab,
                options=wanted.pods,
                deadlines=wanted.deadlines,
                most_nodes=most_nodes,
                within_s=within_s,
                progress=progress,
            )
            return await examination.diagnose()
