"""Values that the shell completes: contexts, labs, rules, cases, and the namespaces and pods of a cluster.

A completion prints nothing but words; if anything goes wrong, it prints none.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import click

if TYPE_CHECKING:
    from netprobe.model.cluster import Cluster

Values: TypeAlias = Callable[[click.Context], Iterable[str]]
Complete: TypeAlias = Callable[[click.Context, click.Parameter, str], list[str]]

REQUEST_TIMEOUT_S = 2.0
"""Short, because a shell waits for the answer."""


def completes(values: Values) -> Complete:
    """Make a function for click, which returns the values that begin with the incomplete word."""

    @wraps(values)
    def complete(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
        with suppress(Exception):
            return sorted({value for value in values(ctx) if value.startswith(incomplete)})
        return []

    return complete


def read_contexts(kubeconfig: str | None) -> list[str]:
    """The names of the contexts of a kubeconfig, by default of those that kubectl reads."""
    import yaml

    paths = kubeconfig or os.environ.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")
    names: list[str] = []
    for path in filter(None, paths.split(os.pathsep)):
        if Path(path).is_file():
            text = yaml.load(Path(path).read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 (it is a safe one)
            names += [str(one["name"]) for one in (text or {}).get("contexts") or ()]
    return names


contexts = completes(lambda ctx: read_contexts(ctx.params.get("kubeconfig")))
namespaces = completes(lambda ctx: _cluster(ctx.params).namespaces)
pods = completes(lambda ctx: map(str, _cluster(ctx.params).pods))


@completes
def labs(_ctx: click.Context) -> Iterable[str]:
    from netprobe.lab import list_labs

    return (lab.name for lab in list_labs() if not lab.name.startswith("run-"))


@completes
def rules(_ctx: click.Context) -> Iterable[str]:
    from netprobe.lint import catalogue

    return catalogue()


@completes
def cases(_ctx: click.Context) -> Iterable[str]:
    from netprobe.conformance.load import builtin

    return (case.name for case in builtin())


@completes
def tags(_ctx: click.Context) -> Iterable[str]:
    from netprobe.conformance.load import builtin

    return (tag for case in builtin() for tag in (*case.tags, *case.rules, case.feature))


@completes
def destinations(ctx: click.Context) -> Iterable[str]:
    cluster = _cluster(ctx.params)
    return (*map(str, cluster.pods), *map(str, cluster.services))


def _cluster(given: dict[str, Any]) -> Cluster:
    """The cluster that the options on the command line name."""
    from netprobe.cli.flags import ClusterFlags
    from netprobe.cli.inputs import live_objects
    from netprobe.manifests import from_objects, load
    from netprobe.model.cluster import Cluster
    from netprobe.suite import is_suite
    from netprobe.suite import load as load_suite

    paths = [*(given.get("paths") or ()), *(given.get("filenames") or ())]
    suites = [path for path in (given.get("suite_path"), *paths) if path and is_suite(path)]
    if suites:
        return load_suite(suites[0]).cluster()
    if paths:
        return load(paths).cluster
    flags = ClusterFlags(
        given.get("kubeconfig"), given.get("context"), given.get("lab_name"), REQUEST_TIMEOUT_S
    )
    return from_objects(live_objects(flags).objects) if flags else Cluster()
