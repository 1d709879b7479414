"""External hosts of a running lab: adding and removing one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from netprobe.errors import LabError, NotFoundError, UsageError
from netprobe.kube import connect
from netprobe.model.flow import External, Protocol
from netprobe.probe.run_objects import ADDRESS, OUTSIDE

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
