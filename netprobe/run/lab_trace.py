"""One connection on a lab, and which rules of the kernel counted it on its way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from netprobe.lab.trace import TRACE
from netprobe.model.flow import PodRef, Protocol

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
    ClusterError if it cannot be tried, or if other traffic made the counters unclear.
    """
    query = {"from": source, "to": target, "port": port, "protocol": protocol.value}
    query |= {"version": version, "timeout": timeout_s}
    return await cluster.raw(f"{TRACE}?{urlencode(query)}")
