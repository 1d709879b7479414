"""What a long command is doing right now: on standard error, on a terminal only."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Narrate = Callable[[str], None]


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
