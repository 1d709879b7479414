"""`netprobe clean`: what killed runs left behind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from netprobe.cli.command import Command
from netprobe.cli.flags import ClusterFlags, cluster_options
from netprobe.cli.invoke import say
from netprobe.cli.options import examples
from netprobe.errors import NetprobeError

if TYPE_CHECKING:
    from netprobe.probe import Cleaned
    from netprobe.run.target import ClusterChoice


@click.command(cls=Command)
@cluster_options
@click.option("--run", metavar="ID", help="Remove only what this run left.")
@click.option("--dry-run", is_flag=True, help="Print what would be removed, and remove nothing.")
@examples("""
netprobe clean                       # this machine: labs of killed runs, and killed runs on named labs
netprobe clean --context kind-kind   # a cluster: everything that dead runs left
netprobe clean --context kind-kind --run 3f2a9c01 --dry-run
""")
@click.pass_context
def command(
    ctx: click.Context,
    cluster: ClusterFlags,
    run: str | None,
    dry_run: bool,
) -> int:
    """Remove what killed runs left behind; runs that are alive are spared.

    Only objects with a run's label are ever deleted. Without --kubeconfig or --context, this cleans the labs
    of this machine.
    """
    from netprobe.probe import Cleaned

    target = cluster.choice(current=ctx.obj.plugin)
    if target.is_ephemeral_lab:
        found = list(_clean_labs(run, dry_run, cluster.request_timeout_s))
    else:
        found = [_clean(target, run, dry_run, cluster.request_timeout_s)]
    _print(Cleaned.merged(found), dry_run=dry_run)
    return 0


def _clean_labs(run: str | None, dry_run: bool, request_timeout_s: float) -> Iterator[Cleaned]:
    """Clean each lab of this machine. One that ends meanwhile or only starts holds nothing of dead runs."""
    from netprobe.lab import Health, list_labs
    from netprobe.run.target import ClusterChoice

    for lab in list_labs():  # forgets killed labs; an ephemeral lab ends with its run by itself
        if lab.name.startswith("run-"):
            continue
        try:
            yield _clean(ClusterChoice(lab=lab.name), run, dry_run, request_timeout_s)
        except NetprobeError:
            if any(one.name == lab.name and one.health is Health.RUNNING for one in list_labs()):
                raise


def _print(cleaned: Cleaned, *, dry_run: bool) -> None:
    for left in cleaned.removed:
        print(f"{'would remove' if dry_run else 'removed'} {left}")
    for left in cleaned.spared:
        print(f"spared {left}: {left.life.why}")
    if cleaned.unlisted:
        say(
            f"these credentials may not list {', '.join(cleaned.unlisted)} objects in all namespaces: "
            "leftovers of in-place runs were not searched for"
        )
    if not (cleaned.removed or cleaned.spared):
        say("nothing was left behind")


def _clean(target: ClusterChoice, run: str | None, dry_run: bool, request_timeout_s: float) -> Cleaned:
    from netprobe.cli.progress import run_async, shown
    from netprobe.probe import clean
    from netprobe.run.cluster import open_cluster
    from netprobe.run.options import RunOptions

    async def cleaned() -> Cleaned:
        with shown() as progress:
            options = RunOptions(target, request_timeout_s=request_timeout_s)
            async with open_cluster(options, progress) as cluster:
                progress("looking for what runs left behind")
                return await clean(cluster.api, run, dry_run=dry_run)

    return run_async(cleaned())
