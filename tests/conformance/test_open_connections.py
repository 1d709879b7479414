"""A connection that is to be held open: that it opened is seen; where it did not nobody can tell."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from netprobe.conformance import open_connections as module
from netprobe.conformance.open_connections import COMMAND, kept_open
from netprobe.conformance.world import Cell
from netprobe.errors import WorkbenchError
from netprobe.probe import Station
from tests.conformance.samples import SITE

ASK = Cell("x/b", "x/a", "80/TCP")
STATIONS: Any = {SITE.end("x/b"): Station(SITE.end("x/b"), "x", "b", "probe", SITE.addresses["x/b"])}


class Pod:
    """Runs nothing: says what a command would."""

    def __init__(self, *said: str) -> None:
        self.said = said
        self.command: list[str] = []
        self.open = False

    @asynccontextmanager
    async def exec(self, *where: str, stdin: bool = True) -> AsyncIterator[Any]:
        assert not stdin
        self.command = list(where[3])
        self.open = True
        try:
            yield self
        finally:
            self.open = False

    async def lines(self) -> AsyncIterator[str]:
        for line in self.said:
            yield line
        if self.said[-1] == "...":
            await asyncio.Event().wait()


@pytest.mark.parametrize(
    "said", ["10.1.0.1 (10.1.0.1:80) open", "Connection to 10.1.0.1 80 port [tcp/*] succeeded!"]
)
async def test_it_is_open_until_the_end(said: str) -> None:
    pod: Any = Pod(said)
    async with kept_open(pod, SITE, STATIONS, [ASK]):
        assert pod.open
    assert not pod.open
    assert pod.command[2] == COMMAND
    assert pod.command[4:6] == [str(SITE.addresses["x/a"][0]), "80"]


@pytest.mark.parametrize(("said", "why"), [("nc: refused", "nc: refused"), ("...", "not after 0 s")])
async def test_one_that_does_not_open(monkeypatch: pytest.MonkeyPatch, said: str, why: str) -> None:
    monkeypatch.setattr(module, "OPENED_S", 0)
    if said != "...":
        monkeypatch.setattr(module, "OPENED_S", 60)
    pod: Any = Pod(said)
    with pytest.raises(WorkbenchError, match=f"x/b -> x/a 80/TCP did not open: {why}"):
        async with kept_open(pod, SITE, STATIONS, [ASK]):
            pass
    assert not pod.open
