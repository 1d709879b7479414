"""What is being done, on standard error.

On a terminal one line is updated in place. Elsewhere, as in the log of a pipeline, a line with the elapsed
seconds is added from time to time: a program without output for minutes seems to hang. A command that ends
within the first pause prints nothing.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar

from netprobe.cli.command import invocation
from netprobe.cli.signals import run_async

if TYPE_CHECKING:
    from netprobe.run.cluster import Progress

T = TypeVar("T")

PAUSE_S: Final = 10.0
LONGEST_S: Final = 60.0
"""Seconds after which the same line is printed again."""


def run_with_progress(work: Callable[[Progress], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine function that reports what it is doing."""
    with shown() as progress:
        return run_async(work(progress))


@contextmanager
def shown() -> Iterator[Progress]:
    """Yields a function that takes what is being done; "" while something else is printed."""
    if invocation().verbosity:
        yield Steps()
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


class Steps:
    """Prints each step with the seconds since the beginning (-v)."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    def __call__(self, text: str) -> None:
        from netprobe.cli.invoke import say

        if text:
            say(f"{time.monotonic() - self._started:.1f} s: {text}")


class Log:
    """Which lines a log gets. `since_s`: the seconds since its beginning."""

    def __init__(self, since_s: Callable[[], float] | None = None) -> None:
        started = time.monotonic()
        self.since_s = since_s or (lambda: time.monotonic() - started)
        self.doing = ""
        self._last = ""
        self._last_s = 0.0

    def line(self) -> str | None:
        """The line after a pause; None if it was printed a short while ago."""
        now = self.since_s()
        if not self.doing or (self.doing == self._last and now - self._last_s < LONGEST_S):
            return None
        self._last, self._last_s = self.doing, now
        return f"{now:.0f} s: {self.doing}"


@contextmanager
def logged(log: Log, pause_s: float = PAUSE_S) -> Iterator[Progress]:
    """Yields a function that takes what is being done; a thread prints it, even while the work blocks."""
    from netprobe.cli.invoke import say

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
