"""From a format's name to its text, and from text to a file."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from netprobe.report.style import PLAIN, Style
from netprobe.run.record import Report

# Each format's module is imported when it is asked for: tabulate and yaml are not free.
_RENDERERS = {
    "table": ("netprobe.report.table", "table"),
    "wide": ("netprobe.report.table", "wide"),
    "json": ("netprobe.report.document", "as_json"),
    "yaml": ("netprobe.report.document", "as_yaml"),
    "markdown": ("netprobe.report.markdown", "markdown"),
    "junit": ("netprobe.report.junit", "junit"),
    "github": ("netprobe.report.github", "github"),
}
FORMATS = tuple(_RENDERERS)


def render(report: Report, format: str, style: Style = PLAIN) -> Iterator[str]:  # noqa: A002 (the word that users know)
    """The text of a report, in pieces that end anywhere. ValueError for a format that is not in FORMATS."""
    if format not in _RENDERERS:
        raise ValueError(f"no format {format!r}; there are {', '.join(FORMATS)}")
    module, name = _RENDERERS[format]
    pieces: Iterator[str] = getattr(import_module(module), name)(report, style)
    return pieces


def save(path: Path, pieces: Iterable[str]) -> None:
    """Write a file all or nothing: who reads `path` sees the old text or the whole new one. OSError.

    A file that is there keeps its permissions.
    What is there and is no regular file (/dev/stderr, a pipe) is written to, not replaced.
    """
    path = path.resolve()
    if path.exists() and not path.is_file():
        with path.open("w", encoding="utf-8", errors="backslashreplace") as stream:
            stream.writelines(pieces)
        return
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.writelines(pieces)
            os.fchmod(file.fileno(), path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask())
        Path(name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
