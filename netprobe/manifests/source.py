"""Files, folders and standard input as text."""

from __future__ import annotations

import codecs
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from netprobe.errors import Problem

STDIN = "<stdin>"
_SUFFIXES = (".yaml", ".yml", ".json")
_NOT_MANIFESTS = ("kustomization.yaml", "kustomization.yml")


@dataclass(frozen=True, slots=True)
class Source:
    """A file to read: `name` as the user wrote it, `size` in bytes (0 for standard input)."""

    name: str
    path: Path | None
    size: int

    def text(self) -> str:
        """Its content with "\\n" line ends and no byte order mark. Raises OSError, UnicodeDecodeError."""
        data = sys.stdin.buffer.read() if self.path is None else self.path.read_bytes()
        encoding = "utf-8"
        if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            encoding = "utf-16"
        text = data.decode(encoding)
        if "\r" in text:
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        # a file that was glued together has one in its middle too
        return text.replace("\ufeff", "") if "\ufeff" in text else text


def find(paths: Iterable[str | os.PathLike[str]], problems: list[Problem]) -> list[Source]:
    """The files behind `paths`, each once, folders searched to the bottom in the order of names.

    In folders only *.yaml, *.yml and *.json count; hidden ones and kustomization.yaml are left out. What
    cannot be found is added to `problems`.
    """
    found: dict[str, Source] = {}
    for given in paths:
        text = os.fspath(given)
        if text == "-":
            found.setdefault(STDIN, Source(STDIN, None, 0))
            continue
        path = Path(text)
        if path.is_dir():
            files = list(_walk(path))
            if not files:
                problems.append(Problem(text, "", "no .yaml, .yml or .json file in this folder"))
        elif path.exists():
            files = [path]
        else:
            problems.append(Problem(text, "", "no such file or folder"))
            continue
        for file in files:
            size = file.stat().st_size if file.exists() else 0
            found.setdefault(os.path.realpath(file), Source(str(file), file, size))
    return list(found.values())


def _walk(folder: Path) -> Iterator[Path]:
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if name.endswith(_SUFFIXES) and not name.startswith(".") and name not in _NOT_MANIFESTS:
                yield Path(root, name)


def read(source: Source, problems: list[Problem]) -> str | None:
    """The text of a source; None, and a problem, where it cannot be read."""
    try:
        return source.text()
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        byte = error.object[error.start]
        problems.append(Problem(f"{source.name}:{line}", "", f"not UTF-8: byte 0x{byte:02x}"))
    except OSError as error:
        problems.append(Problem(source.name, "", error.strerror or str(error)))
    return None
