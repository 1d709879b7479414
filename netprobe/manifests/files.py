"""Files, folders and standard input as text, in the encodings that editors and Windows' shells write.

YAML allows UTF-8, UTF-16 and UTF-32 (specification 1.2, 5.2), each with or without a byte order mark. Without
one, the zero bytes of the first ASCII character tell which it is.
"""

from __future__ import annotations

import codecs
import os
import stat
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from netprobe.errors import Problem

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


STDIN = "<stdin>"
_SUFFIXES = (".yaml", ".yml", ".json")
_KUSTOMIZATIONS = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_PATCHES = ("patches", "patchesStrategicMerge", "patchesJson6902")
_CHANGES = (
    *(*_PATCHES, "replacements", "transformers", "generators", "bases", "components"),
    *("namespace", "namePrefix", "nameSuffix", "commonLabels", "labels"),
)
"""Fields of a kustomization that change objects."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file to read, or standard input (`path` None); `name` as the user wrote it.

    `named`: the user named this file, and not a folder in which it is: then it should be a manifest.
    """

    name: str
    path: Path | None
    named: bool = True

    def text(self) -> str:
        """Its content with "\\n" line ends and no byte order mark. Raises OSError, UnicodeDecodeError."""
        data = sys.stdin.buffer.read() if self.path is None else self.path.read_bytes()
        if self.path is None and not data.strip():
            # otherwise a pipe whose first command failed would be a green run
            raise OSError("no input; did the command before the pipe fail?")
        text = Encoding.of(data).decode(data)
        if "\r" in text:
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        # concatenated files have one in the middle, too
        return text.replace("\ufeff", "") if "\ufeff" in text else text


@dataclass(slots=True)
class Found:
    """The files behind some paths, in order, and what was wrong with the paths.

    `charts` are folders with Helm charts, which are left out. `overlays` are folders whose files Kustomize
    changes. `patches` are the real paths of files that are parts of objects for Kustomize, left out too.
    """

    sources: list[Source] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    charts: list[str] = field(default_factory=list)
    overlays: list[str] = field(default_factory=list)
    patches: set[str] = field(default_factory=set)


def find(paths: Iterable[str | os.PathLike[str]]) -> Found:
    """The files behind `paths`, without repetitions; folders are searched recursively, in the order of names.

    In folders only *.yaml, *.yml and *.json count, without hidden files and kustomization.yaml.
    """
    found = Found()
    sources: dict[str, Source] = {}
    for given in paths:
        text = os.fspath(given)
        if text == "-":
            sources.setdefault(STDIN, Source(STDIN, None))
            continue
        try:
            is_folder = stat.S_ISDIR(Path(text).stat().st_mode)
        except (OSError, ValueError) as error:  # ValueError: a zero byte
            is_url = text.startswith(("http://", "https://"))
            message = "URLs are not fetched: curl -fsSL URL | netprobe … -" if is_url else _reason(error)
            found.problems.append(Problem(text, "", message))
            continue
        for file in _in_folder(text, found) if is_folder else [Path(text)]:
            source = Source(str(file), file, named=not is_folder)
            real = os.path.realpath(file)
            if real not in sources or not is_folder:
                sources[real] = source
    found.sources = [source for real, source in sources.items() if source.named or real not in found.patches]
    return found


def _in_folder(folder: str, found: Found) -> list[Path]:
    problems, charts = len(found.problems), len(found.charts)
    files = []
    for file in _walk(Path(folder), found):
        if file.exists() and not file.is_file():  # reading a pipe may wait for ever
            found.problems.append(Problem(str(file), "", "neither a file nor a folder"))
        else:
            files.append(file)
    if not files and (len(found.problems), len(found.charts)) == (problems, charts):
        found.problems.append(Problem(folder, "", "no .yaml, .yml or .json file in this folder"))
    return files


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return "no such file or folder"
    return getattr(error, "strerror", None) or str(error)


def _walk(folder: Path, found: Found) -> Iterator[Path]:
    def unreadable(error: OSError) -> None:
        found.problems.append(Problem(str(error.filename), "", _reason(error)))

    for root, folders, files in os.walk(folder, onerror=unreadable):
        if "Chart.yaml" in files:
            found.charts.append(root)
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in _KUSTOMIZATIONS:
            if name in files and (patches := _patches(Path(root, name))) is not None:
                found.overlays.append(root)
                found.patches |= {os.path.realpath(Path(root, patch)) for patch in patches}
        for name in sorted({*files} - {*_KUSTOMIZATIONS}):
            if name.endswith(_SUFFIXES) and not name.startswith("."):
                yield Path(root, name)


def _patches(file: Path) -> list[str] | None:
    """The patches of a kustomization, as paths from its folder; None if it changes no object.

    A file that cannot be read changes nothing: Kustomize itself will report it.
    """
    try:
        data = file.read_bytes()
        value = yaml.load(Encoding.of(data).decode(data), Loader=yaml.CSafeLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or not any(value.get(key) for key in _CHANGES):
        return None
    lists = (patches for key in _PATCHES if isinstance(patches := value.get(key), list))
    entries = [entry for patches in lists for entry in patches]
    paths = (entry.get("path") if isinstance(entry, dict) else entry for entry in entries)
    return [path for path in paths if isinstance(path, str) and "\n" not in path and "\0" not in path]


def read(source: Source, problems: list[Problem]) -> str | None:
    """The text of a source; None, and a problem, if it cannot be read."""
    try:
        return source.text()
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        byte = error.object[error.start]
        problems.append(
            Problem(f"{source.name}:{line}", "", f"not {error.encoding.upper()}: byte 0x{byte:02x}")
        )
    except OSError as error:
        problems.append(Problem(source.name, "", error.strerror or str(error)))
    return None
