"""Makes the kernel of each node do what the policies of a state say: compile, compare, one transaction.

Calls are taken in order. Of the states that wait while a transaction runs only the newest is applied, because
each state is complete; all callers return when it is in force.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from netprobe.errors import LabError
from netprobe.lab.fabric.loader import Loader
from netprobe.lab.fabric.ruleset import Compiler
from netprobe.lab.fabric.state import InstalledPolicy, NetworkState, PolicyPod
from netprobe.lab.options import LabOptions
from netprobe.model.flow import PodRef
from netprobe.model.labels import Labels
from netprobe.model.policy import Tier

Links = Mapping[PodRef, str]


@dataclass(frozen=True, slots=True)
class _Waiting:
    due: float
    state: NetworkState
    done: asyncio.Future[None] = field(compare=False)


@dataclass(frozen=True, slots=True)
class _Facts:
    """All that the rules of policies are made from. A state in which only Services changed has the same."""

    namespaces: Mapping[str, Labels]
    members: Mapping[PodRef, PolicyPod]
    policies: Sequence[InstalledPolicy]
    tiers: Sequence[Tier]
    links: Mapping[str, Links]


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
        facts = _Facts(state.namespaces, state.members, state.policies, state.tiers, links)
        before, self._in_force = self._in_force, None
        if before != facts:
            compiler = Compiler(state, self._versions, self._options.deny_with, self._compiler)
            self._compiler = compiler
            await asyncio.gather(
                *(loader.load(compiler.node(links[name], name)) for name, loader in self._loaders.items())
            )
        self._in_force = facts
