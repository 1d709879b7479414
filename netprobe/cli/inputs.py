"""What commands read: manifests, a suite with its cluster, a live cluster. Notes go to standard error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from netprobe.cli import options
from netprobe.cli.command import invocation
from netprobe.cli.invoke import say
from netprobe.cli.parameters import TIER
from netprobe.errors import UsageError
from netprobe.model.cluster import Cluster
from netprobe.model.flow import External
from netprobe.model.policy import Tier
from netprobe.policies.records import with_records

if TYPE_CHECKING:
    from netprobe.cli.flags import ClusterFlags
    from netprobe.probe.deciding import Listed
    from netprobe.suite import Suite


def read_cluster(filenames: Sequence[str], tiers: Sequence[Tier] = ()) -> Cluster:
    """The one cluster of all files and folders, with these tiers. InputError with every problem."""
    from netprobe.cli.progress import shown
    from netprobe.manifests import load

    with shown() as progress:
        progress("reading manifests")
        loaded = load(filenames)
    say_skipped(loaded.skipped, loaded.others)
    return with_records(loaded.cluster, tiers)


def say_warnings(cluster: Cluster) -> None:
    """Print the cluster's warnings; for commands whose output has no place for them."""
    for warning in cluster.warnings:
        say(f"warning: {warning}")


def say_skipped(kinds: Mapping[str, int], others: Sequence[str]) -> None:
    """Print what was skipped because it does not matter to the network."""
    counted = [f"{number} {kind}" for kind, number in sorted(kinds.items())]
    if others:
        several = f"{len(others)} files that are not Kubernetes objects"
        counted.append(several if len(others) > 1 else "1 file that is not a Kubernetes object")
    if counted:
        hint = "; a suite is named without -f" if "ConnectivitySuite" in kinds else ""
        say(f"skipped: {', '.join(counted)}{hint}")


def tier_option() -> Any:
    return options.repeatable(
        "--tier NAME=ORDER[:pass]",
        "Order of a Calico tier that the manifests use but do not define; :pass if its default is Pass.",
        type=TIER,
    )


@dataclass(frozen=True, slots=True)
class InputFlags(options.Flags):
    """What a command reads: a suite and manifests, each as an argument or with -f."""

    paths: Sequence[str] = options.argument(
        nargs=-1, metavar="[SUITE] [PATH]...", type=click.Path(allow_dash=True)
    )
    filenames: Sequence[str] = options.manifests()
    tiers: Sequence[Tier] = tier_option()
    suite_path: str | None = None

    def split(self) -> tuple[str | None, tuple[str, ...]]:
        """The suite and the manifests. UsageError if there are two suites."""
        if not self.paths:  # so that the suite's reader, which takes time to import, is not needed
            return self.suite_path, (*self.filenames,)
        from netprobe.suite import is_suite

        suites = [path for path in self.paths if is_suite(path)]
        manifests = (*(path for path in self.paths if path not in suites), *self.filenames)
        suites += [self.suite_path] if self.suite_path is not None else []
        if len(suites) > 1:
            raise UsageError(f"{suites[0]} and {suites[1]} are two suites: name one")
        return (suites[0] if suites else None), manifests


@dataclass(frozen=True, slots=True)
class World:
    """What was read. `path` is the suite's; `live` is the cluster of the manifests or of the API server."""

    suite: Suite | None = None
    live: Cluster | None = None
    path: str | None = None

    def cluster(self, steps: int = 0) -> Cluster:
        """The cluster with the suite's policies, after that many of its steps."""
        if self.suite is not None:
            return self.suite.cluster(self.live, steps)
        return self.live or Cluster()

    @property
    def externals(self) -> tuple[External, ...]:
        return self.suite.externals if self.suite is not None else ()


def read_world(inputs: InputFlags, cluster: ClusterFlags, *, nothing: str, policies: bool = True) -> World:
    """Read what the options name: a suite, manifests, a cluster. UsageError if they do not go together.

    `nothing`: the message if they name nothing. A suite without a topology needs the cluster. Without
    `policies` the suite's own are not read.
    """
    path, manifests = inputs.split()
    if inputs.tiers and not manifests:
        raise UsageError("--tier is for manifests: a cluster and a suite have their own tiers")
    if manifests and cluster:
        raise UsageError(
            "--context, --kubeconfig or --lab names another cluster than the manifests: use one of them"
        )
    suite = None
    if path is not None:
        from netprobe.suite import load

        suite = load(path, policies=policies)
        if suite.topology is not None:
            if manifests or cluster:
                raise UsageError(f"{path} has a topology: -f is for suites without one, and so is --context")
            return World(suite, None, path)
        nothing = f"{path} has no topology: name the cluster's manifests with -f, or a cluster with --context"
    if not (manifests or cluster or invocation().plugin):
        raise UsageError(nothing)
    return World(suite, read_cluster(manifests, inputs.tiers) if manifests else live_cluster(cluster), path)


def connection(flags: ClusterFlags) -> tuple[str | None, str | None]:
    """The kubeconfig and the context that the flags name; None for the default."""
    from netprobe.run.target import kubeconfig_of

    choice = flags.choice()
    return (kubeconfig_of(choice.lab) if choice.lab else choice.kubeconfig), choice.context


def cluster_name(flags: ClusterFlags) -> str | None:
    """The lab or the context that the flags name, or the current context."""
    from netprobe.kube import current_context

    kubeconfig, context = connection(flags)
    return flags.lab_name or context or current_context(kubeconfig)


def live_objects(flags: ClusterFlags) -> Listed:
    """The objects that decide flows in the cluster of the flags or of the current context. ClusterError."""
    from netprobe.cli.signals import run_async
    from netprobe.kube import live_objects as read

    return run_async(read(*connection(flags), request_timeout_s=flags.request_timeout_s))


def live_cluster(flags: ClusterFlags) -> Cluster:
    """The cluster that the flags name, or that of the current context. ClusterError."""
    from netprobe.manifests import from_objects

    found = live_objects(flags)
    return from_objects(found.objects, found.unreadable)
