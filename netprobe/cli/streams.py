"""Standard streams that are closed, full, or whose reader has gone; and the files that a process may open."""

from __future__ import annotations

import errno
import io
import os
import resource
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final, NoReturn

from netprobe.errors import NetprobeError

NEEDED_FILES: Final = 256
WANTED_FILES: Final = 4096


class _Closed(io.TextIOBase):
    """Standard output that the parent process closed: what is written to it would be lost."""

    encoding = "utf-8"

    def write(self, _text: str) -> NoReturn:
        raise OSError(errno.EBADF, "it is closed")


def prepare() -> None:
    """Make the streams usable; descriptors that are closed must not be given to a file or a socket."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest one
    if sys.stdout is None:
        sys.stdout = _Closed()
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 (stays open)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that cannot show a name gets an escape


def silence() -> None:
    """Drop what is left in standard output: Python would try to write it at exit."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def flush() -> None:
    """Write what is left in standard output. A reader that has gone away is not an error."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        silence()


def ensure_open_files() -> None:
    """Raise the limit of open files as far as is useful; NetprobeError if it stays too low."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = WANTED_FILES if hard == resource.RLIM_INFINITY else min(hard, WANTED_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
            soft = most
    if soft != resource.RLIM_INFINITY and soft < NEEDED_FILES:
        raise NetprobeError(
            f"this process may open only {soft} files, and connections to a cluster or a lab need "
            f"{NEEDED_FILES}: raise the limit (ulimit -n)"
        )
