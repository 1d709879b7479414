"""Bytes of a file to text and back, in the encodings that editors and Windows' shells write.

YAML allows UTF-8, UTF-16 and UTF-32 (specification 1.2, 5.2), each with or without a byte order mark. Without
one, the zero bytes of the first ASCII character tell which it is.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from pathlib import Path

_MARKS = (  # UTF-32's little-endian mark begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_ZEROS: dict[tuple[bool, ...], str] = {  # which of the first four bytes are zero
    (True, True, True, False): "utf-32-be",
    (False, True, True, True): "utf-32-le",
    (True, False, True, False): "utf-16-be",
    (False, True, False, True): "utf-16-le",
}


@dataclass(frozen=True, slots=True)
class Encoding:
    """A codec, and the byte order mark at the start of the file, if any."""

    codec: str = "utf-8"
    mark: bytes = b""

    @classmethod
    def of(cls, data: bytes) -> Encoding:
        for mark, codec in _MARKS:
            if data.startswith(mark):
                return cls(codec, mark)
        return cls(_ZEROS.get(tuple(byte == 0 for byte in data[:4]), "utf-8"))

    def decode(self, data: bytes) -> str:
        """The text without the mark. Raises UnicodeDecodeError."""
        return data.removeprefix(self.mark).decode(self.codec)

    def encode(self, text: str) -> bytes:
        return self.mark + text.encode(self.codec)


UTF_8 = Encoding()


def read_exactly(path: Path) -> tuple[str, Encoding] | None:
    """The text of a regular file with its line ends, and its encoding; None for what cannot be read."""
    try:
        data = path.read_bytes() if path.is_file() else None
        if data is None:
            return None
        encoding = Encoding.of(data)
        return encoding.decode(data), encoding
    except (OSError, UnicodeDecodeError):
        return None
