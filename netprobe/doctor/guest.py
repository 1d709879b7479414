"""A pod in its node's own network: tried where it may be, left out where it may not."""

from __future__ import annotations

from netprobe.doctor.pod_pairs import namespace
from netprobe.model.flow import PodRef
from netprobe.model.objects import Object
from netprobe.probe import run_objects
from netprobe.probe.bench import Bench, ref_of, station
from netprobe.probe.plan import Station
from netprobe.probe.run_objects import PodOptions


def host_pod(node: str | None, run: str, options: PodOptions) -> Object:
    """A probe pod with hostNetwork. It serves nothing: a port of a node is not ours to open."""
    obj = run_objects.pod(PodRef(namespace(run), "host"), run, options, node=node)
    return run_objects.on_node_network(obj)


async def placed(bench: Bench, node: str | None, options: PodOptions) -> Station:
    """Make such a pod and wait for it. ClusterError or WorkbenchError where it may not be, or never runs."""
    obj = host_pod(node, bench.run, options)
    return station(ref_of(obj), (await bench.start([obj]))[ref_of(obj)])
