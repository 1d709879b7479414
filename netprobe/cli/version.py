"""`netprobe version`."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from importlib.metadata import version

from netprobe import __version__
from netprobe.cli import options
from netprobe.cli.emit import write_either
from netprobe.cli.flags import ClusterFlags


@dataclass(frozen=True, slots=True)
class VersionFlags(options.Flags):
    cluster: ClusterFlags = options.nested(ClusterFlags)
    out: options.OutputFlags = options.output(("text", "json"), reports=False)


@options.as_command(VersionFlags)
def command(flags: VersionFlags) -> None:
    """Print the versions of netprobe, of Python and of the Kubernetes client.

    Examples:
      netprobe version
      netprobe version --context staging   # also that of the API server
      netprobe version -o json
    """
    versions = {
        "netprobe": __version__,
        "python": platform.python_version(),
        "kubernetes": version("kubernetes"),
    }
    if flags.cluster:
        versions["server"] = _server(flags.cluster)
    lines = [f"{name} {number}\n" for name, number in versions.items()]
    write_either(flags.out, lambda: versions, lambda _style: lines)


def _server(flags: ClusterFlags) -> str:
    from netprobe.cli.inputs import connection
    from netprobe.cli.signals import run_async
    from netprobe.kube import connect

    async def ask() -> str:
        async with connect(*connection(flags), request_timeout_s=flags.request_timeout_s) as cluster:
            return str((await cluster.raw("/version")).get("gitVersion", "unknown"))

    return run_async(ask())
