"""The command line: one file a command, each imported when it is called.

A command is a module of this package with a record of its options and a function `command` (see `options`),
which returns the exit status (or None for 0) and raises `NetprobeError` for what a user should read.
`invoke.COMMANDS` lists them all.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn


def main(argv: Sequence[str] | None = None, *, program: str | None = None) -> int:
    """Run one command line and return its exit status; nothing is raised.

    0 as expected, 1 differences found, 2 usage or unreadable input, 3 could not tell, 130 interrupted
    (143 by SIGTERM, 129 by SIGHUP).
    `argv` without the program's name; `program` is the path that it was called by.
    """
    try:
        from netprobe.cli.invoke import guarded

        return guarded(sys.argv[1:] if argv is None else argv, program or sys.argv[0])
    except KeyboardInterrupt:  # while importing, before anything was begun
        return 130


def entry() -> NoReturn:
    """The console scripts `netprobe` and `kubectl-netprobe`, and `python -m netprobe`."""
    # A command reads its input once: by default the collector would walk all of it again and again, which
    # takes a third of the time of 14,000 objects.
    gc.set_threshold(100_000)
    status = main()
    # After a KeyboardInterrupt in an exec of text (as dataclasses use), even a handled one, CPython ends the
    # process by SIGINT, whatever its status. The next such exec resets that.
    exec("")  # noqa: S102
    from netprobe.cli import signals

    if signals.is_abandoned():  # a normal end would wait for its threads
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):
                stream.flush()
        os._exit(status)
    sys.exit(status)
