"""Connections that are opened before a change and kept open while new ones are probed.

What happens to the open connection is up to the implementation (website PR #43438) and not tested. New
connections between the same pods must follow the new policies.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from netprobe.conformance.fixture_map import FixtureMap
from netprobe.conformance.world import Cell
from netprobe.errors import ClusterError, WorkbenchError
from netprobe.model.flow import End
from netprobe.probe import ClusterAPI, Station

OPENED_S: Final = 10.0
KEPT_S: Final = 120
"""A connection ends by itself after this time, in case its exec is lost."""

COMMAND: Final = 'sleep "$3" | nc -v "$1" "$2" 2>&1'


@asynccontextmanager
async def kept_open(
    cluster: ClusterAPI, site: FixtureMap, stations: Mapping[End, Station], cells: Iterable[Cell]
) -> AsyncIterator[None]:
    """Open a connection per cell and keep them until the end. WorkbenchError if one does not open."""
    async with AsyncExitStack() as stack:
        for cell in cells:
            await _open(stack, cluster, site, stations[site.end(cell.source)], cell)
        yield


async def _open(
    stack: AsyncExitStack, cluster: ClusterAPI, site: FixtureMap, station: Station, cell: Cell
) -> None:
    host, port = str(site.addresses[cell.destination][0]), cell.port.partition("/")[0]
    command = ["sh", "-c", COMMAND, "netprobe", host, port, str(KEPT_S)]
    why = "nc ended"
    try:
        async with asyncio.timeout(OPENED_S):
            execution = await stack.enter_async_context(
                cluster.exec(station.namespace, station.pod, station.container, command, stdin=False)
            )
            async for line in execution.lines():
                if "open" in line or "succeeded" in line:  # BusyBox', OpenBSD's
                    return
                why = line
    except TimeoutError:
        why = f"not after {OPENED_S:g} s"
    except ClusterError as error:
        why = str(error)
    raise WorkbenchError(
        f"the connection {cell.source} -> {cell.destination} {cell.port} did not open: {why}"
    )
