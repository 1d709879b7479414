"""Makes the kernel of each node do what a state says: compile, compare, one transaction.

States are taken in order, those of policies after the lab's lag. Of the states that wait while a transaction
runs only the newest is applied, because each state is complete; all callers return when it is in force.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from netprobe.errors import LabError
from netprobe.lab.fabric import faults
from netprobe.lab.fabric.loader import Loader
from netprobe.lab.fabric.ruleset import Compiler
from netprobe.lab.fabric.services import Services
from netprobe.lab.fabric.state import LabNode, NetworkState
from netprobe.lab.fabric.table import Ruleset
from netprobe.lab.options import LabOptions
from netprobe.model.flow import PodRef

Links = Mapping[PodRef, str]


@dataclass(frozen=True, slots=True)
class _Waiting:
    due: float
    state: NetworkState
    done: asyncio.Future[None] = field(compare=False)


class InOrder:
    """Calls `apply` with one state after the other, each `lag_s` after it came."""

    def __init__(self, apply: Callable[[NetworkState], Awaitable[None]], lag_s: float = 0.0) -> None:
        self._apply = apply
        self.lag_s = lag_s
        self.queue: deque[_Waiting] = deque()
        self._worker: asyncio.Task[None] | None = None

    async def take(self, state: NetworkState) -> None:
        """Return once `state`, or a newer one, is in force. LabError if it cannot be."""
        loop = asyncio.get_running_loop()
        waiting = _Waiting(loop.time() + self.lag_s, state, loop.create_future())
        self.queue.append(waiting)
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        await waiting.done

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while self.queue:
            await asyncio.sleep(max(0.0, self.queue[0].due - loop.time()))
            batch = []
            while self.queue and self.queue[0].due <= loop.time():
                batch.append(self.queue.popleft())
            if not batch:
                continue
            problem: LabError | None = None
            try:
                await self._apply(batch[-1].state)
            except LabError as error:
                problem = error
            except (OSError, ValueError, KeyError) as error:
                problem = LabError(f"rules cannot be made: {error!r}")
            for waiting in batch:
                if waiting.done.done():
                    continue
                if problem is None:
                    waiting.done.set_result(None)
                else:
                    waiting.done.set_exception(problem)


@dataclass(slots=True)
class _Loads:
    """The loads of a node, by number: the last that was wanted, the last that was made, those to come."""

    last: int = 0
    done: int = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    late: set[asyncio.Task[None]] = field(default_factory=set)


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
        self._loads = {name: _Loads() for name in policies}
        self._compiler: Compiler | None = None

    async def enforce(self, state: NetworkState) -> None:
        """Return once Services and policies of `state`, or of a newer one, are in force on all nodes."""
        done = await asyncio.gather(*(one.take(state) for one in self._in_order), return_exceptions=True)
        for problem in done:
            if problem is not None:
                raise problem

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
        loads = self._loads[node]
        loads.last += 1
        number = loads.last

        async def load() -> None:
            await asyncio.sleep(delay_s)
            async with loads.lock:
                if number > loads.done:  # a newer one may have had less delay
                    await self._policies[node].load(wanted)
                    loads.done = number

        if delay_s == 0:
            await load()
        elif math.isfinite(delay_s):
            loads.late.add(task := asyncio.create_task(load()))
            task.add_done_callback(loads.late.discard)
