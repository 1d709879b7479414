"""The cluster that a command means, opened."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from netprobe.cli.narration import Narrate
from netprobe.errors import ClusterError, LabError
from netprobe.lab import LabOptions, list_labs, start
from netprobe.report import ClusterInfo

if TYPE_CHECKING:
    from netprobe.kube.client import KubeCluster

LAB_MARK = "+netprobe."
"""What a lab's server version carries, and no other's."""


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
        made = await asyncio.to_thread(start, lab, ephemeral=True)
        kubeconfig = str(made.kubeconfig)
    elif target.lab is not None:
        kubeconfig = kubeconfig_of(target.lab)
    try:
        async with connect(kubeconfig, target.context, request_timeout_s=request_timeout_s) as cluster:
            yield Opened(cluster, await _info(cluster, target.context))
    finally:
        if made is not None:
            made.stop()


def kubeconfig_of(name: str) -> str:
    for lab in list_labs():
        if lab.name == name:
            return str(lab.kubeconfig)
    raise LabError(f"there is no lab named {name}: netprobe lab up --name {name} starts one")


async def _info(cluster: KubeCluster, context: str | None) -> ClusterInfo:
    version = str((await cluster.raw("/version")).get("gitVersion") or "")
    try:
        nodes = len(await cluster.find("Node"))
    except ClusterError:  # the roles that a run needs do not include nodes
        nodes = None
    if LAB_MARK in version:
        return ClusterInfo("lab", None, version, "netprobe lab", nodes)
    return ClusterInfo("cluster", context or cluster.context, version, None, nodes)
