"""The interface between the lab's control plane and its network: records and the protocol `Fabric`.

`lab.kubelet` turns API objects into these; `lab.fabric` turns these into namespaces, links and rules.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from netprobe.model.cluster import Node
from netprobe.model.flow import Address, ContainerPort, PodRef
from netprobe.model.labels import Labels
from netprobe.model.policy import STANDARD_TIERS, NetworkSet, Policy, Tier


@dataclass(frozen=True, slots=True)
class LabNode:
    """A node of the lab, with one address of each of the lab's IP families."""

    name: str
    addresses: tuple[Address, ...]


@dataclass(frozen=True, slots=True)
class PolicyPod:
    """A pod as the network and policies see it.

    `addresses`: an external host, which is outside the pod network and of every selector, brings its own;
    `Fabric.place` gives those of other pods. `account_labels` are those of its service account, {} if that is
    unknown. `annotations` may ask for faults when the pod is placed.
    """

    ref: PodRef
    labels: Labels
    addresses: tuple[Address, ...]
    ports: tuple[ContainerPort, ...]
    node: str
    host_network: bool = False
    external: bool = False
    account: str = "default"
    account_labels: Labels = field(default_factory=dict)
    annotations: Labels = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class InstalledPolicy:
    """A policy as it is stored. `annotations` carry faults on demand."""

    policy: Policy
    annotations: Labels


@dataclass(frozen=True, slots=True)
class NetworkState:
    """Everything that rules and names are made from. Mappings are API objects as stored, with defaults.

    `nodes`: the annotations of each node, which carry faults on demand.
    Labels of namespaces, pods, sets and accounts include those that only selectors see.
    """

    namespaces: Mapping[str, Labels]
    members: Mapping[PodRef, PolicyPod]
    policies: Sequence[InstalledPolicy]
    services: Sequence[Mapping[str, Any]] = ()
    endpoint_slices: Sequence[Mapping[str, Any]] = ()
    tiers: Sequence[Tier] = STANDARD_TIERS
    nodes: Mapping[str, Labels] = field(default_factory=dict)
    network_sets: Sequence[NetworkSet] = ()
    selectable_nodes: Sequence[Node] = ()


@dataclass(frozen=True, slots=True)
class CountedRule:
    """A rule of the kernel: its place, what it does, and how many packets it has matched.

    `verdict` is for example "accept", "jump ingress/shop/web", "goto CHAIN CHAIN" (one of them at random) or
    "dnat 10.244.1.3:8080"; `packets` is None for a rule without a counter.
    """

    node: str
    table: str
    chain: str
    verdict: str
    comment: str
    packets: int | None


class Process(Protocol):
    """A process in a pod; `stderr` is None with a terminal. `wait` and `on_exit` give the status."""

    stdin: asyncio.StreamWriter | None
    stdout: asyncio.StreamReader
    stderr: asyncio.StreamReader | None

    async def wait(self) -> int: ...
    def on_exit(self, call: Callable[[int], None]) -> None: ...
    def kill(self) -> None: ...
    def resize(self, columns: int, rows: int) -> None: ...


class Fabric(Protocol):
    """The network of a lab. A pod is placed, the state with it enforced, then the pod started.

    So it is isolated before its first packet. Calls for different pods may run at the same time.
    """

    nodes: Sequence[LabNode]

    async def place(self, pod: PolicyPod) -> tuple[Address, ...]:
        """Choose the addresses of a pod, which cannot send yet.

        LabError if they are taken. A pod with `host_network` has its node's
        addresses. An external host needs `addresses`.
        """

    async def enforce(self, state: NetworkState) -> None:
        """Make the kernel enforce `state`, atomically on each node; return when it does.

        Services and names change at once, policies according to the options `enforce` and `lag_s`. Calls take
        effect in order and may overlap: of several waiting states, only the newest is applied. With `lag_s`
        each call takes effect that much later, so a caller that waits for one call before the next adds up
        the lags.
        """

    async def rules(self) -> Sequence[CountedRule]:
        """The rules that are loaded on every node now, in the order in which packets meet them."""

    async def start(self, ref: PodRef) -> None:
        """Bring the link up and start the servers. LabError if a port of a shared network is taken."""

    async def remove(self, ref: PodRef) -> None:
        """Remove processes, then link, then namespace. An unknown pod is not an error."""

    async def exec(
        self, ref: PodRef, argv: Sequence[str], *, stdin: bool = False, tty: bool = False
    ) -> Process:
        """Run a program in the pod, unprivileged.

        LabError if the pod is unknown or not started, or if the program does not exist or cannot be executed.
        The streams of a terminal end with its last process. `kill` also kills the program's descendants.
        """
