"""Opening the cluster of a command: one of a kubeconfig, a lab, or a lab for this run alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from netprobe.lab import Starting, begin
from netprobe.probe import Pace
from netprobe.run.options import Progress, RunOptions
from netprobe.run.record import ClusterInfo
from netprobe.run.target import kubeconfig_of

if TYPE_CHECKING:
    from netprobe.kube.client import KubeCluster


@dataclass(frozen=True, slots=True)
class OpenCluster:
    """A connection, and what the report says about the cluster."""

    api: KubeCluster
    info: ClusterInfo

    @property
    def is_lab(self) -> bool:
        return self.info.kind == "lab"

    def pace(self, pace: Pace, flows: int = 0) -> Pace:
        """The pace for that many flows here: a lab is one machine."""
        return pace.on_lab(flows) if self.is_lab else pace


@asynccontextmanager
async def open_cluster(options: RunOptions, progress: Progress) -> AsyncIterator[OpenCluster]:
    """Connect to the cluster; a lab that was started for this is stopped on leaving.

    LabError or ClusterError where it cannot be reached; UsageError for an unknown kubeconfig or lab.
    """
    started = None
    target = options.target
    kubeconfig = target.kubeconfig
    if target.is_ephemeral_lab:
        progress("starting a lab")
        starting = options.lab if isinstance(options.lab, Starting) else begin(options.lab)
        import netprobe.kube.client  # noqa: F401 (its import takes as long as the lab's start)

        started = await asyncio.to_thread(starting.wait)
        kubeconfig = str(started.kubeconfig)
    elif target.lab is not None:
        kubeconfig = kubeconfig_of(target.lab)
    from netprobe.kube import connect

    try:
        async with connect(kubeconfig, target.context, request_timeout_s=options.request_timeout_s) as api:
            yield OpenCluster(api, await _info(api))
    finally:
        if started is not None:
            started.stop()


async def _info(api: KubeCluster) -> ClusterInfo:
    from netprobe.kube.facts import facts

    found = await facts(api)
    nodes = None if found.nodes is None else len(found.nodes)
    if found.lab:
        return ClusterInfo("lab", None, found.server_version, found.cni, nodes)
    return ClusterInfo("cluster", api.context, found.server_version, found.cni, nodes)
