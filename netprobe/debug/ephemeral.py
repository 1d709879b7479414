"""Ephemeral containers in real pods: probes by the pod itself, and what it listens on.

The container runs one command with its input attached (`stdinOnce`), so it ends when netprobe detaches, even
if netprobe is killed. It cannot be removed: it stays in the pod, terminated, until the pod is deleted.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from netprobe.debug.records import Listener
from netprobe.errors import WorkbenchError
from netprobe.model.flow import PodRef
from netprobe.model.objects import Object
from netprobe.probe import netcat
from netprobe.probe.api import Execution
from netprobe.probe.pace import Pace
from netprobe.probe.readiness import CANNOT_START
from netprobe.probe.run_objects import PodOptions

if TYPE_CHECKING:
    from netprobe.kube.client import KubeCluster

STAYS: Final = (
    "adding an ephemeral container to {pod}: it ends with this command and cannot be removed; it stays in "
    "the pod, terminated, until the pod is deleted"
)
GO: Final = "go\n"
"""The command waits for this line, so that nothing is printed before netprobe is attached."""

READ_S: Final = 10.0
POLL_S: Final = 0.2


def container(name: str, options: PodOptions, command: Sequence[str]) -> Object:
    """The container; `command` as a shell with its script first: "sh", "-c", SCRIPT, arguments."""
    shell, flag, script, *arguments = command
    return {
        "name": name,
        "image": options.image,
        "imagePullPolicy": "IfNotPresent",
        "command": [shell, flag, f"read -r _\n{script}", *arguments],
        "stdin": True,
        "stdinOnce": True,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65534,
            "runAsGroup": 65534,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }


class EphemeralContainers:
    """The ephemeral containers of one run; as an `Executes` it attaches to them."""

    def __init__(self, cluster: KubeCluster, options: PodOptions, ready_s: float) -> None:
        self._cluster = cluster
        self._options = options
        self._ready_s = ready_s

    async def add(self, pod: PodRef, name: str, command: Sequence[str]) -> None:
        """Add one, and wait until it runs. ClusterError, or WorkbenchError if it cannot start."""
        await self._cluster.add_ephemeral(pod, container(name, self._options, command))
        try:
            async with asyncio.timeout(self._ready_s):
                while True:
                    if _runs(await self._cluster.get("Pod", pod.name, pod.namespace), name):
                        return
                    await asyncio.sleep(POLL_S)
        except TimeoutError as e:
            raise WorkbenchError(
                f"the ephemeral container of {pod} does not run after {self._ready_s:g} s"
            ) from e

    async def add_prober(self, pod: PodRef, name: str, pace: Pace) -> None:
        """Add one that tries targets."""
        await self.add(pod, name, netcat.command(pace))

    async def listeners(self, pod: PodRef, name: str) -> tuple[Listener, ...]:
        """Add one that reads what the pod listens on; it shares the pod's network."""
        await self.add(pod, name, ["sh", "-c", "cat /proc/net/tcp /proc/net/tcp6 2>/dev/null", "netprobe"])
        async with asyncio.timeout(READ_S), self.exec(pod.namespace, pod.name, name, ()) as execution:
            return tuple(read_listeners([line async for line in execution.lines()]))

    @asynccontextmanager
    async def exec(
        self, namespace: str, pod: str, container: str, command: Sequence[str], *, stdin: bool = True
    ) -> AsyncIterator[Execution]:
        """Attach to the command that the container has; `command` is that one."""
        del command, stdin
        async with self._cluster.attach(PodRef(namespace, pod), container) as execution:
            await execution.send(GO)
            yield execution


def _runs(pod: Object, name: str) -> bool:
    """Whether the container runs; WorkbenchError if it never will."""
    for status in (pod.get("status") or {}).get("ephemeralContainerStatuses") or ():
        if status["name"] == name:
            state = status.get("state") or {}
            reason = (state.get("waiting") or {}).get("reason", "")
            if "terminated" in state or reason in CANNOT_START:
                detail = (state.get("waiting") or state.get("terminated") or {}).get("message") or reason
                raise WorkbenchError(f"the ephemeral container {name} cannot start: {detail}")
            return "running" in state
    return False


def read_listeners(lines: Iterable[str]) -> Iterator[Listener]:
    """The listening sockets in /proc/net/tcp and tcp6 (proc(5): addresses in the host's byte order)."""
    for line in lines:
        words = line.split()
        if len(words) > 3 and words[3] == "0A" and ":" in words[1]:
            address, port = words[1].split(":")
            numbers = [bytes.fromhex(address[at : at + 8])[::-1] for at in range(0, len(address), 8)]
            yield Listener(str(ip_address(b"".join(numbers))), int(port, 16))
