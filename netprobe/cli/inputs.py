"""What commands read: manifests, a suite with its cluster, a live cluster. Notes go to standard error."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from netprobe.cli.invoke import say
from netprobe.errors import UsageError
from netprobe.model.cluster import Cluster
from netprobe.model.objects import ReadOnlyObject

if TYPE_CHECKING:
    from netprobe.cli.flags import ClusterFlags
    from netprobe.suite import Suite


def read_cluster(filenames: Sequence[str]) -> Cluster:
    """The one cluster that all files and folders describe; InputError with every problem."""
    from netprobe.cli.progress import shown
    from netprobe.manifests import load

    with shown() as progress:
        progress("reading manifests")
        loaded = load(filenames)
    others = {kind: n for kind, n in loaded.skipped.items() if kind not in loaded.not_simulated}
    if others:
        hint = "; a suite is named without -f (explain: --suite)" if "ConnectivitySuite" in others else ""
        say(f"skipped: {_counted(others)}{hint}")
    if loaded.not_simulated:
        say(f"warning: not simulated, though they may decide flows: {_counted(loaded.not_simulated)}")
    say_overlays(loaded.overlays)
    return loaded.cluster


def say_overlays(folders: Iterable[str]) -> None:
    for folder in folders:
        say(
            f"warning: {folder}: its files are read as they are, without Kustomize; "
            "build it first (kubectl kustomize FOLDER)"
        )


def suite_and_live(path: str, filenames: Sequence[str]) -> tuple[Suite, Cluster | None]:
    """The suite, and the cluster that the manifests describe; None if the suite has a topology."""
    from netprobe.suite import load

    suite = load(path)
    if suite.topology is None and not filenames:
        raise UsageError(f"{path} has no topology: give the cluster's manifests with -f")
    if suite.topology is not None and filenames:
        raise UsageError(f"{path} has a topology: -f is for suites without one")
    return suite, read_cluster(filenames) if filenames else None


def suite_and_cluster(path: str, filenames: Sequence[str], steps: int = 0) -> tuple[Suite, Cluster]:
    """The suite, and its cluster after its policies and that many steps."""
    suite, live = suite_and_live(path, filenames)
    return suite, suite.cluster(live, steps)


def live_objects(flags: ClusterFlags) -> list[ReadOnlyObject]:
    """What decides flows in the cluster that the flags name, or of the current context; ClusterError."""
    from netprobe.cli.progress import run_async
    from netprobe.kube import live_objects as read

    return run_async(read(flags.kubeconfig, flags.context, request_timeout_s=flags.request_timeout_s))


def read_or_live(filenames: Sequence[str], flags: ClusterFlags) -> Cluster:
    """The cluster of the manifests, or without any that of the flags."""
    from netprobe.manifests import from_objects

    return read_cluster(filenames) if filenames else from_objects(live_objects(flags))


def _counted(kinds: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items()))
