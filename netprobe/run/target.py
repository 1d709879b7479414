"""The cluster that a command means, opened."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from netprobe.errors import UsageError
from netprobe.lab import LabOptions, list_labs, start
from netprobe.run.record import ClusterInfo

if TYPE_CHECKING:
    from netprobe.kube.client import KubeCluster

Narrate: TypeAlias = Callable[[str], None]
"""Is told what is being done, in a few words."""


@dataclass(frozen=True, slots=True)
class Target:
    """Which cluster is meant. Without kubeconfig, context and lab name it is a lab for this run alone."""

    kubeconfig: str | None = None
    context: str | None = None
    current: bool = False  # called as a kubectl plugin: the current context is meant
    lab: str | None = None

    @property
    def is_ephemeral_lab(self) -> bool:
        return not (self.kubeconfig or self.context or self.current or self.lab)


@dataclass(frozen=True, slots=True)
class Opened:
    cluster: KubeCluster
    info: ClusterInfo

    @property
    def is_lab(self) -> bool:
        return self.info.kind == "lab"


@asynccontextmanager
async def opened(
    target: Target, lab: LabOptions, *, request_timeout_s: float, narrate: Narrate
) -> AsyncIterator[Opened]:
    """Connect to the cluster; a lab made for this is ended again on leaving.

    LabError or ClusterError where it cannot be had; UsageError where there is no such kubeconfig or lab.
    """
    from netprobe.kube import connect

    made = None
    kubeconfig = target.kubeconfig
    if target.is_ephemeral_lab:
        narrate("starting a lab")
        starting = asyncio.create_task(asyncio.to_thread(start, lab, ephemeral=True))
        await asyncio.sleep(0)
        import netprobe.kube.client  # noqa: F401 (takes as long as the lab: meanwhile)

        made = await starting
        kubeconfig = str(made.kubeconfig)
    elif target.lab is not None:
        kubeconfig = kubeconfig_of(target.lab)
    try:
        async with connect(kubeconfig, target.context, request_timeout_s=request_timeout_s) as cluster:
            yield Opened(cluster, await _info(cluster))
    finally:
        if made is not None:
            made.stop()


def kubeconfig_of(name: str) -> str:
    for lab in list_labs():
        if lab.name == name:
            return str(lab.kubeconfig)
    raise UsageError(f"there is no lab named {name}: netprobe lab up --name {name} starts one")


async def _info(cluster: KubeCluster) -> ClusterInfo:
    from netprobe.kube.facts import facts

    found = await facts(cluster)
    nodes = None if found.nodes is None else len(found.nodes)
    if found.lab:
        return ClusterInfo("lab", None, found.server_version, found.cni, nodes)
    return ClusterInfo("cluster", cluster.context, found.server_version, found.cni, nodes)
