"""Canaries: pods that show whether policies are enforced, and when a change has arrived.

On each node a client tries two ports of a target. One is always open, and so proves listener and path. The
other is closed by a policy of the run's own from the start; that it stays silent while the control answers
is the evidence that this cluster enforces policies at all. With each change of the run a further port is
opened, after everything else, so the moment at which it first connects tells when the change is in force
here. Opening is used, and not closing, because a connection tells its time at once, while silence has to be
waited for.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from netprobe.errors import ClusterError
from netprobe.probe import netcat
from netprobe.probe.api import ClusterAPI
from netprobe.probe.pace import Pace
from netprobe.probe.plan import Station
from netprobe.probe.run_objects import CANARY_CONTROL

SILENT_TRIES: Final = 5
"""So many tries of the control in a row must connect without the other port having done so."""


@dataclass(frozen=True, slots=True)
class Canary:
    """A pair on one node: `client` tries the ports of `target`."""

    client: Station
    target: Station

    @property
    def node(self) -> str:
        return self.target.node or "an unknown node"


@dataclass(frozen=True, slots=True)
class Enforcement:
    """Whether the cluster enforces policies, and what shows it. None: could not be told."""

    enforcing: bool | None
    evidence: str


class CanaryWatch:
    """Follows one canary through one change, while its context is open."""

    def __init__(self, cluster: ClusterAPI, canary: Canary, change: int, pace: Pace) -> None:
        self.canary = canary
        self.port = CANARY_CONTROL + change
        self.execs = 0
        self._cluster = cluster
        self._pace = pace
        self._trouble = "it was not tried"
        self._controls = 0  # tries of the control that connected since the other port last did
        self._answered = False  # the control connected at least once
        self._opened: float | None = None  # when the port last connected, by the loop's clock
        self._first: float | None = None  # when it first did after `forget`
        self._news = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._follow(), name=f"canary on {self.canary.node}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def closed(self, deadline_s: float) -> Enforcement:
        """Wait until the port is seen to be closed while the control answers; an open one has the time."""
        node = self.canary.node
        with suppress(TimeoutError):
            async with asyncio.timeout(deadline_s), self._news:
                await self._news.wait_for(lambda: self._controls >= SILENT_TRIES)
                return Enforcement(
                    True,
                    f"on {node} a policy of the run's own closes port {self.port} of a pod, and only that",
                )
        if self._opened is not None:
            return Enforcement(
                False,
                f"on {node} a pod can still be reached on port {self.port} {deadline_s:g} s after a policy "
                "has forbidden it",
            )
        return Enforcement(
            None, f"on {node} the canary cannot be reached even where no policy forbids it: {self._trouble}"
        )

    def forget(self) -> None:
        """From now on, only what happens from now on counts as the turn."""
        self._first = None

    async def opened(self, deadline_s: float) -> float | None:
        """The loop's time at which the port first connected after `forget`; None: not by the deadline."""
        with suppress(TimeoutError):
            async with asyncio.timeout(deadline_s), self._news:
                await self._news.wait_for(lambda: self._first is not None)
        return self._first

    async def _follow(self) -> None:
        tries = round(60 / self._pace.pause_s)
        client, target = self.canary.client, self.canary.target
        command = netcat.canary_command(
            str(target.addresses[0]),
            control=CANARY_CONTROL,
            port=self.port,
            tries=tries,
            pause_s=self._pace.pause_s,
        )
        while True:
            try:
                self.execs += 1
                running = self._cluster.exec(client.namespace, client.pod, client.container, command)
                async with running as execution:
                    async for line in execution.lines():
                        await self._note(line)
                self._trouble = execution.finished.reason if execution.finished else "its exec was cut"
            except ClusterError as e:
                self._trouble = str(e)
            await asyncio.sleep(self._pace.retry_s)

    async def _note(self, line: str) -> None:
        word = line.partition(" ")[0]
        now = asyncio.get_running_loop().time()
        async with self._news:
            if word == "open":
                self._opened = now
                self._first = now if self._first is None else self._first
                self._controls = 0
            elif word == "control":
                self._controls += 1
                self._answered = True
            elif word == "try" and not self._answered:
                self._trouble = "the control port does not connect"
            self._news.notify_all()


def overall(signs: list[Enforcement]) -> Enforcement:
    """One answer for all nodes: a node that does not enforce is the answer, whatever the others do."""
    for wanted in (False, None):
        found = [sign for sign in signs if sign.enforcing is wanted]
        if found:
            return Enforcement(wanted, "; ".join(sign.evidence for sign in found))
    return (
        Enforcement(True, "; ".join(s.evidence for s in signs))
        if signs
        else Enforcement(None, "there is no canary")
    )
