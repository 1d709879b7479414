"""Files, folders and standard input as text."""

from __future__ import annotations

import codecs
import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from netprobe.errors import Problem

STDIN = "<stdin>"
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_SUFFIXES = (".yaml", ".yml", ".json")
_KUSTOMIZATIONS = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_ALTERING = (
    *("patches", "patchesStrategicMerge", "patchesJson6902", "replacements", "transformers", "generators"),
    *("namespace", "namePrefix", "nameSuffix", "commonLabels", "labels", "bases", "components"),
)


@dataclass(frozen=True, slots=True)
class Source:
    """A file to read: `name` as the user wrote it, `size` in bytes (0 for standard input)."""

    name: str
    path: Path | None
    size: int

    def text(self) -> str:
        """Its content with "\\n" line ends and no byte order mark. Raises OSError, UnicodeDecodeError."""
        data = sys.stdin.buffer.read() if self.path is None else self.path.read_bytes()
        if self.path is None and not data.strip():  # else a pipe whose first command failed is a green run
            raise OSError("nothing came; did the command before the pipe fail?")
        encoding = "utf-8"
        if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            encoding = "utf-16"
        text = data.decode(encoding)
        if "\r" in text:
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        # a file that was glued together has one in its middle too
        return text.replace("\ufeff", "") if "\ufeff" in text else text


@dataclass(slots=True)
class Aside:
    """Folders whose files are no manifests yet: charts, and overlays, whose patches are passed over."""

    charts: list[str] = field(default_factory=list)
    overlays: list[str] = field(default_factory=list)


def find(
    paths: Iterable[str | os.PathLike[str]], problems: list[Problem], aside: Aside | None = None
) -> list[Source]:
    """The files behind `paths`, each once, folders searched to the bottom in the order of names.

    In folders only *.yaml, *.yml and *.json count; hidden ones, kustomization.yaml and its patches are left
    out, and so is a Helm chart: both are put `aside`. What cannot be found is added to `problems`.
    """
    aside = Aside() if aside is None else aside
    found: dict[str, Source] = {}
    for given in paths:
        text = os.fspath(given)
        if text == "-":
            found.setdefault(STDIN, Source(STDIN, None, 0))
            continue
        path = Path(text)
        try:
            is_folder = stat.S_ISDIR(path.stat().st_mode)
        except (OSError, ValueError) as error:  # ValueError: a zero byte
            message = FETCH if text.startswith(("http://", "https://")) else _unreadable(error)
            problems.append(Problem(text, "", message))
            continue
        files = [path]
        if is_folder:
            charts = len(aside.charts)
            unread: list[OSError] = []
            files = list(_walk(path, aside, unread.append))
            problems += [Problem(str(error.filename), "", _unreadable(error)) for error in unread]
            if not files and not unread and len(aside.charts) == charts:
                problems.append(Problem(text, "", "no .yaml, .yml or .json file in this folder"))
        for file in files:
            try:
                status = file.stat()
            except OSError:  # reading it will tell
                size = 0
            else:
                size = status.st_size
                if is_folder and not stat.S_ISREG(status.st_mode):  # to read a pipe may wait for ever
                    problems.append(Problem(str(file), "", "neither a file nor a folder"))
                    continue
            found.setdefault(os.path.realpath(file), Source(str(file), file, size))
    return list(found.values())


def _unreadable(error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return "no such file or folder"
    return getattr(error, "strerror", None) or str(error)


FETCH = "nothing is fetched from the network: curl -fsSL URL | netprobe … -"
CHART = "a Helm chart, whose templates are no manifests yet: render it first (helm template)"


def _walk(folder: Path, aside: Aside, unread: Callable[[OSError], None]) -> Iterator[Path]:
    for root, folders, files in os.walk(folder, onerror=unread):
        if "Chart.yaml" in files:
            aside.charts.append(root)
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        patches: frozenset[str] = frozenset()
        for name in _KUSTOMIZATIONS:
            if name in files and (altered := _altered(Path(root, name))) is not None:
                aside.overlays.append(root)
                patches = altered
        for name in sorted({*files} - {*_KUSTOMIZATIONS} - patches):
            if name.endswith(_SUFFIXES) and not name.startswith("."):
                yield Path(root, name)


def _altered(file: Path) -> frozenset[str] | None:
    """The patches of a kustomization, as names of files beside it; None where it changes no object.

    What cannot be read is Kustomize's business, and alters nothing here.
    """
    try:
        value = yaml.load(file.read_text(encoding="utf-8"), Loader=LOADER)  # noqa: S506 - a safe loader
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or not any(value.get(key) for key in _ALTERING):
        return None
    entries = [
        entry
        for key in ("patches", "patchesStrategicMerge", "patchesJson6902")
        if isinstance(held := value.get(key), list)
        for entry in held
    ]
    paths = (entry.get("path") if isinstance(entry, dict) else entry for entry in entries)
    return frozenset(str(path).removeprefix("./") for path in paths if path)


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
