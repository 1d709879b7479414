"""Manifests for commands: read with progress, and what had no say told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from netprobe.cli.frame import say
from netprobe.cli.progress import reading
from netprobe.model.cluster import Cluster

BUILD = "build it first (kubectl kustomize FOLDER)"


def read_cluster(filenames: Sequence[str]) -> Cluster:
    """The one cluster that all files and folders describe; InputError with every problem."""
    from netprobe.manifests import load

    with reading("reading manifests") as progress:
        loaded = load(filenames, progress=progress)
    others = {kind: n for kind, n in loaded.passed_over.items() if kind not in loaded.not_simulated}
    if others:
        hint = "; a suite is named without -f (explain: --suite)" if "ConnectivitySuite" in others else ""
        say(f"passed over: {_counted(others)}{hint}")
    if loaded.not_simulated:
        say(f"warning: not simulated, though they may decide flows: {_counted(loaded.not_simulated)}")
    say_overlays(loaded.overlays)
    return loaded.cluster


def say_overlays(folders: Iterable[str]) -> None:
    for folder in folders:
        say(f"warning: {folder}: its files as they stand, without what Kustomize makes of them; {BUILD}")


def _counted(kinds: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items()))
