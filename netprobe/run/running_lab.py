"""What commands do with a running lab: add and remove external hosts, and trace one connection."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from netprobe.errors import LabError, NotFoundError, UsageError
from netprobe.kube import connect
from netprobe.lab.trace import TRACE
from netprobe.manifests import from_objects
from netprobe.model.flow import External, Flow, PodRef, Protocol
from netprobe.probe.run_objects import ADDRESS, OUTSIDE
from netprobe.simulate import PortAsked, ends, named_flows

if TYPE_CHECKING:
    from netprobe.kube.client import KubeCluster


MOST = 20
"""One command traces no more connections than this."""

_LOOK_AGAIN_S = 0.1


async def add_host(
    kubeconfig: str, name: str, addresses: Sequence[External], ports: Sequence[tuple[int, Protocol]]
) -> None:
    """Create a host as a pod and wait until it runs; LabError if the lab cannot give it its address."""
    async with connect(kubeconfig) as cluster:
        await cluster.ensure({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": OUTSIDE}})
        await cluster.create(_pod(name, addresses, ports))
        async for event in cluster.watch("Pod", OUTSIDE):
            meta, status = event.object["metadata"], event.object.get("status") or {}
            if meta["name"] != name:
                continue
            if status.get("phase") == "Running":
                return
            for condition in status.get("conditions") or ():
                if condition.get("reason") == "Unschedulable":
                    await cluster.delete("Pod", name, OUTSIDE)
                    raise LabError(f"the host {name} cannot be added: {condition['message']}")


async def remove_host(kubeconfig: str, name: str) -> None:
    """Delete a host and wait until it is gone; UsageError if there is no such host."""
    async with connect(kubeconfig) as cluster:
        try:
            await cluster.delete("Pod", name, OUTSIDE)
        except NotFoundError:
            raise UsageError(f"the lab has no external host {name}") from None
        # A watch that begins after the pod has gone would say nothing.
        while name in {pod["metadata"]["name"] for pod in await cluster.find("Pod", OUTSIDE)}:  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_AGAIN_S)


def _pod(name: str, addresses: Sequence[External], ports: Sequence[tuple[int, Protocol]]) -> dict[str, Any]:
    listed = [{"containerPort": number, "protocol": protocol.value} for number, protocol in ports]
    annotations = {ADDRESS: ",".join(str(one.address) for one in addresses)}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": OUTSIDE, "annotations": annotations},
        "spec": {"containers": [{"name": "host", "image": "netprobe-lab-host", "ports": listed}]},
    }


async def trace(
    cluster: KubeCluster,
    source: PodRef,
    target: str,
    port: int,
    protocol: Protocol,
    *,
    version: int = 0,
    timeout_s: int = 3,
) -> Any:
    """Connect once from a pod of a lab, and read the counters: the answer of lab/api/trace.py.

    `target` is a pod, svc:NAMESPACE/NAME or an address; `version` 4 or 6 takes its address of that family.
    UsageError for an end that does not exist, ClusterError if other traffic made the counters unclear.
    """
    query = {"from": source, "to": target, "port": port, "protocol": protocol.value}
    query |= {"version": version, "timeout": timeout_s}
    try:
        return await cluster.raw(f"{TRACE}?{urlencode(query)}")
    except NotFoundError as error:
        raise UsageError(str(error)) from error


async def wanted(cluster: KubeCluster, source: str, target: str, port: PortAsked) -> list[Flow]:
    """The connections between two named ends: of all pods of a workload, and on the port of that name.

    UsageError for names that are not in the lab, for pods that have finished, and for too many connections.
    """
    model = from_objects([thing for kind in ("Pod", "Service") for thing in await cluster.find(kind)])
    for text in (source, target):
        if not ends(model, text):
            kind, name = (
                ("Service", text.removeprefix("svc:")) if text.startswith("svc:") else ("running pod", text)
            )
            raise UsageError(f"the lab has no {kind} {name}")
    found = named_flows(model, source, target, port)
    for end in (end for one in found for end in (one.source, one.destination)):
        if end in model.finished:
            raise UsageError(f"{end} has finished: it sends and answers nothing")
    if len(found) > MOST:
        raise UsageError(f"{source} and {target} are the ends of {len(found)} connections: name one pod each")
    return list(found)
