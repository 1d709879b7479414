"""Makes the kernel of each node do what a state says: compile, compare with what is loaded, one transaction.

Calls are taken in order. States that wait while a transaction runs are passed over for the newest of
them, which says all that they said; their callers return when it is in force.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from netprobe.errors import LabError
from netprobe.lab.fabric import update
from netprobe.lab.fabric.process import LabProcess, Stdio
from netprobe.lab.fabric.ruleset import Compiler, Ruleset
from netprobe.lab.fabric.spawner import Spawner
from netprobe.lab.fabric.state import NetworkState
from netprobe.lab.options import LabOptions
from netprobe.model.flow import PodRef

Links = Mapping[PodRef, str]


@dataclass(slots=True)
class _Filter:
    """A node's packet filter; `loaded` None: unknown, load everything."""

    network: int
    loaded: Ruleset | None = None


@dataclass(frozen=True, slots=True)
class _Waiting:
    due: float
    state: NetworkState
    done: asyncio.Future[None] = field(compare=False)


class Enforcer:
    """`links` gives the links of the pods of a node at the moment of enforcing."""

    def __init__(
        self,
        spawner: Spawner,
        nft: str,
        options: LabOptions,
        *,
        versions: Sequence[int],
        networks: Mapping[str, int],
        links: Callable[[str], Links],
    ) -> None:
        self._spawner = spawner
        self._nft = nft
        self._options = options
        self._versions = versions
        self._links = links
        self._filters = {name: _Filter(network) for name, network in networks.items()}
        self._queue: deque[_Waiting] = deque()
        self._worker: asyncio.Task[None] | None = None

    async def enforce(self, state: NetworkState) -> None:
        """Return once `state`, or a newer one, is in force on all nodes; `lag_s` later where so asked."""
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
        compiler = Compiler(state, self._versions, self._options.deny_with)
        await asyncio.gather(
            *(self._load(one, compiler.node(self._links(name))) for name, one in self._filters.items())
        )

    async def _load(self, one: _Filter, wanted: Ruleset) -> None:
        """Bring a node to `wanted`; where the difference is refused, load everything anew."""
        loaded, one.loaded = one.loaded, None
        if loaded is not None:
            text = update.update(loaded, wanted)
            if not text or await self._run(one.network, text) is None:
                one.loaded = wanted
                return
        if problem := await self._run(one.network, update.reload(wanted)):
            raise LabError(f"nft refused the lab's rules: {problem}")
        one.loaded = wanted

    async def _run(self, network: int, text: str) -> str | None:
        """Give nft a transaction; what it complains of, or None."""
        stdio = Stdio.pipes(stdin=True)
        try:
            answer = self._spawner.run([self._nft, "-f", "-"], network, stdio.theirs)
        finally:
            stdio.close_theirs()
        process = await LabProcess.attach(stdio, answer)
        assert process.stdin is not None  # noqa: S101 (for the type checker: asked for above)
        assert process.stderr is not None  # noqa: S101
        process.stdin.write(text.encode())
        process.stdin.close()
        complaint, _, status = await asyncio.gather(
            process.stderr.read(), process.stdout.read(), process.wait()
        )
        if status == 0:
            return None
        return complaint.decode(errors="replace").strip().partition("\n")[0] or f"status {status}"

    async def listing(self, node: str) -> str:
        """What is loaded on a node, counters included, as `nft -j list table` prints it."""
        stdio = Stdio.pipes(stdin=False)
        try:
            argv = [self._nft, "-j", "list", "table", "inet", "netprobe"]
            answer = self._spawner.run(argv, self._filters[node].network, stdio.theirs)
        finally:
            stdio.close_theirs()
        process = await LabProcess.attach(stdio, answer)
        return (await process.stdout.read()).decode()
