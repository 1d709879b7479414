"""What the destination of a text supports, colours and the width of a line; and text that fits it."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final, TextIO

from netprobe.model.text import plain

BOLD: Final = "1"
GOOD: Final = "32"  # green: as expected
BAD: Final = "31"  # red: not as expected
UNSURE: Final = "33"  # yellow: unknown
NOTE: Final = "36"  # cyan
BOLD_GOOD: Final = "1;32"
BOLD_BAD: Final = "1;31"
BOLD_UNSURE: Final = "1;33"


class Detail(Enum):
    """How much of a record to show. AUTO: as much as a person can read."""

    AUTO = "auto"
    ALL = "all"
    GROUPS = "groups"


@dataclass(frozen=True, slots=True)
class Style:
    """Colour or not, and the width in columns; None for files and pipes, where lines are never cut.

    `root` is the folder of the repository: annotations name files relative to it. `detail`: how much to show
    in formats for people.
    """

    colour: bool = False
    width: int | None = None
    root: Path | None = None
    detail: Detail = Detail.AUTO

    def paint(self, text: str, code: str) -> str:
        """The text in a colour; `code` is one of the constants above."""
        return f"\x1b[{code}m{text}\x1b[0m" if self.colour and text else text

    @classmethod
    def of(cls, stream: TextIO, environ: Mapping[str, str], color: str = "auto") -> Style:
        """Colour on a terminal. `color` is auto, always or never; auto heeds two environment variables:
        NO_COLOR (https://no-color.org) and FORCE_COLOR (https://force-color.org).
        """
        workspace = environ.get("GITHUB_WORKSPACE")
        terminal = stream.isatty()
        colour = {"always": True, "never": False}.get(color)
        if colour is None and environ.get("NO_COLOR"):
            colour = False
        if colour is None:
            colour = bool(environ.get("FORCE_COLOR")) or (terminal and environ.get("TERM") != "dumb")
        width = shutil.get_terminal_size().columns if terminal else None
        return cls(colour, width, Path(workspace) if workspace else repository(Path.cwd()))


def repository(folder: Path) -> Path | None:
    return next((one for one in (folder, *folder.parents) if (one / ".git").exists()), None)


def in_repository(file: str, root: Path | None) -> str:
    """The name of a file relative to the root of the repository; unchanged for a file outside of it."""
    try:
        path = Path(file).resolve()
    except (OSError, ValueError):  # no name of a file
        return file
    return path.relative_to(root).as_posix() if root is not None and path.is_relative_to(root) else file


PLAIN = Style()


def status_colour(exit_status: int) -> str:
    return {0: GOOD, 1: BOLD_BAD}.get(exit_status, BOLD_UNSURE)


def wrapped(text: str, style: Style, indent: str = "", hang: str = "  ") -> str:
    """A sentence that may act nowhere, in lines that fit; names are never cut.

    Lines after the first are indented by `hang` more.
    """
    safe = indent + plain(text)
    if style.width is None or len(safe) <= style.width:
        return safe
    return textwrap.fill(
        safe,
        style.width,
        subsequent_indent=indent + hang,
        break_long_words=False,
        break_on_hyphens=False,
        drop_whitespace=True,
    )
