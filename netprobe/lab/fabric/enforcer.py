"""Makes the kernel of each node do what a state says: compile, compare, one transaction.

States are taken in order, those of policies after the lab's lag; each state is complete, so older ones can be
passed over.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Generic, TypeVar

from netprobe.errors import LabError
from netprobe.lab.fabric import faults
from netprobe.lab.fabric.loader import Loader
from netprobe.lab.fabric.ruleset import Compiler
from netprobe.lab.fabric.services import Services
from netprobe.lab.fabric.state import LabNode, NetworkState
from netprobe.lab.fabric.table import Ruleset
from netprobe.lab.options import LabOptions
from netprobe.model.flow import PodRef

T = TypeVar("T")
Links = Mapping[PodRef, str]


class InOrder(Generic[T]):
    """Calls `apply` with one thing after the other, each `lag_s` after it came.

    Of those that wait while `apply` runs, only the newest is applied.
    """

    def __init__(self, apply: Callable[[T], Awaitable[None]], lag_s: float = 0.0) -> None:
        self._apply = apply
        self.lag_s = lag_s
        self.taken = 0
        self._due: tuple[int, T] | None = None
        self._applied = 0
        self._lock = asyncio.Lock()

    async def take(self, wanted: T, delay_s: float | None = None) -> None:
        """Return once `wanted`, or something newer, is in force. LabError if it cannot be."""
        self.taken += 1
        number = self.taken
        await asyncio.sleep(self.lag_s if delay_s is None else delay_s)
        if self._due is None or self._due[0] < number:
            self._due = number, wanted
        async with self._lock:
            newest, due = self._due
            if self._applied < number:
                try:
                    await self._apply(due)
                except (OSError, ValueError, KeyError) as error:
                    raise LabError(f"rules cannot be made: {error!r}") from error
                self._applied = newest


class Enforcer:
    """`services`, `policies`: the tables of each node, by its name.

    `links` gives the links of the pods of a node at the moment of enforcing.
    """

    def __init__(
        self,
        options: LabOptions,
        nodes: Sequence[LabNode],
        *,
        versions: Sequence[int],
        services: Mapping[str, Loader],
        policies: Mapping[str, Loader],
        links: Callable[[str], Links],
    ) -> None:
        self._nodes = nodes
        self._versions = versions
        self._deny_with = options.deny_with
        self._links = links
        self._services = services
        self._policies = policies
        self.service_states = InOrder(self._load_services)
        self.policy_states = InOrder(self._load_policies, options.lag_s)
        self._in_order = [self.service_states, *([self.policy_states] if options.enforce else [])]
        self._loads = {name: InOrder(loader.load) for name, loader in policies.items()}
        self._late: set[asyncio.Task[None]] = set()
        self._compiler: Compiler | None = None

    async def enforce(self, state: NetworkState) -> None:
        """Return once Services and policies of `state`, or of a newer one, are in force on all nodes."""
        await asyncio.gather(*(one.take(state) for one in self._in_order))

    async def _load_services(self, state: NetworkState) -> None:
        services = Services(state.services, state.endpoint_slices, self._versions, state.members.values())
        await asyncio.gather(*(self._services[node.name].load(services.node(node)) for node in self._nodes))

    async def _load_policies(self, state: NetworkState) -> None:
        links = {name: self._links(name) for name in self._policies}
        compiler = self._compiler = Compiler(state, self._versions, self._deny_with, self._compiler)
        wanted = {name: compiler.node(own, name) for name, own in links.items()}
        delays_s = {name: faults.agent_delay(state.nodes.get(name, {})) for name in wanted}
        await asyncio.gather(*(self._load(name, rules, delays_s[name]) for name, rules in wanted.items()))

    async def _load(self, node: str, wanted: Ruleset, delay_s: float) -> None:
        """Load the rules of a node's policies; later, or never, if a fault says so."""
        if delay_s == 0:
            await self._loads[node].take(wanted)
        elif math.isfinite(delay_s):
            self._late.add(task := asyncio.create_task(self._loads[node].take(wanted, delay_s)))
            task.add_done_callback(self._late.discard)
