"""Progress of a conformance run on standard error: a bar on a terminal, otherwise a line now and then."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from netprobe.cli.command import invocation
from netprobe.cli.progress import Log, logged, shown
from netprobe.conformance.result import CaseResult, CaseStatus
from netprobe.run.cluster import Progress

TROUBLES: Final = {
    CaseStatus.FAILED: "failed",
    CaseStatus.FLAKY: "flaky",
    CaseStatus.UNKNOWN: "unknown",
}
PAUSE_S: Final = 30.0


@dataclass(slots=True)
class Tally:
    """Counts results. `clock` returns seconds."""

    total: int
    clock: Callable[[], float] = time.monotonic
    last: str = field(default="", init=False)  # the case that did not pass
    _counts: Counter[CaseStatus] = field(default_factory=Counter, init=False)
    _begun: float = field(init=False)

    def __post_init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Restart the clock: the remaining time is estimated from when the fixtures were ready."""
        self._begun = self.clock()

    def add(self, result: CaseResult) -> None:
        self._counts[result.status] += 1
        if result.status in TROUBLES:
            self.last = result.case.name

    @property
    def bad(self) -> str:
        """ "2 failed, 1 flaky", or "none failed"."""
        counted = [
            f"{self._counts[status]} {word}" for status, word in TROUBLES.items() if self._counts[status]
        ]
        return ", ".join(counted) or "none failed"

    def line(self) -> str:
        """For a log: how many, how they ended, and the estimated remaining time."""
        done = self._counts.total()
        left_s = (self.clock() - self._begun) / done * (self.total - done)
        text = f"{max(1, round(left_s))} s" if left_s < 90 else f"{round(left_s / 60)} min"
        left = f", about {text} left" if done < self.total else ""
        return f"{done} of {self.total} cases, {self.bad}{left}"


@contextmanager
def progress(total: int) -> Iterator[tuple[Progress, Callable[[CaseResult], None]]]:
    """Yields a callback for messages and one for results."""
    tally = Tally(total)
    if invocation().verbosity or not sys.stderr.isatty():
        with shown() if invocation().verbosity else logged(Log(), PAUSE_S) as narrate:

            def on_progress(text: str) -> None:
                tally.begin()
                narrate(text)

            def on_result(result: CaseResult) -> None:
                tally.add(result)
                narrate(tally.line())

            yield on_progress, on_result
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = MofNCompleteColumn(), BarColumn(), TimeElapsedColumn(), TextColumn("{task.description}")
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=total)

        def advance(result: CaseResult) -> None:
            tally.add(result)
            last = f", last: {tally.last}" if tally.last else ""
            bar.update(task, advance=1, description=escape(f"{tally.bad}{last}" if last else "cases"))

        yield lambda text: bar.update(task, description=escape(text)), advance
