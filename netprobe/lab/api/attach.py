"""pods/attach: the one moment at which the lab runs a container's command.

Images are not run, and so is no command, but for one: that of a container which waits for input, for whoever
attaches to it. `kubectl run -it --rm --image=busybox --restart=Never x -- nc -zv web 80` does what it says.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

from aiohttp import web

from netprobe.lab import podstatus
from netprobe.lab.api.exec import container_of, require_started, run, tell
from netprobe.lab.api.logs import sentence
from netprobe.lab.api.operations import Operations, now
from netprobe.lab.api.requests import Target
from netprobe.lab.api.resources import PODS
from netprobe.lab.api.store import Key
from netprobe.lab.fabric.state import Fabric
from netprobe.model.objects import Object

_SHELL = ("sh",)  # what most images run where nothing else is said
_NOT_STARTED = 128  # as containerd has it


async def attach(
    request: web.BaseRequest, operations: Operations, fabric: Fabric, target: Target
) -> web.StreamResponse:
    """Run the container's command; where the pod is not to be restarted, it ends with it.

    So does a container that was added to the pod (kubectl debug), whatever becomes of the pod. Of a
    container that reads nothing there is nothing to follow: it says what it is, and that is all.
    """
    pod = operations.get(PODS, target.namespace, target.name).object
    container = container_of(request, pod)
    require_started(pod, container)
    if not container.get("stdin"):
        return await tell(request, pod, f"{sentence(container)}; kubectl run -i runs a command\n")
    command = (*container.get("command", ()), *container.get("args", ())) or _SHELL
    socket, code = await run(request, fabric, pod, command, tells=False)
    status = _NOT_STARTED if code is None else code
    policy = pod["spec"]["restartPolicy"]
    over = policy == "Never" or (policy == "OnFailure" and status == 0)
    ended: Callable[[Object], None] | None = None
    if container not in pod["spec"]["containers"]:
        ended = functools.partial(podstatus.added_ended, name=container["name"], code=status, at=now())
    elif over and len(pod["spec"]["containers"]) == 1:
        ended = functools.partial(podstatus.ended, code=status, at=now())
    if ended is not None:
        operations.modify(PODS, Key(target.namespace, target.name), ended, "status")
    return socket
