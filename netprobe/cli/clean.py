"""`netprobe clean`: what killed runs left behind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from netprobe.cli import options
from netprobe.cli.command import invocation
from netprobe.cli.flags import ClusterFlags
from netprobe.cli.invoke import say
from netprobe.errors import NetprobeError, UsageError

if TYPE_CHECKING:
    from netprobe.probe import Cleaned
    from netprobe.run.target import ClusterChoice


@dataclass(frozen=True, slots=True)
class CleanFlags(options.Flags):
    cluster: ClusterFlags = options.nested(ClusterFlags)
    run: str | None = options.option("--run ID", "Clean up after this run only.")
    by_label: bool = options.flag(
        "--by-label",
        "With --run: also remove objects that only carry the label of this run, without proof that netprobe "
        "created them.",
    )
    dry_run: bool = options.flag("--dry-run", "Print what would be removed, and remove nothing.")


@options.as_command(CleanFlags)
def command(flags: CleanFlags) -> int:
    """Remove what killed runs left behind; live runs are left alone.

    An object is removed if its run's record names it and it carries the run's token. Objects that only carry
    the run's label are listed; --run ID --by-label removes them. Without --context or --kubeconfig, this
    cleans the labs of this machine.

    Examples:
      netprobe clean                       # the labs of this machine
      netprobe clean --context kind-kind   # a cluster
      netprobe clean --context kind-kind --run 3f2a9c01 --dry-run
      netprobe clean --context kind-kind --run 3f2a9c01 --by-label
    """
    from netprobe.probe import Cleaned

    if flags.by_label and not flags.run:
        raise UsageError("--by-label needs --run: it removes what only carries the label of this one run")
    target = flags.cluster.choice(current=invocation().plugin)
    found = list(_clean_labs(flags)) if target.is_ephemeral_lab else [_clean(flags, target)]
    _print(Cleaned.merged(found), dry_run=flags.dry_run)
    return 0


def _clean(flags: CleanFlags, target: ClusterChoice) -> Cleaned:
    from netprobe.cli.progress import shown
    from netprobe.cli.signals import run_async
    from netprobe.probe import clean
    from netprobe.run.cluster import RunOptions, open_cluster

    async def cleaned() -> Cleaned:
        with shown() as progress:
            wanted = RunOptions(target, request_timeout_s=flags.cluster.request_timeout_s)
            async with open_cluster(wanted, progress) as cluster:
                progress("looking for what runs left behind")
                return await clean(
                    cluster.api, flags.run, by_label=flags.by_label, dry_run=flags.dry_run, say=say
                )

    return run_async(cleaned())


def _clean_labs(flags: CleanFlags) -> Iterator[Cleaned]:
    """Clean each lab of this machine. One that ends meanwhile or only starts holds nothing of dead runs."""
    from netprobe.lab import Health, list_labs
    from netprobe.run.target import ClusterChoice

    for lab in list_labs():  # forgets killed labs; an ephemeral lab ends with its run by itself
        if lab.name.startswith("run-"):
            continue
        try:
            yield _clean(flags, ClusterChoice(lab=lab.name))
        except NetprobeError:
            if any(one.name == lab.name and one.health is Health.RUNNING for one in list_labs()):
                raise


def _print(cleaned: Cleaned, *, dry_run: bool) -> None:
    for left in cleaned.removed:
        print(f"{'would remove' if dry_run else 'removed'} {left}")
    for left in cleaned.spared:
        print(f"spared {left}: {left.life.why}")
    for left in cleaned.unproven:
        print(
            f"kept {left}: nothing but the label says that netprobe created it; "
            f"netprobe clean --run {left.run} --by-label removes it"
        )
    if cleaned.unlisted:
        say(
            f"these credentials may not list {', '.join(cleaned.unlisted)} objects in all namespaces: "
            "of these, only what a run's record names was searched for"
        )
    if not (cleaned.removed or cleaned.spared or cleaned.unproven):
        say("nothing was left behind")
