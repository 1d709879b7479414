"""Loads a table of one node in one transaction, and reads its rules and counters back."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any

from netprobe.errors import LabError
from netprobe.lab.fabric import kernel, sandbox
from netprobe.lab.fabric.state import CountedRule
from netprobe.lab.fabric.table import NftTable, Ruleset, reload, update


class Loader:
    """One table in the network namespace `network`. Calls of `load` must not overlap.

    `reloads` counts full loads: one at first, and one for each difference that nft refused.
    """

    def __init__(self, network: int, table: NftTable) -> None:
        self._network = network
        self._table = table
        self._loaded: Ruleset | None = None  # None: unknown
        self.reloads = 0

    async def load(self, wanted: Ruleset) -> None:
        """Load the difference to `wanted`, or everything if nft refuses the difference. LabError."""
        loaded, self._loaded = self._loaded, None
        if loaded is not None:
            text = update(self._table, loaded, wanted)
            if not text or not (await self._run("-f", "-", text=text)).returncode:
                self._loaded = wanted
                return
        self.reloads += 1
        done = await self._run("-f", "-", text=reload(self._table, wanted))
        if done.returncode:
            problem = done.stderr.strip().partition("\n")[0] or f"status {done.returncode}"
            raise LabError(f"nft refused the lab's rules: {problem}")
        self._loaded = wanted

    async def listing(self) -> str:
        """The table as `nft -j list table` prints it, with counters; "" if nothing is loaded."""
        return (await self._run("-j", "list", "table", *self._table.name.split())).stdout

    async def _run(self, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
        """Run nft in a thread, in the namespace that the thread is in for that moment."""

        def run() -> subprocess.CompletedProcess[str]:
            with kernel.inside(self._network):
                return subprocess.run(
                    ["nft", *arguments],
                    input=text,
                    capture_output=True,
                    text=True,
                    errors="replace",
                    env={"PATH": sandbox.PATH, "LC_ALL": "C"},
                    check=False,
                )

        return await asyncio.to_thread(run)


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
