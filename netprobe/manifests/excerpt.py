"""The line and column of every path in a text, found only when they are needed.

Reading is fast because it keeps no positions. When a problem or a finding needs one, the part of the text
with that object is read again into YAML nodes, which have positions. JSON is read as YAML for this purpose.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from netprobe.manifests.scalar import MERGE, key_text, resolve

Position = tuple[int, int]
"""Line and column, from 1."""


class TextError(Exception):
    """Text that is not YAML or JSON, or not what Kubernetes accepts. Line and column count from 1."""

    def __init__(self, line: int, column: int, message: str) -> None:
        super().__init__(message)
        self.line, self.column, self.message = line, column, message


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A key that a mapping has already."""

    path: str
    position: Position
    first: Position


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A part of a text with one value: a document, or one item of a List.

    `start` and `end` are offsets in `text`, which begins at the start of a line; `line` is the line of
    `start` in the file, from 1. `has_duplicates`: some mapping has a key twice (its value has the last one);
    duplicates inside the items of a List do not count for the List.
    """

    text: str
    start: int
    end: int
    line: int
    has_duplicates: bool = False

    def places(self) -> dict[str, Position]:
        """The position of every path, keys for mappings and items for lists.

        Empty if the part cannot be read on its own: an alias whose anchor is elsewhere, or an escape that
        JSON has and YAML 1.1 does not.
        """
        places: dict[str, Position] = {}
        for path, position, _ in self._walk():
            places.setdefault(path, position)
        return places

    def written(self, path: str) -> str | None:
        """The text of an unquoted scalar; None for anything else."""
        for where, _, node in self._walk():
            if where == path and isinstance(node, yaml.ScalarNode):
                return None if node.style else str(node.value)
        return None

    def duplicates(self) -> list[Duplicate]:
        """The keys that a mapping has already; what is below a duplicate is not looked at."""
        first: dict[str, Position] = {}
        found: list[Duplicate] = []
        below: tuple[str, ...] = ()
        for path, position, _ in self._walk():
            if path in first and not path.startswith(below):
                found.append(Duplicate(path, position, first[path]))
                below = (f"{path}.", f"{path}[")
            first.setdefault(path, position)
        return found

    def alone(self) -> tuple[str, int]:
        """The part as its own text, and by how many spaces its first line is indented.

        The first line of a block mapping is indented as the others are: that decides what belongs together.
        """
        part = self.text[self.start : self.end]
        indent = 0 if part[:1] in {"{", "["} else self._column
        return " " * indent + part, indent

    @property
    def _column(self) -> int:
        """How far the start is from the start of its line; JSON may be one line of many megabytes."""
        line_start = 0 if self.line == 1 else self.text.rfind("\n", 0, self.start) + 1
        return self.start - line_start

    def _walk(self) -> Iterator[tuple[str, Position, Any]]:
        """Each path with its position and its node."""
        alone, indent = self.alone()
        column = self._column
        try:
            node = yaml.compose(alone, Loader=yaml.CBaseLoader)
        except yaml.YAMLError:
            return
        for path, mark, inner in _paths(node, ""):
            shift = column - indent if mark.line == 0 else 0
            yield path, (self.line + mark.line, mark.column + 1 + shift), inner


def _paths(node: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            name = key.value if key.style else key_text(resolve(key.value))
            if name == MERGE:
                continue
            where = f"{path}.{name}" if path else str(name)
            yield where, key.start_mark, value
            yield from _paths(value, where)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            where = f"{path}[{index}]"
            yield where, item.start_mark, item
            yield from _paths(item, where)


class LazyPlaces(Mapping[str, Position]):
    """The places of an excerpt, read when the first one is needed; those below `prefix` only."""

    __slots__ = ("_excerpt", "_places", "_prefix")

    def __init__(self, excerpt: Excerpt, prefix: str = "") -> None:
        self._excerpt = excerpt
        self._prefix = prefix
        self._places: dict[str, Position] | None = None

    def _known(self) -> dict[str, Position]:
        if self._places is None:
            places, start = self._excerpt.places(), f"{self._prefix}."
            if self._prefix:
                places = {path[len(start) :]: at for path, at in places.items() if path.startswith(start)}
            self._places = places
        return self._places

    def __getitem__(self, path: str) -> Position:
        return self._known()[path]

    def written(self, path: str) -> str | None:
        """The text of an unquoted scalar; None for anything else."""
        return self._excerpt.written(f"{self._prefix}.{path}" if self._prefix else path)

    @property
    def excerpt(self) -> Excerpt | None:
        """The excerpt, if it has this object alone."""
        return None if self._prefix else self._excerpt

    def __iter__(self) -> Iterator[str]:
        return iter(self._known())

    def __len__(self) -> int:
        return len(self._known())


@dataclass(frozen=True, slots=True)
class Parsed:
    """One document of a text as plain objects. Do not change them: aliases share objects.

    `items` are the excerpts of its list `items`, if it has one.
    """

    value: Any
    excerpt: Excerpt
    items: list[Excerpt] = field(default_factory=list)

    @property
    def places(self) -> Mapping[str, Position]:
        return LazyPlaces(self.excerpt)

    def duplicates(self) -> list[Duplicate]:
        has_any = any(excerpt.has_duplicates for excerpt in (self.excerpt, *self.items))
        return self.excerpt.duplicates() if has_any else []
