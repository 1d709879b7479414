"""What `netprobe impact` compares: files and folders, a live cluster, or the world of a suite."""

from __future__ import annotations

from collections.abc import Sequence

from netprobe.cli.frame import say
from netprobe.cli.manifests import say_overlays
from netprobe.cli.progress import reading
from netprobe.errors import InputError, Problem
from netprobe.impact import Given
from netprobe.manifests import Reader
from netprobe.manifests.load import Collector
from netprobe.model.cluster import Cluster


def read(paths: Sequence[str], namespace: str = "default") -> Given:
    """The objects under files, folders and "-", and which namespaces are described. InputError for all."""
    with reading("reading manifests") as progress:
        reader = Reader(progress)
        collector = Collector(default_namespace=namespace, problems=reader.problems)
        for document in reader.documents(paths):
            collector.add(document)
    for kind, number in sorted(reader.not_simulated.items()):
        say(f"warning: not simulated, though they may decide flows: {number} {kind}")
    say_overlays(reader.overlays)
    return Given(collector.cluster(), frozenset(collector.described))


def both(
    new: Sequence[str], old: Sequence[str] | None, namespace: str = "default"
) -> tuple[Given, Given | None]:
    """The change, and what it is held against; InputError with the problems of both."""
    problems: list[Problem] = []
    found: list[Given | None] = []
    for paths in (new, old):
        try:
            found.append(read(paths, namespace) if paths else None)
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)
    return found[0] or Given(Cluster()), found[1]


def whole(cluster: Cluster) -> Given:
    """A cluster of which every namespace is described: a live one, or a suite's."""
    return Given(cluster, frozenset(cluster.namespaces))
