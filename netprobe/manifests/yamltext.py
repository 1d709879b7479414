"""YAML text to plain objects, with line and column of every path.

Theory of operation. `yaml.load` is slow because it builds a node for each scalar, resolves it with Python
regular expressions and then builds the object. The parser's events are a sixth of that cost, so this module
builds the objects from the events, once, with a stack of its own (deep nesting cannot exhaust Python's). On
the way it does what a loader does not: it refuses duplicate keys, it follows kubectl's rules for scalars
(scalar.py), it notes where every path stands, and it counts what aliases expand to, so that a few lines
cannot become a billion nodes.

An alias shares the object of its anchor; nothing is copied. Nobody may change what `parse` returns.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.cyaml import CParser  # type: ignore[attr-defined]  # the stubs hide it
from yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from netprobe.manifests.scalar import key_text, resolve

MAX_DEPTH = 100
"""Deeper than any object of Kubernetes; what is deeper is a mistake or an attack."""
MAX_ALIASED = 200_000
"""Nodes that the aliases of one document may stand for."""

Places = dict[str, tuple[int, int]]


class YamlError(Exception):
    """Text that is not YAML, or not what Kubernetes takes: line and column from 1, and one sentence."""

    def __init__(self, line: int, column: int, message: str) -> None:
        super().__init__(message)
        self.line, self.column, self.message = line, column, message


@dataclass(slots=True)
class Tree:
    """A document: its value, the place of every path in it, and the keys that stand there twice.

    A path into a mapping has the place of its key, one into a list the place of the item.
    """

    value: Any = None
    places: Places = field(default_factory=dict)
    duplicates: list[tuple[str, tuple[int, int], int]] = field(
        default_factory=list
    )  # path, place, first line


@dataclass(slots=True)
class _Frame:
    """A mapping or list under construction."""

    value: Any
    is_mapping: bool
    path: str
    anchor: str | None = None
    started_at: int = 0  # of the node count
    key: str | None = None
    is_merge: bool = False
    merged: list[Any] = field(default_factory=list)
    lines: dict[str, int] = field(default_factory=dict)


def parse(text: str, *, first_line: int = 1, first_column: int = 1, places: bool = False) -> list[Tree]:
    """All documents of `text`; empty ones have the value None. Raises YamlError.

    `first_line` and `first_column` are where `text` begins in its file; without `places` none is noted.
    """
    return list(_Builder(first_line - 1, first_column - 1, places).documents(text))


class _Builder:
    def __init__(self, offset: int, indent: int, with_places: bool) -> None:
        self.offset = offset
        self.indent = indent  # of the first line
        self.with_places = with_places
        self.known: dict[str, Any] = {}

    def documents(self, text: str) -> Iterator[Tree]:
        try:
            parser: Any = CParser(text)
            event = parser.get_event()
            while event is not None:
                if isinstance(event, ScalarEvent | MappingStartEvent | SequenceStartEvent | AliasEvent):
                    yield self._document(parser, event)
                event = parser.get_event()
        except yaml.MarkedYAMLError as error:
            raise self._syntax(error) from error
        except yaml.reader.ReaderError as error:
            line = text.count("\n", 0, error.position) + 1 + self.offset
            raise YamlError(line, 1, f"character {error.character!r} is not allowed in YAML") from error

    def _syntax(self, error: yaml.MarkedYAMLError) -> YamlError:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1 + self.offset, mark.column + 1) if mark else (1 + self.offset, 1)
        problem = error.problem or "not YAML"
        if "'\\t'" in problem or "tab character" in problem:
            problem = "a tab stands where YAML wants spaces"
        context = f" ({error.context})" if error.context and "tab" not in problem else ""
        return YamlError(line, column, f"not YAML: {problem}{context}")

    def _place(self, event: Event) -> tuple[int, int]:
        mark: Any = event.start_mark
        return mark.line + 1 + self.offset, mark.column + 1 + (0 if mark.line else self.indent)

    def _fail(self, event: Event, message: str) -> YamlError:
        return YamlError(*self._place(event), message)

    def _document(self, parser: Any, event: Any) -> Tree:  # noqa: C901, PLR0912, PLR0915  # one loop, for speed
        tree = Tree()
        places = tree.places if self.with_places else None
        anchors: dict[str, tuple[Any, int]] = {}
        open_anchors: set[str] = set()
        stack: list[_Frame] = []
        frame: _Frame | None = None
        nodes = aliased = 0
        while True:
            kind = type(event)
            nodes += 1
            if kind is ScalarEvent:
                value: Any = self._scalar(event)
                if event.anchor:
                    anchors[event.anchor] = (value, 1)
            elif kind is AliasEvent:
                if event.anchor in open_anchors:
                    raise self._fail(event, f"alias *{event.anchor} stands inside its own anchor")
                if event.anchor not in anchors:
                    raise self._fail(event, f"alias *{event.anchor} has no anchor before it")
                value, size = anchors[event.anchor]
                nodes += size
                aliased += size
                if aliased > MAX_ALIASED:
                    raise self._fail(event, f"aliases stand for more than {MAX_ALIASED:,} nodes")
            elif kind is MappingStartEvent or kind is SequenceStartEvent:
                if frame is not None and frame.is_mapping and frame.key is None:
                    raise self._fail(event, "a key must be a scalar, not a mapping or list")
                if len(stack) >= MAX_DEPTH:
                    raise self._fail(event, f"nested deeper than {MAX_DEPTH} levels")
                is_mapping = kind is MappingStartEvent
                path = ""
                if places is not None and frame is not None:
                    path = self._path(frame, event, places)
                frame = _Frame({} if is_mapping else [], is_mapping, path, event.anchor, nodes)
                stack.append(frame)
                if event.anchor:
                    open_anchors.add(event.anchor)
                event = parser.get_event()
                continue
            elif kind is MappingEndEvent or kind is SequenceEndEvent:
                if frame is None:  # the parser closes only what it opened
                    raise self._fail(event, "not YAML")
                if frame.merged:
                    self._merge(frame)
                value = frame.value
                if frame.anchor:
                    open_anchors.discard(frame.anchor)
                    anchors[frame.anchor] = (value, nodes - frame.started_at + 1)
                stack.pop()
                frame = stack[-1] if stack else None
                if frame is not None:
                    self._put(frame, value, event)
                else:
                    tree.value = value
                event = parser.get_event()
                continue
            elif kind is DocumentEndEvent:
                return tree
            if frame is None:
                tree.value = value
            elif frame.is_mapping and frame.key is None:
                self._set_key(frame, value, event, tree)
            else:
                if places is not None:
                    self._path(frame, event, places)
                self._put(frame, value, event)
            event = parser.get_event()

    def _scalar(self, event: Any) -> Any:
        text: str = event.value
        tag: str | None = event.tag
        if tag is None:
            if not event.implicit[0]:
                return text
        elif tag in {"!", "tag:yaml.org,2002:str"}:
            return text
        elif tag == "tag:yaml.org,2002:binary":
            raise self._fail(event, "!!binary is not supported in a manifest")
        elif not tag.startswith("tag:yaml.org,2002:"):
            return text
        try:
            return self.known[text]
        except KeyError:
            value = self.known[text] = resolve(text)
            return value

    def _path(self, frame: _Frame, event: Event, places: Places) -> str:
        if frame.is_mapping:
            return f"{frame.path}.{frame.key}" if frame.path else str(frame.key)
        path = f"{frame.path}[{len(frame.value)}]"
        places[path] = self._place(event)
        return path

    def _set_key(self, frame: _Frame, value: Any, event: Any, tree: Tree) -> None:
        if value == "<<" and event.implicit[0]:
            frame.key, frame.is_merge = "<<", True
            return
        key = value if type(value) is str else None
        if key is None:
            key = None if isinstance(value, dict | list) else key_text(value)
            if key is None:
                raise self._fail(event, f"{'null' if value is None else 'this'} cannot be a key")
        frame.key = key
        if self.with_places or key in frame.value:
            place = self._place(event)
            path = f"{frame.path}.{key}" if frame.path else key
            if key in frame.value:
                tree.duplicates.append((path, place, frame.lines.get(key, 0)))
            else:
                tree.places[path] = place
                frame.lines[key] = place[0]

    def _put(self, frame: _Frame, value: Any, event: Event) -> None:
        if not frame.is_mapping:
            frame.value.append(value)
        elif frame.is_merge:
            for part in value if isinstance(value, list) else [value]:
                if not isinstance(part, dict):
                    raise self._fail(event, "a merge key (<<) takes a mapping or a list of mappings")
                frame.merged.append(part)
            frame.key, frame.is_merge = None, False
        else:
            frame.value[frame.key] = value
            frame.key = None

    def _merge(self, frame: _Frame) -> None:
        """`<<`: keys of the mapping itself win, then those of the first mapping that has them."""
        for part in frame.merged:
            for key, value in part.items():
                frame.value.setdefault(key, value)
