"""Whether a node reaches a pod that runs on it, shown by the pod's readiness probe.

"Traffic is allowed ... if the traffic source is the pod's local node" (types.go). The kubelet is the only
process of a node that any user can make connect to a pod; a hostNetwork pod is not the same as the node for
every network plugin (docs). It probes once a second and reports after three failures, so an answer counts
only if it holds for longer than that.
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
"""Three failures a second apart, and the time until the kubelet has written the pod's status."""


def with_readiness_probe(obj: Object) -> Object:
    """The pod with a readiness probe of PROBED_PORT."""
    (container,) = obj["spec"]["containers"]
    container["readinessProbe"] = {
        "tcpSocket": {"port": int(PROBED_PORT.partition("/")[0])},
        "periodSeconds": 1,
        "timeoutSeconds": 1,
        "failureThreshold": FAILURES,
    }
    return obj


async def observe_probe(
    cluster: ClusterAPI,
    ref: PodRef,
    run: str,
    *,
    listener: str | None,
    before: bool,
) -> Observation:
    """The kubelet's view of a pod, once it has had time to change.

    `listener`: how the port is known to be served. `before`: whether the kubelet of that node reached a pod
    of the case earlier, which proves the path.
    """
    await asyncio.sleep(STANDS_S)
    reached = is_ready(await _find(cluster, ref, run))
    outcome = Outcome.CONNECTED if reached else Outcome.TIMED_OUT
    control = Control(listener, "pair" if before else None)
    verdict, reason = judge(outcome, control)
    return Observation(outcome, verdict, control, reason)


async def _find(cluster: ClusterAPI, ref: PodRef, run: str) -> Object:
    """The pod; NotFoundError if it is gone."""
    pods = await cluster.find("Pod", ref.namespace, {RUN: run})
    found = [pod for pod in pods if pod["metadata"]["name"] == ref.name]
    if not found:
        raise NotFoundError(f"the pod {ref} is gone")
    return found[0]
