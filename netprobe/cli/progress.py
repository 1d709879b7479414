"""How far a long reading is: on standard error, on a terminal only.

Meanwhile the garbage collector rests. It would walk all that was read again and again: a third of the time
of 14,000 objects. Nothing read refers back to itself.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def reading(what: str) -> Iterator[Callable[[int, int], None] | None]:
    """Yields the callback that `netprobe.manifests.load` tells its bytes to; None where nobody looks on."""
    from netprobe.simulate.bits import uncollected

    with uncollected(), _shown(what) as told:
        yield told


@contextmanager
def _shown(what: str) -> Iterator[Callable[[int, int], None] | None]:
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total or None)
