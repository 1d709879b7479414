"""Loads the rules of Services on each node: those of the newest state, in one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from netprobe.errors import LabError
from netprobe.lab.fabric.loader import Loader
from netprobe.lab.fabric.services import Services
from netprobe.lab.fabric.state import NetworkState, Node


class Proxy:
    """`loaders`: the table of Services of each node, by its name."""

    def __init__(
        self, nodes: Sequence[Node], *, versions: Sequence[int], loaders: Mapping[str, Loader]
    ) -> None:
        self._nodes = nodes
        self._versions = versions
        self._loaders = loaders
        self._newest: NetworkState | None = None
        self._loaded: NetworkState | None = None
        self._one_at_a_time = asyncio.Lock()

    async def apply(self, state: NetworkState) -> None:
        """Return when the Services of `state`, or of a newer state, are loaded on all nodes. LabError."""
        self._newest = state
        async with self._one_at_a_time:
            state = self._newest
            before, self._loaded = self._loaded, None
            if before is None or _differs(before, state):
                try:
                    services = Services(state.services, state.endpoint_slices, self._versions)
                    wanted = {node.name: services.node(node) for node in self._nodes}
                except (ValueError, KeyError) as error:
                    raise LabError(f"Services cannot be made: {error!r}") from error
                await asyncio.gather(*(self._loaders[name].load(rules) for name, rules in wanted.items()))
            self._loaded = state


def _differs(one: NetworkState, other: NetworkState) -> bool:
    return (one.services, one.endpoint_slices) != (other.services, other.endpoint_slices)
