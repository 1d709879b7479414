"""What the lab's control side asks of its network: the records, and the interface itself.

`lab.kubelet` turns API objects into these; `lab.fabric` turns these into namespaces, links and rules.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from netprobe.model.flow import Address, ContainerPort, PodRef
from netprobe.model.labels import Labels


@dataclass(frozen=True, slots=True)
class Node:
    """A node of the lab: `addresses` has one address of each family that the lab speaks."""

    name: str
    addresses: tuple[Address, ...]


@dataclass(frozen=True, slots=True)
class PodSpec:
    """What the fabric needs to bring a pod up.

    `node` None: the fabric chooses. `addresses` are given for an external host (outside the pod network,
    kept out of every selector) and empty for a pod, which gets its own from the pod network.
    `annotations` carry faults on demand.
    """

    ref: PodRef
    uid: str
    ports: tuple[ContainerPort, ...] = ()
    node: str | None = None
    host_network: bool = False
    external: bool = False
    addresses: tuple[Address, ...] = ()
    annotations: Labels = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a pod was put: what its status will say."""

    node: Node
    addresses: tuple[Address, ...]


@dataclass(frozen=True, slots=True)
class Member:
    """A pod as policies see it."""

    ref: PodRef
    labels: Labels
    addresses: tuple[Address, ...]
    ports: tuple[ContainerPort, ...]
    node: str
    host_network: bool = False
    external: bool = False


@dataclass(frozen=True, slots=True)
class NetworkState:
    """All that rules and names are made from. What is no record is an API object as stored, with defaults."""

    namespaces: Mapping[str, Labels]
    members: Mapping[PodRef, Member]
    policies: Sequence[Mapping[str, Any]]
    services: Sequence[Mapping[str, Any]] = ()
    endpoint_slices: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class CountedRule:
    """A rule as the kernel has it: its place, what it does, and how many packets have come to it.

    `verdict` as in "accept", "jump ingress/shop/web", "goto CHAIN CHAIN" (one of them, at random) or
    "dnat 10.244.1.3:8080"; `packets` None where it does not count.
    """

    node: str
    table: str
    chain: str
    verdict: str
    comment: str
    packets: int | None


class Process(Protocol):
    """A process in a pod. With a terminal `stderr` is None. `wait` gives the status, 128+n for a signal."""

    stdin: asyncio.StreamWriter | None
    stdout: asyncio.StreamReader
    stderr: asyncio.StreamReader | None

    async def wait(self) -> int: ...
    def kill(self) -> None: ...
    def resize(self, columns: int, rows: int) -> None: ...


class Fabric(Protocol):
    """The network of a lab. A pod is placed, enforced, then started: isolated before its first packet.

    Calls may run side by side, those for one pod after one another.
    """

    nodes: Sequence[Node]

    async def place(self, pod: PodSpec) -> Placement:
        """Choose node and addresses; nothing can send yet. LabError where the addresses are taken.

        A pod with `host_network` has its node's addresses. An external host needs `addresses`.
        """

    async def enforce(self, state: NetworkState) -> None:
        """Make the kernel do what `state` says, atomically on each node; returns once it does.

        Services and names follow at once, policies as the options say (`enforce`, `lag_s`). Calls take
        effect in order, and need not wait for one another: of the states that wait, the newest is applied
        for all. With `lag_s` each takes effect that long after its call, so a caller that waits for one
        call before it makes the next adds the lags up.
        """

    async def rules(self) -> Sequence[CountedRule]:
        """What is loaded on every node at this moment, in the order in which packets meet it."""

    async def start(self, ref: PodRef) -> None:
        """Link up, listeners accepting. LabError where a port of a shared network is taken."""

    async def remove(self, ref: PodRef) -> None:
        """Processes, then link, then namespace. Unknown pods are no error."""

    async def exec(
        self, ref: PodRef, argv: Sequence[str], *, stdin: bool = False, tty: bool = False
    ) -> Process:
        """Run a program in the pod, unprivileged.

        LabError where the pod is unknown or not started, and where the program is not there or cannot be
        executed. With a terminal, set its size by `resize` at once; the streams of a terminal end
        when its last process does. `kill` takes the program's descendants with it.
        """

    async def connect(self, ref: PodRef, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to a port of the pod by its own loopback, which no policy sees.

        LabError where the pod is unknown or not started, OSError where nothing listens.
        """
