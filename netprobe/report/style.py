"""What the place that the text goes to can show."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO


@dataclass(frozen=True, slots=True)
class Style:
    """Colour or not, and how wide; `width` None for files and pipes: as wide as it gets.

    `root` is the folder of the repository, where annotations name files from there.
    """

    colour: bool = False
    width: int | None = None
    root: Path | None = None

    def paint(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.colour and text else text

    @classmethod
    def of(cls, stream: TextIO, environ: Mapping[str, str]) -> Style:
        """Colour on a terminal only, and there not where NO_COLOR is set (https://no-color.org)."""
        workspace = environ.get("GITHUB_WORKSPACE")
        root = Path(workspace) if workspace else None
        if not stream.isatty():
            return cls(root=root)
        colour = not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
        return cls(colour, shutil.get_terminal_size().columns, root)


PLAIN = Style()
