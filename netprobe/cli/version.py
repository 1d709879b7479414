"""`netprobe version`."""

from __future__ import annotations

import json
import platform
from importlib.metadata import PackageNotFoundError, version

import click

from netprobe import __version__
from netprobe.cli.command import Command
from netprobe.cli.emit import write
from netprobe.cli.flags import ClusterFlags, cluster_options
from netprobe.cli.options import OutputFlags, examples, output_options


@click.command(cls=Command)
@cluster_options
@output_options(("text", "json"), reports=False)
@examples("""
netprobe version
netprobe version --context staging   # also that of the API server
netprobe version -o json
""")
def command(*, cluster: ClusterFlags, out: OutputFlags) -> None:
    """Print the versions of netprobe, of Python and of the Kubernetes client."""
    versions = {"netprobe": __version__, "python": platform.python_version(), "kubernetes": _client()}
    if cluster:
        versions["server"] = _server(cluster)
    lines = [f"{name} {number}\n" for name, number in versions.items()]
    write(lambda format_, _: lines if format_ == "text" else [json.dumps(versions, indent=2) + "\n"], out)


def _client() -> str:
    try:
        return version("kubernetes")
    except PackageNotFoundError:
        return "unknown"


def _server(flags: ClusterFlags) -> str:
    from netprobe.cli.inputs import connected
    from netprobe.cli.signals import run_async

    async def ask() -> str:
        async with connected(flags) as cluster:
            return str((await cluster.raw("/version")).get("gitVersion", "unknown"))

    return run_async(ask())
