"""Where a run takes place, and how. Opens its cluster: of a kubeconfig, a running lab, or a new lab."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from netprobe.errors import ClusterError
from netprobe.lab import LabOptions, Starting, begin, list_labs
from netprobe.model.flow import Family
from netprobe.probe import Deadlines, Pace, PodOptions
from netprobe.run.moment import FlowFilter
from netprobe.run.record import ClusterInfo
from netprobe.run.target import ClusterChoice, kubeconfig_of
from netprobe.simulate import CALICO, Profile

if TYPE_CHECKING:
    from netprobe.kube.client import KubeCluster


Progress: TypeAlias = Callable[[str], None]
"""Takes what is being done, in a few words."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The cluster, the probe pods, timeouts, and the CNI whose choices the simulator makes.

    `lab`: the lab to start, or one that is starting, if `target` names no cluster. `family`: if pods have
    addresses of both families, probe only this one. `flows`: probe only these.
    """

    target: ClusterChoice = field(default_factory=ClusterChoice)
    lab: LabOptions | Starting = field(default_factory=LabOptions)
    pods: PodOptions = field(default_factory=PodOptions)
    deadlines: Deadlines = field(default_factory=Deadlines)
    pace: Pace = field(default_factory=Pace)
    profile: Profile = CALICO
    request_timeout_s: float = 30.0
    family: Family | None = None
    flows: FlowFilter = field(default_factory=FlowFilter)


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

    LabError or ClusterError if it cannot be reached; UsageError for an unknown kubeconfig or lab.
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
            yield OpenCluster(api, await _info(api, target, options))
    finally:
        if started is not None:
            started.stop()


async def _info(api: KubeCluster, target: ClusterChoice, options: RunOptions) -> ClusterInfo:
    from netprobe.kube.facts import facts

    found = await facts(api)
    nodes = None if found.nodes is None else len(found.nodes)
    if found.lab:
        lab = _lab_options(target, options)
        special = "" if lab is None or lab.enforce else "no enforcement"
        return ClusterInfo("lab", None, found.server_version, found.cni, nodes, special or None)
    return ClusterInfo("cluster", api.context, found.server_version, found.cni, nodes, await _uid(api))


def _lab_options(target: ClusterChoice, options: RunOptions) -> LabOptions | None:
    """Those of the lab; None for one that is reached by its kubeconfig."""
    if target.is_ephemeral_lab:
        return options.lab.options if isinstance(options.lab, Starting) else options.lab
    return next((lab.options for lab in list_labs() if lab.name == target.lab), None)


async def _uid(api: KubeCluster) -> str | None:
    """That of the namespace kube-system, which lives as long as the cluster; None if it cannot be read."""
    try:
        namespace = await api.get("Namespace", "kube-system")
    except ClusterError:
        return None
    return str(namespace["metadata"]["uid"]) if namespace else None
