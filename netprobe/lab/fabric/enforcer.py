"""Makes the kernel of each node do what a state says: compile, compare, one transaction. Reads rules back.

States are taken in order, those of policies after the lab's lag; each state is complete, so older ones can be
passed over.
"""

from __future__ import annotations

import asyncio
import json
import math
import subprocess
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar

from netprobe.errors import LabError
from netprobe.lab.fabric import faults, kernel, sandbox
from netprobe.lab.fabric.ruleset import Compiler
from netprobe.lab.fabric.services import Services
from netprobe.lab.fabric.state import CountedRule, LabNode, NetworkState
from netprobe.lab.fabric.table import NftTable, Ruleset, reload, update
from netprobe.lab.options import LabOptions
from netprobe.model.flow import PodRef

T = TypeVar("T")
Links = Mapping[PodRef, str]


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
