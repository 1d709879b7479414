"""What a long command is doing right now: on standard error, on a terminal only."""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from netprobe.cli.loop import run_async

if TYPE_CHECKING:
    from netprobe.campaign.target import Narrate

T = TypeVar("T")


def run_narrated(work: Callable[[Narrate], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine function that says what it is doing."""
    with narrated() as narrate:
        return run_async(work(narrate))


@contextmanager
def narrated() -> Iterator[Narrate]:
    """Yields a function that replaces the line with what is being done; silent where nobody looks on."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.markup import escape

    with Console(stderr=True).status("starting") as status:
        yield lambda text: status.update(escape(text))
