"""Loads a table of one node in one transaction, and reads its rules and counters back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from typing import Any

from netprobe.errors import LabError
from netprobe.lab.fabric.process import LabProcess, Stdio
from netprobe.lab.fabric.spawner import Spawner
from netprobe.lab.fabric.state import CountedRule
from netprobe.lab.fabric.table import NftTable, Ruleset, reload, update


class Loader:
    """One table in the network namespace `network`. Calls of `load` must not overlap.

    `reloads` counts full loads: one at first, and one for each difference that nft refused.
    """

    def __init__(self, spawner: Spawner, nft: str, network: int, table: NftTable) -> None:
        self._spawner = spawner
        self._nft = nft
        self._network = network
        self._table = table
        self._loaded: Ruleset | None = None  # None: unknown
        self.reloads = 0

    async def load(self, wanted: Ruleset) -> None:
        """Load the difference to `wanted`, or everything if nft refuses the difference. LabError."""
        loaded, self._loaded = self._loaded, None
        if loaded is not None:
            text = update(self._table, loaded, wanted)
            if not text or await self._run(text) is None:
                self._loaded = wanted
                return
        self.reloads += 1
        if problem := await self._run(reload(self._table, wanted)):
            raise LabError(f"nft refused the lab's rules: {problem}")
        self._loaded = wanted

    async def _run(self, text: str) -> str | None:
        """Run a transaction; nft's complaint, or None."""
        stdio = Stdio.pipes(stdin=True)
        try:
            answer = self._spawner.run([self._nft, "-f", "-"], self._network, stdio.theirs)
        finally:
            stdio.close_theirs()
        process = await LabProcess.attach(stdio, answer)
        assert process.stdin is not None  # noqa: S101 (for the type checker)
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
        """The table as `nft -j list table` prints it, with counters; "" if nothing is loaded."""
        stdio = Stdio.pipes(stdin=False)
        try:
            argv = [self._nft, "-j", "list", "table", *self._table.name.split()]
            answer = self._spawner.run(argv, self._network, stdio.theirs)
        finally:
            stdio.close_theirs()
        process = await LabProcess.attach(stdio, answer)
        return (await process.stdout.read()).decode()


def read_rules(node: str, table: str, text: str) -> list[CountedRule]:
    """The rules in the output of `nft -j list table`, in its order; "" is a table that does not exist."""
    items = json.loads(text)["nftables"] if text else []
    return [_rule(node, table, item["rule"]) for item in items if "rule" in item]


def _rule(node: str, table: str, rule: Mapping[str, Any]) -> CountedRule:
    counters = [part["counter"]["packets"] for part in rule["expr"] if "counter" in part]
    verdict = next((text for part in rule["expr"] for text in _verdict(part)), "")
    return CountedRule(
        node, table, rule["chain"], verdict, rule.get("comment", ""), counters[0] if counters else None
    )


def _verdict(part: Mapping[str, Any]) -> Iterator[str]:
    for name in ("accept", "drop", "masquerade", "reject"):
        if name in part:
            yield name
    for name in ("jump", "goto"):
        if name in part:
            yield f"{name} {part[name]['target']}"
    if "dnat" in part:
        address, port = part["dnat"]["addr"], part["dnat"]["port"]
        yield f"dnat [{address}]:{port}" if ":" in address else f"dnat {address}:{port}"
    if isinstance(data := part.get("vmap", {}).get("data"), dict):
        yield " ".join(["goto", *(target["goto"]["target"] for _, target in data["set"])])
