"""A pod in its node's own network: tried where it may be, left out where it may not."""

from __future__ import annotations

from netprobe.doctor.pod_pairs import namespace
from netprobe.model.flow import PodRef
from netprobe.model.objects import Object
from netprobe.probe import run_objects
from netprobe.probe.api import ClusterAPI
from netprobe.probe.plan import Station
from netprobe.probe.readiness import Readiness
from netprobe.probe.run_objects import PodOptions
from netprobe.probe.workbench import station


def host_pod(node: str | None, run: str, options: PodOptions) -> Object:
    """A probe pod with hostNetwork. It serves nothing: a port of a node is not ours to open."""
    obj = run_objects.pod(PodRef(namespace(run), "host"), run, options, node=node)
    obj["spec"]["hostNetwork"] = True
    del obj["spec"]["securityContext"]["sysctls"]  # the node's own: refused together with hostNetwork
    return obj


async def placed(cluster: ClusterAPI, node: str | None, run: str, options: PodOptions) -> Station:
    """Make such a pod and wait for it. ClusterError or WorkbenchError where it may not be, or never runs."""
    obj = host_pod(node, run, options)
    ref = PodRef(obj["metadata"]["namespace"], obj["metadata"]["name"])
    await cluster.create(obj)
    async with Readiness(cluster, run) as readiness:
        return station(ref, (await readiness.ready([ref]))[ref])
