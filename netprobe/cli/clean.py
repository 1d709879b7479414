"""`netprobe clean`: what killed runs left behind."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from netprobe.cli.main import say
from netprobe.cli.options import cluster_options, examples
from netprobe.errors import NetprobeError, UsageError

if TYPE_CHECKING:
    from netprobe.probe import Cleaned, Leftover
    from netprobe.run.options import Target


@click.command
@cluster_options
@click.option("--lab", "lab_name", metavar="NAME", help="Only on the lab of that name.")
@click.option("--run", "run", metavar="ID", help="Only what this run left.")
@click.option("--dry-run", is_flag=True, help="Say what would be removed, and remove nothing.")
@examples("""
netprobe clean                       # this machine: labs of killed runs, and killed runs on named labs
netprobe clean --context kind-kind   # a cluster: everything of runs that live no more
netprobe clean --context kind-kind --run 3f2a9c01 --dry-run
""")
@click.pass_context
def command(
    ctx: click.Context,
    kubeconfig: str | None,
    context: str | None,
    request_timeout_s: float,
    lab_name: str | None,
    run: str | None,
    dry_run: bool,
) -> int:
    """Remove what runs that were killed left behind; living runs are spared.

    Only objects that carry a run's label are ever deleted. Without --kubeconfig or --context this is about
    the labs of this machine.
    """
    from netprobe.cli.progress import run_async
    from netprobe.lab import Health, list_labs
    from netprobe.run.options import Target

    if lab_name and (kubeconfig or context):
        raise UsageError("--lab and --kubeconfig/--context name two different clusters: give one")
    target = Target(kubeconfig, context, ctx.obj.plugin, lab_name)
    targets: Iterable[Target] = [target]
    if target.is_ephemeral_lab:
        labs = list_labs()  # forgets those that were killed; an ephemeral lab ends with its run by itself
        targets = [Target(lab=lab.name) for lab in labs if not lab.name.startswith("run-")]
    found = []
    for one in targets:
        try:
            found.append(run_async(_clean(one, run, dry_run, request_timeout_s)))
        except NetprobeError:
            # A lab that ended meanwhile, or is only starting, holds nothing that a dead run left.
            alive = {lab.name for lab in list_labs() if lab.health is Health.RUNNING}
            if not target.is_ephemeral_lab or one.lab in alive:
                raise
    removed = [left for cleaned in found for left in cleaned.removed]
    spared = [left for cleaned in found for left in cleaned.spared]
    for left in removed:
        print(f"{'would remove' if dry_run else 'removed'} {_told(left)}")
    for left in spared:
        print(f"spared {_told(left)}: {left.life.why}")
    if unseen := dict.fromkeys(kind for cleaned in found for kind in cleaned.unlisted):
        say(
            f"these credentials may not list {', '.join(unseen)} objects in all namespaces: "
            "what runs in place left behind was not looked for"
        )
    if not (removed or spared):
        say("nothing was left behind")
    return 0


def _told(left: Leftover) -> str:
    return f"run {left.run}: {', '.join(left.objects)}"


async def _clean(target: Target, run: str | None, dry_run: bool, request_timeout_s: float) -> Cleaned:
    from netprobe.cli.progress import shown
    from netprobe.probe import clean
    from netprobe.run.cluster import open_cluster
    from netprobe.run.options import RunOptions

    with shown() as narrate:
        async with open_cluster(RunOptions(target, request_timeout_s=request_timeout_s), narrate) as there:
            narrate("looking for what runs left behind")
            return await clean(there.api, run, dry_run=dry_run)
