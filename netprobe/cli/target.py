"""The cluster that a command means, opened."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from netprobe.cli.narration import Narrate
from netprobe.errors import LabError, UsageError
from netprobe.lab import LabOptions, list_labs, start
from netprobe.report import ClusterInfo

if TYPE_CHECKING:
    from netprobe.kube.client import KubeCluster


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


def meant(
    ctx: click.Context,
    kubeconfig: str | None,
    context: str | None,
    *,
    lab_name: str | None,
    lab_nodes: int,
    lab_no_enforcement: bool,
    lab_lag: float,
    lab_deny_with: str,
) -> tuple[Target, LabOptions]:
    """The cluster that a command's options name; UsageError where they name two, or faults for a real one."""
    target = Target(kubeconfig, context, ctx.obj.plugin, lab_name)
    if lab_name and (kubeconfig or context):
        raise UsageError("--lab and --kubeconfig/--context name two different clusters: give one")
    faults = [
        name
        for name in ("lab_nodes", "lab_no_enforcement", "lab_lag", "lab_deny_with")
        if ctx.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT
    ]
    if faults and not target.is_ephemeral_lab:
        raise UsageError(f"--{faults[0].replace('_', '-')} is for the lab that a run makes for itself")
    options = LabOptions(
        nodes=lab_nodes,
        enforce=not lab_no_enforcement,
        lag_s=lab_lag,
        deny_with="reject" if lab_deny_with == "reject" else "drop",
    )
    return target, options


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
    raise LabError(f"there is no lab named {name}: netprobe lab up --name {name} starts one")


async def _info(cluster: KubeCluster) -> ClusterInfo:
    from netprobe.kube.facts import facts

    found = await facts(cluster)
    nodes = None if found.nodes is None else len(found.nodes)
    if found.lab:
        return ClusterInfo("lab", None, found.server_version, found.cni, nodes)
    return ClusterInfo("cluster", cluster.context, found.server_version, found.cni, nodes)
