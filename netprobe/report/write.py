"""From a record and the name of a format to text, and from text to a file."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

from netprobe.errors import NetprobeError
from netprobe.report.style import PLAIN, Style

if TYPE_CHECKING:
    from netprobe.manifests.files import Encoding

R = TypeVar("R")

Render: TypeAlias = Callable[[str, Style], Iterable[str]]
"""The text of one record in a format, in pieces that may end anywhere."""


class Formats(Generic[R]):
    """The formats in which one kind of record can be written.

    `renderers` maps the name of a format to "module:function". The module is imported when the format is
    used, since tabulate, yaml and jinja2 take time to import. The function takes the record and a Style, and
    returns the text in pieces.
    """

    def __init__(self, renderers: Mapping[str, str]) -> None:
        self._renderers = dict(renderers)
        self.names = tuple(renderers)

    def render(self, record: R, format: str, style: Style = PLAIN) -> Iterator[str]:  # noqa: A002
        """The text in pieces. ValueError for a format that this kind of record does not have."""
        if format not in self._renderers:
            raise ValueError(f"no format {format!r}; there are {', '.join(self.names)}")
        module, _, name = self._renderers[format].partition(":")
        pieces: Iterator[str] = getattr(import_module(module), name)(record, style)
        return pieces

    def of(self, record: R) -> Render:
        """What `write` takes: the record, to be rendered in any of the formats."""
        return lambda format_, style: self.render(record, format_, style)


def save(path: Path, pieces: Iterable[str], encoding: Encoding | None = None) -> None:
    """Write a file completely or not at all, as UTF-8 by default. NetprobeError if it cannot be written.

    An existing file keeps its permissions. Anything that is not a regular file, such as /dev/stderr or a
    pipe, is written to and not replaced.
    """
    try:
        _save(path.resolve(), _encoded(pieces, encoding))
    except OSError as error:
        raise NetprobeError(f"cannot write {path}: {error.strerror}") from error


def _encoded(pieces: Iterable[str], encoding: Encoding | None) -> Iterator[bytes]:
    yield encoding.mark if encoding else b""
    for piece in pieces:
        yield piece.encode(encoding.codec if encoding else "utf-8", "backslashreplace")


def _save(path: Path, pieces: Iterable[bytes]) -> None:
    if path.exists() and not path.is_file():
        with path.open("wb") as stream:
            stream.writelines(pieces)
        return
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.writelines(pieces)
            os.fchmod(file.fileno(), path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask())
            file.flush()
            os.fsync(file.fileno())  # else a crash could leave an empty file under the new name
        Path(name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
