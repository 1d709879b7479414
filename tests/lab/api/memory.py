"""A fabric without a network: places pods, records calls, runs programs of this machine.

For tests of the API alone, which need neither rights nor a kernel's help. What packets do is tested on
the real fabric.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from netprobe.errors import LabError
from netprobe.lab.fabric.state import CountedRule, LabNode, NetworkState, PolicyPod
from netprobe.model.flow import Address, PodRef


class MemoryProcess:
    """A process of this machine."""

    stdin: asyncio.StreamWriter | None
    stdout: asyncio.StreamReader
    stderr: asyncio.StreamReader | None

    def __init__(self, inner: asyncio.subprocess.Process) -> None:
        assert inner.stdout is not None
        self.inner = inner
        self.stdin, self.stdout, self.stderr = inner.stdin, inner.stdout, inner.stderr

    async def wait(self) -> int:
        status = await self.inner.wait()
        return status if status >= 0 else 128 - status

    def on_exit(self, call: Callable[[int], None]) -> None:
        self.ending = asyncio.ensure_future(self.wait())
        self.ending.add_done_callback(lambda status: call(status.result()))

    def kill(self) -> None:
        if self.inner.returncode is None:
            self.inner.kill()

    def resize(self, columns: int, rows: int) -> None:
        raise AssertionError(f"no terminal here to be {columns} by {rows}")


@dataclass
class MemoryFabric:
    """`events` is what happened, in order: ("place", ref), ("enforce", state), ("start", ref)..."""

    nodes: Sequence[LabNode] = (
        LabNode("n1", (IPv4Address("172.31.255.1"),)),
        LabNode("n2", (IPv4Address("172.31.255.2"),)),
    )
    events: list[tuple[str, object]] = field(default_factory=list)
    placed: dict[PodRef, PolicyPod] = field(default_factory=dict)
    processes: list[MemoryProcess] = field(default_factory=list)
    enforced: asyncio.Event = field(default_factory=asyncio.Event)  # set at each change

    @property
    def state(self) -> NetworkState:
        """The newest."""
        return next(what for kind, what in reversed(self.events) if isinstance(what, NetworkState))

    async def place(self, pod: PolicyPod) -> tuple[Address, ...]:
        if pod.ref in self.placed:
            raise LabError(f"{pod.ref} is placed already")
        node = next(node for node in self.nodes if node.name == pod.node)
        self.placed[pod.ref] = pod
        self.events.append(("place", pod.ref))
        if pod.host_network:
            return node.addresses
        return pod.addresses or (IPv4Address("10.244.1.0") + len(self.events),)

    async def enforce(self, state: NetworkState) -> None:
        self.events.append(("enforce", state))
        self.enforced.set()

    async def rules(self) -> list[CountedRule]:
        return []

    async def start(self, ref: PodRef) -> None:
        assert ref in self.placed
        self.events.append(("start", ref))

    async def remove(self, ref: PodRef) -> None:
        self.placed.pop(ref, None)
        self.events.append(("remove", ref))

    async def exec(
        self, ref: PodRef, argv: Sequence[str], *, stdin: bool = False, tty: bool = False
    ) -> MemoryProcess:
        assert not tty, "there are no terminals here"
        if ref not in self.placed:
            raise LabError(f"{ref} is not started")
        pipe = asyncio.subprocess.PIPE
        try:
            inner = await asyncio.create_subprocess_exec(
                *argv, stdin=pipe if stdin else asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe
            )
        except FileNotFoundError as e:
            raise LabError(f"exec: {argv[0]}: executable file not found in $PATH") from e
        process = MemoryProcess(inner)
        self.processes.append(process)
        return process
