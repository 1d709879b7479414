"""Progress on standard error.

On a terminal one line is updated in place. Elsewhere, as in the log of a pipeline, a line with the elapsed
seconds is added from time to time: a program without output for minutes seems to hang. A command that ends
within the first pause prints nothing.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

from netprobe.cli.command import invocation
from netprobe.cli.invoke import say
from netprobe.cli.signals import run_async

if TYPE_CHECKING:
    from netprobe.conformance.result import CaseResult
    from netprobe.run.cluster import Progress

T = TypeVar("T")

PAUSE_S: Final = 10.0
LONGEST_S: Final = 60.0
"""Seconds after which the same line is printed again."""
CASES_PAUSE_S: Final = 30.0
"""Seconds between lines about conformance cases."""
TROUBLES: Final = ("failed", "flaky", "unknown")
"""Of a CaseStatus."""


def run_with_progress(work: Callable[[Progress], Coroutine[Any, Any, T]]) -> T:
    with shown() as progress:
        return run_async(work(progress))


@contextmanager
def shown() -> Iterator[Progress]:
    """Yields a function that takes what is being done; "" while something else is printed."""
    if invocation().verbosity:
        started = time.monotonic()
        yield lambda text: say(f"{time.monotonic() - started:.1f} s: {text}") if text else None
        return
    if not sys.stderr.isatty():
        with logged(Log()) as progress:
            yield progress
        return
    from rich.console import Console
    from rich.markup import escape

    console = Console(stderr=True, no_color=invocation().color == "never" or None)
    status = console.status("starting")

    def doing(text: str) -> None:
        with suppress(OSError):  # a terminal that is gone must not end the work
            if not text:
                status.stop()
                return
            status.update(escape(text))
            status.start()

    doing("starting")
    try:
        yield doing
    finally:
        doing("")


class Log:
    """Decides which lines a log gets. `since_s` returns the seconds since its beginning."""

    def __init__(self, since_s: Callable[[], float] | None = None) -> None:
        started = time.monotonic()
        self.since_s = since_s or (lambda: time.monotonic() - started)
        self.doing = ""
        self._last = ""
        self._last_s = 0.0

    def line(self) -> str | None:
        """The line after a pause; None if the same one was printed a short while ago."""
        now = self.since_s()
        if not self.doing or (self.doing == self._last and now - self._last_s < LONGEST_S):
            return None
        self._last, self._last_s = self.doing, now
        return f"{now:.0f} s: {self.doing}"


@contextmanager
def logged(log: Log, pause_s: float = PAUSE_S) -> Iterator[Progress]:
    """Yields a function that takes what is being done; a thread prints it, even while the work blocks."""
    over = threading.Event()

    def report() -> None:
        while not over.wait(pause_s):
            if line := log.line():
                say(line)

    def doing(text: str) -> None:
        log.doing = text

    thread = threading.Thread(target=report, name="progress", daemon=True)
    thread.start()
    try:
        yield doing
    finally:
        over.set()
        thread.join()


@dataclass(slots=True)
class Tally:
    """Counts results. `clock` returns seconds."""

    total: int
    clock: Callable[[], float] = time.monotonic
    last: str = field(default="", init=False)  # the case that did not pass
    _counts: Counter[str] = field(default_factory=Counter, init=False)
    _begun: float = field(init=False)

    def __post_init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Restart the clock: the remaining time is estimated from when the fixtures were ready."""
        self._begun = self.clock()

    def add(self, result: CaseResult) -> None:
        self._counts[result.status.value] += 1
        if result.status.value in TROUBLES:
            self.last = result.case.name

    @property
    def bad(self) -> str:
        """ "2 failed, 1 flaky", or "none failed"."""
        counted = (f"{self._counts[word]} {word}" for word in TROUBLES if self._counts[word])
        return ", ".join(counted) or "none failed"

    def line(self) -> str:
        """For a log: how many, how they ended, and the estimated remaining time."""
        done = self._counts.total()
        left_s = (self.clock() - self._begun) / done * (self.total - done)
        text = f"{max(1, round(left_s))} s" if left_s < 90 else f"{round(left_s / 60)} min"
        left = f", about {text} left" if done < self.total else ""
        return f"{done} of {self.total} cases, {self.bad}{left}"


@contextmanager
def cases_shown(total: int) -> Iterator[tuple[Progress, Callable[[CaseResult], None]]]:
    """Yields a callback for messages and one for results: a bar on a terminal, or a line now and then."""
    tally = Tally(total)
    if invocation().verbosity or not sys.stderr.isatty():
        with shown() if invocation().verbosity else logged(Log(), CASES_PAUSE_S) as narrate:

            def on_progress(text: str) -> None:
                tally.begin()
                narrate(text)

            def on_result(result: CaseResult) -> None:
                tally.add(result)
                narrate(tally.line())

            yield on_progress, on_result
        return
    from rich import progress
    from rich.console import Console
    from rich.markup import escape

    text = progress.TextColumn("{task.description}")
    columns = progress.MofNCompleteColumn(), progress.BarColumn(), progress.TimeElapsedColumn(), text
    with progress.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=total)

        def advance(result: CaseResult) -> None:
            tally.add(result)
            last = f", last: {tally.last}" if tally.last else ""
            bar.update(task, advance=1, description=escape(f"{tally.bad}{last}" if last else "cases"))

        yield lambda text: bar.update(task, description=escape(text)), advance
