"""What a long command is doing right now, on standard error.

On a terminal one line is replaced again and again. Elsewhere, as in a pipeline's log, a line is added from
time to time, with the seconds since the beginning: a log that stands still for minutes looks like a program
that hangs. A command that ends within the first pause says nothing.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

from netprobe.cli.loop import run_async

if TYPE_CHECKING:
    from netprobe.run.options import Progress

T = TypeVar("T")

PAUSE_S: Final = 10.0
LONGEST_S: Final = 60.0
"""After so long the same is said once more."""


def run_narrated(work: Callable[[Progress], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine function that says what it is doing."""
    with narrated() as narrate:
        return run_async(work(narrate))


@contextmanager
def narrated() -> Iterator[Progress]:
    """Yields a function that takes what is being done."""
    if not sys.stderr.isatty():
        with logged(Log()) as narrate:
            yield narrate
        return
    from rich.console import Console
    from rich.markup import escape

    with Console(stderr=True).status("starting") as status:
        yield lambda text: status.update(escape(text))


class Log:
    """Which lines a log gets. `since_s`: the seconds since its beginning."""

    def __init__(self, since_s: Callable[[], float] | None = None) -> None:
        begun = time.monotonic()
        self.since_s = since_s or (lambda: time.monotonic() - begun)
        self.doing = ""
        self._told = ""
        self._told_s = 0.0

    def line(self) -> str | None:
        """What to say after a pause; None where it has just been said."""
        now = self.since_s()
        if not self.doing or (self.doing == self._told and now - self._told_s < LONGEST_S):
            return None
        self._told, self._told_s = self.doing, now
        return f"{now:.0f} s: {self.doing}"


@contextmanager
def logged(log: Log, pause_s: float = PAUSE_S) -> Iterator[Progress]:
    """Yields a function that takes what is being done; a thread says it, also while the work holds still."""
    from netprobe.cli.frame import say

    over = threading.Event()

    def tell() -> None:
        while not over.wait(pause_s):
            if line := log.line():
                say(line)

    def doing(text: str) -> None:
        log.doing = text

    thread = threading.Thread(target=tell, name="narration", daemon=True)
    thread.start()
    try:
        yield doing
    finally:
        over.set()
        thread.join()
