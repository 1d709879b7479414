"""Whether a node reaches a pod on it, as its kubelet tells: by the readiness probe of the pod.

"Traffic is allowed ... if the traffic source is the pod's local node" (types.go). A kubelet is the one
process of a node that anybody may have speak to a pod; a pod on the node's network is not the node to every
network plugin (docs). It tries once a second and says so after three failures, so an answer that is to count
has to stand for longer than these take.
"""

from __future__ import annotations

import asyncio
from typing import Final

from netprobe.conformance.world import PROBED_PORT
from netprobe.errors import NotFoundError
from netprobe.model.flow import PodRef
from netprobe.model.objects import Object
from netprobe.model.observation import Control, Observation, Outcome
from netprobe.probe import ClusterAPI
from netprobe.probe.judge import judge
from netprobe.probe.readiness import is_ready
from netprobe.probe.run_objects import RUN

FAILURES: Final = 3
STANDS_S: Final = 6.0
"""Three failures a second apart, and the time that a kubelet takes to write down what they mean."""


def asking(obj: Object) -> Object:
    """The pod, with a readiness probe of the port."""
    (container,) = obj["spec"]["containers"]
    container["readinessProbe"] = {
        "tcpSocket": {"port": int(PROBED_PORT.partition("/")[0])},
        "periodSeconds": 1,
        "timeoutSeconds": 1,
        "failureThreshold": FAILURES,
    }
    return obj


def runs(pod: Object) -> bool:
    """Whether the pod has an address and its container runs, ready or not."""
    status = pod.get("status") or {}
    states = [container.get("state") or {} for container in status.get("containerStatuses") or ()]
    return bool(status.get("podIP")) and any("running" in state for state in states)


async def heard(
    cluster: ClusterAPI,
    ref: PodRef,
    run: str,
    *,
    listener: str | None,
    before: bool,
) -> Observation:
    """What the kubelet says of a pod, once it has had the time to change its mind.

    `listener`: how the port is known to be served; `before`: whether a kubelet of that node reached a pod of
    the case earlier, which is the proof of the path.
    """
    await asyncio.sleep(STANDS_S)
    reached = is_ready(await _find(cluster, ref, run))
    outcome = Outcome.CONNECTED if reached else Outcome.TIMED_OUT
    control = Control(listener, "pair" if before else None)
    verdict, reason = judge(outcome, control)
    return Observation(outcome, verdict, control, reason)


async def _find(cluster: ClusterAPI, ref: PodRef, run: str) -> Object:
    """The pod; NotFoundError where it is gone."""
    pods = await cluster.find("Pod", ref.namespace, {RUN: run})
    found = [pod for pod in pods if pod["metadata"]["name"] == ref.name]
    if not found:
        raise NotFoundError(f"the pod {ref} is gone")
    return found[0]
