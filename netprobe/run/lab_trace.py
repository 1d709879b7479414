"""One connection on a lab, and which rules of the kernel counted it on its way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from netprobe.errors import NotFoundError, UsageError
from netprobe.lab.trace import TRACE
from netprobe.manifests import from_objects
from netprobe.model.flow import Flow, PodRef, Protocol
from netprobe.simulate import PortAsked, ends, named_flows

if TYPE_CHECKING:
    from netprobe.kube.client import KubeCluster


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


MOST = 20
"""Connections that one command traces."""


async def wanted(cluster: KubeCluster, source: str, target: str, port: PortAsked) -> list[Flow]:
    """The connections that names stand for: of all pods of a workload, and on the port of that name.

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
        raise UsageError(f"{source} and {target} stand for {len(found)} connections: name one pod each")
    return list(found)
