"""Brings a table of one node to what it should be, in one transaction, and reads it back."""

from __future__ import annotations

import asyncio

from netprobe.errors import LabError
from netprobe.lab.fabric import update
from netprobe.lab.fabric.process import LabProcess, Stdio
from netprobe.lab.fabric.spawner import Spawner
from netprobe.lab.fabric.table import Ruleset, Table


class Loader:
    """One table in the network namespace `network`. Calls of `load` must not overlap.

    `reloads` counts how often everything was loaded anew: once at first, and where a difference was refused.
    """

    def __init__(self, spawner: Spawner, nft: str, network: int, table: Table) -> None:
        self._spawner = spawner
        self._nft = nft
        self._network = network
        self._table = table
        self._loaded: Ruleset | None = None  # None: unknown
        self.reloads = 0

    async def load(self, wanted: Ruleset) -> None:
        """Bring the table to `wanted`; where the difference is refused, load everything anew. LabError."""
        loaded, self._loaded = self._loaded, None
        if loaded is not None:
            text = update.update(self._table, loaded, wanted)
            if not text or await self._run(text) is None:
                self._loaded = wanted
                return
        self.reloads += 1
        if problem := await self._run(update.reload(self._table, wanted)):
            raise LabError(f"nft refused the lab's rules: {problem}")
        self._loaded = wanted

    def forget(self) -> None:
        """Have the next `load` load everything anew."""
        self._loaded = None

    async def _run(self, text: str) -> str | None:
        """Give nft a transaction; what it complains of, or None."""
        stdio = Stdio.pipes(stdin=True)
        try:
            answer = self._spawner.run([self._nft, "-f", "-"], self._network, stdio.theirs)
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

    async def listing(self) -> str:
        """What is loaded, counters included, as `nft -j list table` prints it; "" where nothing is."""
        stdio = Stdio.pipes(stdin=False)
        try:
            argv = [self._nft, "-j", "list", "table", *self._table.name.split()]
            answer = self._spawner.run(argv, self._network, stdio.theirs)
        finally:
            stdio.close_theirs()
        process = await LabProcess.attach(stdio, answer)
        return (await process.stdout.read()).decode()
