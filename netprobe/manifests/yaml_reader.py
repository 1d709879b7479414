"""YAML text to plain objects, as kubectl reads it.

Objects are built from the events of PyYAML's C parser: a loader that builds nodes first needs five times as
long for a dump of a cluster, and much more memory. On the way this reader does what a loader does not: it
notices duplicate keys, follows kubectl's rules for scalars (scalar.py), limits the depth, and counts what
aliases expand to, so that a few lines cannot become a billion nodes. Positions are looked up when they are
needed (excerpt.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import yaml
from yaml.cyaml import CParser  # type: ignore[attr-defined]  # the stubs hide it
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from netprobe.manifests.excerpt import Excerpt, Parsed, TextError
from netprobe.manifests.scalar import MERGE, key_text, resolve

MAX_DEPTH = 100
"""Deeper than any object of Kubernetes; what is deeper is a mistake or an attack."""
MAX_ALIASED = 200_000
"""How many nodes the aliases of one document may expand to."""

_BORDER = re.compile(r"^---(?=[ \t\n]|\Z)", re.MULTILINE)
_RESOLVED_TAGS = frozenset(f"tag:yaml.org,2002:{name}" for name in ("int", "float", "bool", "null"))


def pieces(text: str) -> Iterator[tuple[str, int]]:
    """A stream cut at its `---`, with the first line of each piece, from 1.

    A mistake in one document then does not hide those in others. `---` at the start of a line is a border
    everywhere, inside quotes and block scalars too. A directive belongs to the document after it, so a text
    with directives is not cut.
    """
    has_directives = re.search("^%", text, re.MULTILINE) is not None
    borders = [] if has_directives else [found.start() for found in _BORDER.finditer(text)]
    starts = sorted({0, *borders})
    line = 1
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        yield text[start:end], line
        line += text.count("\n", start, end)


def read_yaml(text: str, first_line: int = 1) -> Iterator[Parsed]:
    """The documents of a text that begins in line `first_line` of its file. Raises TextError."""
    reader = _YamlReader(text, first_line)
    try:
        yield from reader.documents()
    except yaml.MarkedYAMLError as error:
        raise reader.syntax_error(error) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + first_line
        number = error.character if isinstance(error.character, int) else ord(error.character)
        raise TextError(line, 1, f"not YAML: the character U+{number:04X} is not allowed") from error


class _YamlReader:
    def __init__(self, text: str, first_line: int) -> None:
        self.text = text
        self.first_line = first_line
        self.next_event: Callable[[], Any] = CParser(text).get_event
        self.end: Any = None  # the mark after the last mapping or list

    def documents(self) -> Iterator[Parsed]:
        while (event := self.next_event()) is not None:
            if type(event) is not DocumentStartEvent:
                continue
            self.anchors: dict[str, tuple[Any, int] | None] = {}  # value and its nodes; None while it is open
            self.nodes = self.aliased = 0  # so far, with aliases expanded
            self.has_duplicates = False
            self.items: list[Excerpt] = []
            first = self.next_event()
            value = self.value(first, 0)
            yield Parsed(value, self.excerpt(first), self.items)

    def value(self, event: Any, depth: int) -> Any:
        """The value that begins with `event`, inside `depth` mappings and lists."""
        kind = type(event)
        if kind is ScalarEvent:
            value = self.scalar(event)
            if event.anchor:
                self.anchors[event.anchor] = value, 1
            return value
        if kind is AliasEvent:
            return self.alias(event)
        if depth >= MAX_DEPTH:
            raise self.error(event, f"nested deeper than {MAX_DEPTH} levels")
        nodes = self.nodes
        if event.anchor:
            self.anchors[event.anchor] = None
        value = self.mapping(depth + 1) if kind is MappingStartEvent else self.sequence(depth + 1)
        self.nodes += len(value)
        if event.anchor:
            self.anchors[event.anchor] = value, self.nodes - nodes + 1
        return value

    def mapping(self, depth: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        merged: list[dict[str, Any]] = []
        while type(event := self.next_event()) is not MappingEndEvent:
            key = self.key(event, depth)
            value_event = self.next_event()
            is_list = depth == 1 and key == "items" and type(value_event) is SequenceStartEvent
            if is_list and not value_event.anchor:
                value: Any = self.list_items()
            else:
                value = self.value(value_event, depth)
            if key == MERGE and type(event) is ScalarEvent and event.implicit[0]:
                merged += self.merge_parts(event, value)
                continue
            if key in result:
                self.has_duplicates = True
            result[key] = value
        self.end = event.end_mark
        for part in merged:  # the mapping's own keys win, then those of the first part that has them
            result = part | result
        return result

    def sequence(self, depth: int) -> list[Any]:
        result: list[Any] = []
        while type(event := self.next_event()) is not SequenceEndEvent:
            result.append(self.value(event, depth))
        self.end = event.end_mark
        return result

    def list_items(self) -> list[Any]:
        """The items of a List, with the excerpt of each."""
        result: list[Any] = []
        outside = self.has_duplicates
        while type(event := self.next_event()) is not SequenceEndEvent:
            self.has_duplicates = False
            result.append(self.value(event, depth=2))
            self.items.append(self.excerpt(event))
        self.has_duplicates = outside
        return result

    def scalar(self, event: Any) -> Any:
        if event.implicit[0] or event.tag in _RESOLVED_TAGS:  # plain and without a tag
            return resolve(event.value)
        return event.value  # other tags mean nothing to Kubernetes

    def alias(self, event: Any) -> Any:
        if event.anchor not in self.anchors:
            raise self.error(event, f"the alias *{event.anchor} has no anchor before it")
        found = self.anchors[event.anchor]
        if found is None:
            raise self.error(event, f"the alias *{event.anchor} is inside its own anchor")
        value, nodes = found
        self.nodes += nodes - 1  # one is counted by whatever holds the alias
        self.aliased += nodes
        if self.aliased > MAX_ALIASED:
            raise self.error(event, f"aliases expand to more than {MAX_ALIASED:,} nodes")
        return value

    def key(self, event: Any, depth: int) -> str:
        if type(event) is not ScalarEvent and type(event) is not AliasEvent:
            raise self.error(event, "a key must be a scalar, not a mapping or list")
        value = self.value(event, depth)
        if type(value) is str:
            return value
        text = None if isinstance(value, dict | list) else key_text(value)
        if text is None:
            what = "null" if value is None else "an alias of a mapping or list"
            raise self.error(event, f"{what} cannot be a key")
        return text

    def merge_parts(self, event: Any, value: Any) -> list[dict[str, Any]]:
        parts = value if isinstance(value, list) else [value]
        if not all(isinstance(part, dict) for part in parts):
            raise self.error(event, "a merge key (<<) takes a mapping or a list of mappings")
        return parts

    def excerpt(self, event: Any) -> Excerpt:
        """The excerpt of the value that began with `event` and was just read."""
        start = event.start_mark
        end = event.end_mark if type(event) in {ScalarEvent, AliasEvent} else self.end
        return Excerpt(self.text, start.index, end.index, self.first_line + start.line, self.has_duplicates)

    def error(self, event: Any, message: str) -> TextError:
        mark = event.start_mark
        return TextError(self.first_line + mark.line, mark.column + 1, message)

    def syntax_error(self, error: yaml.MarkedYAMLError) -> TextError:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line, mark.column + 1) if mark else (0, 1)
        problem = error.problem or "cannot be read"
        if mark and self.text[mark.index : mark.index + 1] == "\t":
            message = "found a tab where YAML needs spaces"
        else:
            message = f"{problem} ({error.context})" if error.context else problem
        return TextError(self.first_line + line, column, f"not YAML: {message}")
