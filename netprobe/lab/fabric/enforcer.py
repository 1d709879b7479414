"""Makes the kernel of each node do what the policies of a state say: compile, compare, one transaction.

Calls are taken in order. Of the states that wait while a transaction runs only the newest is applied, because
each state is complete; all callers return when it is in force.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from netprobe.errors import LabError
from netprobe.lab.fabric import faults
from netprobe.lab.fabric.loader import Loader
from netprobe.lab.fabric.ruleset import Compiler
from netprobe.lab.fabric.state import NetworkState
from netprobe.lab.fabric.table import Ruleset
from netprobe.lab.options import LabOptions
from netprobe.model.flow import PodRef

Links = Mapping[PodRef, str]


@dataclass(frozen=True, slots=True)
class _Waiting:
    due: float
    state: NetworkState
    done: asyncio.Future[None] = field(compare=False)


@dataclass(frozen=True, slots=True)
class _Facts:
    """All that the rules of policies are made from. `state` is without Services that no policy looks at."""

    state: NetworkState
    links: Mapping[str, Links]
    delays_s: Mapping[str, float]


@dataclass(slots=True)
class _Loads:
    """The loads of a node, by number: the last that was wanted, the last that was made, those to come."""

    last: int = 0
    done: int = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    late: set[asyncio.Task[None]] = field(default_factory=set)


class Enforcer:
    """`loaders`: the table of policies of each node, by its name.

    `links` gives the links of the pods of a node at the moment of enforcing.
    """

    def __init__(
        self,
        options: LabOptions,
        *,
        versions: Sequence[int],
        loaders: Mapping[str, Loader],
        links: Callable[[str], Links],
    ) -> None:
        self._options = options
        self._versions = versions
        self._links = links
        self._loaders = loaders
        self._queue: deque[_Waiting] = deque()
        self._worker: asyncio.Task[None] | None = None
        self._in_force: _Facts | None = None
        self._loads = {name: _Loads() for name in loaders}
        self._compiler: Compiler | None = None

    async def enforce(self, state: NetworkState) -> None:
        """Return once `state`, or a newer one, is in force on all nodes; delayed by `lag_s`."""
        if not self._options.enforce:
            return
        loop = asyncio.get_running_loop()
        waiting = _Waiting(loop.time() + self._options.lag_s, state, loop.create_future())
        self._queue.append(waiting)
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        await waiting.done

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while self._queue:
            await asyncio.sleep(max(0.0, self._queue[0].due - loop.time()))
            batch = []
            while self._queue and self._queue[0].due <= loop.time():
                batch.append(self._queue.popleft())
            if not batch:
                continue
            problem: BaseException | None = None
            try:
                await self._apply(batch[-1].state)
            except (LabError, OSError, ValueError, KeyError) as error:
                problem = error if isinstance(error, LabError) else LabError(f"rules cannot be made: {error}")
            for waiting in batch:
                if waiting.done.done():
                    continue
                if problem is None:
                    waiting.done.set_result(None)
                else:
                    waiting.done.set_exception(problem)

    async def _apply(self, state: NetworkState) -> None:
        links = {name: self._links(name) for name in self._loaders}
        delays_s = {name: faults.agent_delay(state.nodes.get(name, {})) for name in self._loaders}
        slices = state.endpoint_slices if self._compiler and self._compiler.looks_at_services else ()
        facts = _Facts(replace(state, services=(), endpoint_slices=slices), links, delays_s)
        before, self._in_force = self._in_force, None
        if before != facts:
            compiler = Compiler(state, self._versions, self._options.deny_with, self._compiler)
            self._compiler = compiler
            await asyncio.gather(
                *(
                    self._load(name, compiler.node(links[name], name), delays_s[name])
                    for name in self._loaders
                )
            )
        self._in_force = facts

    async def _load(self, node: str, wanted: Ruleset, delay_s: float) -> None:
        """Load the rules of a node; later, or never, if a fault says so."""
        loads = self._loads[node]
        loads.last += 1
        number = loads.last

        async def load() -> None:
            await asyncio.sleep(delay_s)
            async with loads.lock:
                if number > loads.done:  # a newer one may have had less delay
                    await self._loaders[node].load(wanted)
                    loads.done = number

        if delay_s == 0:
            await load()
        elif math.isfinite(delay_s):
            loads.late.add(task := asyncio.create_task(load()))
            task.add_done_callback(loads.late.discard)
