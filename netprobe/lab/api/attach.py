"""pods/attach: the one moment at which the lab runs a container's command.

Images are not run, and so is no command, but for one: that of a container which waits for input, for whoever
attaches to it. `kubectl run -it --rm --image=busybox --restart=Never x -- nc -zv web 80` does what it says.
"""

from __future__ import annotations

from aiohttp import web

from netprobe.lab import podstatus
from netprobe.lab.api.exec import container_of, run
from netprobe.lab.api.operations import Operations, now
from netprobe.lab.api.requests import Target
from netprobe.lab.api.resources import PODS
from netprobe.lab.api.status import bad_request
from netprobe.lab.api.store import Key
from netprobe.lab.fabric.state import Fabric

_SHELL = ("sh",)  # what most images run where nothing else is said
_NOT_STARTED = 128  # as containerd has it


async def attach(
    request: web.BaseRequest, operations: Operations, fabric: Fabric, target: Target
) -> web.StreamResponse:
    """Run the container's command; where the pod is not to be restarted, it ends with it."""
    pod = operations.get(PODS, target.namespace, target.name).object
    name = container_of(request, pod)
    container = next(c for c in pod["spec"]["containers"] if c["name"] == name)
    if not container.get("stdin"):
        raise bad_request(
            "the lab does not run images, so there is nothing to attach to; a container with stdin: true "
            "(kubectl run -i) runs its command for whoever attaches"
        )
    command = (*container.get("command", ()), *container.get("args", ())) or _SHELL
    socket, code = await run(request, fabric, pod, command, tells=False)
    status = _NOT_STARTED if code is None else code
    policy = pod["spec"]["restartPolicy"]
    over = policy == "Never" or (policy == "OnFailure" and status == 0)
    if over and len(pod["spec"]["containers"]) == 1:
        operations.modify(
            PODS,
            Key(target.namespace, target.name),
            lambda current: podstatus.ended(current, status, now()),
            "status",
        )
    return socket
