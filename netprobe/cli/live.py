"""A live cluster as the simulator knows one: everything that decides a flow, listed once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netprobe.cli.loop import run_async
from netprobe.model.cluster import Cluster

KINDS = ("Namespace", "Pod", "Service", "NetworkPolicy")


def live_cluster(kubeconfig: str | None, context: str | None, request_timeout_s: float) -> Cluster:
    """The cluster of a kubeconfig, or of the current context; ClusterError where it cannot be listed."""
    from netprobe.kube import connect
    from netprobe.manifests import from_objects

    async def listed() -> list[Mapping[str, Any]]:
        async with connect(kubeconfig, context, request_timeout_s=request_timeout_s) as cluster:
            return [thing for kind in KINDS for thing in await cluster.find(kind)]

    return from_objects(run_async(listed()))
