"""Running a command as an ordinary user, for tests that root runs."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import netprobe

UID = 61357  # nobody's
_PYTHON = Path(sys.base_prefix).resolve()
_PROJECT = Path(netprobe.__file__).resolve().parents[1]


@contextlib.contextmanager
def home() -> Iterator[Path]:
    """A home for the ordinary user, which goes with everything in it."""
    path = Path(tempfile.mkdtemp(prefix="netprobe-test-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def prefix(at: Path, *, first: str = "true") -> list[str]:
    """What to put before a command so that it runs as an ordinary user who owns the folder `at`.

    `first` is shell that root runs before. Where Python lies in a folder that is closed to others, say root's
    home, the command sees that folder open and empty but for Python, in a mount namespace of its own.
    """
    if os.geteuid() != 0:
        return ["sh", "-c", f'{first}; exec "$@"', "sh"]
    os.chown(at, UID, UID)
    script = ["set -e", *_open_up(at), first]
    environment = f"HOME={at} XDG_RUNTIME_DIR={at} PYTHONDONTWRITEBYTECODE=1"
    script.append(
        f'exec setpriv --reuid {UID} --regid {UID} --clear-groups -- env {environment} "$@"',
    )
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", "\n".join(script), "sh"]


def _open_up(at: Path) -> Iterator[str]:
    """Shell that makes Python, the project and `at` reachable for everybody."""
    closed: dict[Path, list[Path]] = {}
    for path in (_PYTHON, _PROJECT, at):
        for parent in [*path.parents][::-1]:
            if not parent.stat().st_mode & 0o001:
                closed.setdefault(parent, []).append(path)
                break
    stash = shlex.quote(str(at / "stash"))
    for folder, wanted in closed.items():
        yield f"mkdir -p {stash}; mount -t tmpfs -o mode=755 tmpfs {stash}"
        for number, path in enumerate(wanted):
            yield f"mkdir {stash}/{number}; mount --bind {shlex.quote(str(path))} {stash}/{number}"
        yield f"mount -t tmpfs -o mode=755 tmpfs {shlex.quote(str(folder))}"
        for number, path in enumerate(wanted):
            yield f"mkdir -p {shlex.quote(str(path))}"
            yield f"mount --move {stash}/{number} {shlex.quote(str(path))}"
        yield f"umount {stash}"
