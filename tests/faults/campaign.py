"""Runs under faults, and what became of them: verdicts, exit status, objects that are left."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from netprobe.kube import connect
from netprobe.lab import LabOptions
from netprobe.lab import start as start_lab
from netprobe.probe.run_objects import RUN
from tests.faults.proxy import FaultProxy, faulty

ROOT: Final = Path(__file__).parents[2]
SUITES: Final = tuple(ROOT / "manifests" / name / "suite.yaml" for name in ("two-tier", "production"))
KINDS: Final = ("Namespace", "Pod", "Job", "NetworkPolicy", "Lease")
STATUS: Final = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}
MOMENT_S: Final = 4.0
"""A run is interrupted or killed up to so many seconds after its first object exists."""
RUN_S: Final = 180.0

HEAD: Final = (
    "| experiment | runs | as they should be | wrong verdicts | left behind | slowest |\n"
    "|---|---|---|---|---|---|"
)


@dataclass
class Figures:
    """Outcomes of an experiment. `fine`: runs that ended as they should; `wrong`: flows, never UNKNOWN ones.

    `needed`: the share of runs that has to be fine.
    """

    name: str
    runs: int
    needed: float = 1.0
    fine: int = 0
    flows: int = 0
    wrong: int = 0
    left: list[str] = field(default_factory=list)
    slowest_s: float = 0.0
    detail: Counter[str] = field(default_factory=Counter)
    messages: list[str] = field(default_factory=list)

    @property
    def is_fine(self) -> bool:
        return self.fine >= self.needed * self.runs and not self.wrong and not self.left

    @property
    def row(self) -> str:
        detail = "".join(f", {count:,} {what}" for what, count in self.detail.items())
        wrong = f"{self.wrong} of {self.flows:,}" if self.flows else ""
        cells = (
            f"{self.name}{detail}",
            self.runs,
            self.fine,
            wrong,
            len(self.left),
            f"{self.slowest_s:.0f} s",
        )
        return f"| {' | '.join(map(str, cells))} |"

    def note(self, ended: Ended, left: set[str], *, fine: bool) -> None:
        self.fine += fine
        self.left += sorted(left)
        self.slowest_s = max(self.slowest_s, ended.took_s)
        if left or not fine:
            self.messages.append(f"status {ended.status}: {ended.err.strip()} {', '.join(sorted(left))}")


@dataclass(frozen=True)
class Ended:
    """A command that has ended, and how long that took."""

    status: int
    out: str
    err: str
    took_s: float

    @property
    def flows(self) -> dict[str, Any]:
        """The observed verdict of each flow; empty if there is no report."""
        try:
            rows = json.loads(self.out)["flows"]
        except (ValueError, KeyError):
            return {}
        return {f"{r['step']} {r['from']} {r['to']} {r['port']}/{r['protocol']}": r["observed"] for r in rows}


async def start(*arguments: object) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    words = ("env", "--default-signal=INT,HUP", sys.executable, "-m", "netprobe", *map(str, arguments))
    return await asyncio.create_subprocess_exec(*words, stdout=pipe, stderr=pipe, cwd=ROOT)


async def end(process: asyncio.subprocess.Process) -> Ended:
    begun = time.monotonic()
    async with asyncio.timeout(RUN_S):
        out, err = await process.communicate()
    return Ended(process.returncode or 0, out.decode(), err.decode(), time.monotonic() - begun)


async def netprobe(*arguments: object) -> Ended:
    return await end(await start(*arguments))


async def left(kubeconfig: Path) -> set[str]:
    """Everything in the cluster that carries the label of a run."""
    async with connect(kubeconfig) as cluster:
        found = [obj for kind in KINDS for obj in await cluster.find(kind, None, {RUN: None})]
    metas = ((obj["kind"], obj["metadata"]) for obj in found)
    return {"/".join((kind, meta.get("namespace", ""), meta["name"])) for kind, meta in metas}


async def api_faults(
    kubeconfig: Path, folder: Path, *, runs: int, rate: float, seed: int, suites: Sequence[Path] = SUITES
) -> Figures:
    """Runs while a share of the requests fails: nearly all find the right verdicts, none a wrong one."""
    figures = Figures(f"{rate:.0%} of the API's answers fail", runs, needed=0.95)
    right: dict[Path, dict[str, Any]] = {}
    for suite in suites:
        right[suite] = (await netprobe("run", suite, "--kubeconfig", kubeconfig, "-o", "json")).flows
    for number in range(runs):
        suite = suites[number % len(suites)]
        async with faulty(kubeconfig, folder, rate=rate, seed=seed + number) as (proxy, path):
            ended = await netprobe("run", suite, "--kubeconfig", path, "-o", "json")
        _count(figures, ended.flows, right[suite], proxy)
        fine = ended.status == 0 and ended.flows == right[suite]
        figures.note(ended, await left(kubeconfig), fine=fine)
    return figures


def _count(figures: Figures, flows: dict[str, Any], right: dict[str, Any], proxy: FaultProxy) -> None:
    known = {flow: verdict for flow, verdict in flows.items() if verdict in {"allow", "deny"}}
    figures.flows += len(flows)
    figures.wrong += sum(verdict != right[flow] for flow, verdict in known.items())
    figures.detail["requests"] += proxy.requests
    figures.detail["failed"] += sum(proxy.counts.values())


async def _some_moment(process: asyncio.subprocess.Process, kubeconfig: Path, chance: random.Random) -> None:
    """Wait until some moment of a run; in one of four cases its start."""
    if chance.random() >= 0.25:
        while process.returncode is None and not await left(kubeconfig):  # noqa: ASYNC110  no event
            await asyncio.sleep(0.05)
    await asyncio.sleep(chance.uniform(0, MOMENT_S))


async def signals(kubeconfig: Path, *, runs: int, seed: int) -> Figures:
    """Runs that get a signal at a random moment: they remove everything; the status says which it was.

    Before Python runs, the signal ends the process by itself.
    """
    figures, chance = Figures("SIGINT, SIGTERM, SIGHUP in turn", runs), random.Random(seed)  # noqa: S311
    for index in range(runs):
        number = list(STATUS)[index % len(STATUS)]
        process = await start("run", SUITES[0], "--kubeconfig", kubeconfig, "-o", "json")
        await _some_moment(process, kubeconfig, chance)
        if process.returncode is None:
            process.send_signal(number)
        ended = await end(process)
        figures.note(ended, await left(kubeconfig), fine=ended.status in {STATUS[number], -number, 0})
    return figures


async def kills(kubeconfig: Path, *, runs: int, seed: int) -> Figures:
    """Runs that are killed at a random moment, and `netprobe clean` after each."""
    figures, chance = Figures("kill -9, then `netprobe clean`", runs), random.Random(seed)  # noqa: S311
    for _ in range(runs):
        process = await start("run", SUITES[0], "--kubeconfig", kubeconfig, "-o", "json")
        await _some_moment(process, kubeconfig, chance)
        if process.returncode is None:
            os.kill(process.pid, signal.SIGKILL)
        await end(process)
        figures.detail["objects removed"] += len(await left(kubeconfig))
        ended = await netprobe("clean", "--kubeconfig", kubeconfig)
        figures.note(ended, await left(kubeconfig), fine=ended.status == 0)
    return figures


@asynccontextmanager
async def fresh_lab(name: str) -> AsyncIterator[Path]:
    """The kubeconfig of a lab of two nodes, for as long as the context lasts."""
    lab = await asyncio.to_thread(start_lab, LabOptions(name=name, nodes=2))
    with lab:
        yield Path(lab.kubeconfig)
