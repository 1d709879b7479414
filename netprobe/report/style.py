"""What the place that the text goes to can show."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TextIO


@dataclass(frozen=True, slots=True)
class Style:
    """Colour or not, and how wide; `width` None for files and pipes: as wide as it gets."""

    colour: bool = False
    width: int | None = None

    def paint(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.colour and text else text

    @classmethod
    def of(cls, stream: TextIO, environ: Mapping[str, str]) -> Style:
        """Colour on a terminal only, and there not where NO_COLOR is set (https://no-color.org)."""
        if not stream.isatty():
            return PLAIN
        dumb = environ.get("TERM") == "dumb"
        return cls(not environ.get("NO_COLOR") and not dumb, shutil.get_terminal_size().columns)


PLAIN = Style()
