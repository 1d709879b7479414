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

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.cyaml import CParser  # type: ignore[attr-defined]  # the stubs hide it
from yaml.events import (
    AliasEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from netprobe.manifests.scalar import Scalar, key_text, resolve

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

    A path into a mapping has the place of its key, one into a list the place of the item. `duplicates` has
    path, place and line of the first; without places only their number is right.
    """

    value: Any = None
    places: Places = field(default_factory=dict)
    duplicates: list[tuple[str, tuple[int, int], int]] = field(default_factory=list)


def parse(text: str, *, first_line: int = 1, first_column: int = 1, places: bool = False) -> list[Tree]:
    """All documents of `text`; empty ones have the value None. Raises YamlError.

    `first_line` and `first_column` are where `text` begins in its file; without `places` none is noted.
    """
    builder = _Builder(first_line - 1, first_column - 1, with_places=places)
    try:
        parser: Any = CParser(text)
        trees = []
        event = parser.get_event()
        while event is not None:
            if type(event) in _STARTS:
                trees.append(builder.document(parser.get_event, event))
            event = parser.get_event()
    except yaml.MarkedYAMLError as error:
        raise builder.syntax(error, text) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + first_line
        raise YamlError(line, 1, f"not YAML: the character {_codepoint(error.character)}") from error
    return trees


_STARTS = frozenset((ScalarEvent, MappingStartEvent, SequenceStartEvent, AliasEvent))
_KNOWN: dict[str, Scalar] = {}
"""What plain scalars mean, so that `TCP` is resolved once and not for each of 10,000 ports."""
_KNOWN_LIMIT = 100_000
_MISSING: Any = object()
_MERGE = "<<"


@dataclass(slots=True)
class _Frame:
    """A mapping or list under construction; `size` is the count of nodes when it began."""

    value: Any
    is_mapping: bool
    path: str
    anchor: str | None
    size: int
    key: Any = _MISSING
    merged: list[Any] | None = None


class _Builder:
    def __init__(self, offset: int, indent: int, *, with_places: bool) -> None:
        self.offset = offset
        self.indent = indent  # of the first line
        self.with_places = with_places

    def syntax(self, error: yaml.MarkedYAMLError, text: str) -> YamlError:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1 + self.offset, mark.column + 1) if mark else (1 + self.offset, 1)
        problem = error.problem or "cannot be read"
        if mark and text[mark.index : mark.index + 1] == "\t":
            return YamlError(line, column, "not YAML: a tab stands where YAML wants spaces")
        context = f" ({error.context})" if error.context else ""
        return YamlError(line, column, f"not YAML: {problem}{context}")

    def _place(self, event: Event) -> tuple[int, int]:
        mark: Any = event.start_mark
        return mark.line + 1 + self.offset, mark.column + 1 + (0 if mark.line else self.indent)

    def _fail(self, event: Event, message: str) -> YamlError:
        return YamlError(*self._place(event), message)

    def document(self, next_event: Callable[[], Any], event: Any) -> Tree:  # noqa: C901, PLR0912, PLR0915
        """Build one document from its first event on. One long loop: calls would double its time."""
        tree = Tree()
        places = tree.places if self.with_places else None
        anchors: dict[str, tuple[Any, int]] = {}
        open_anchors: set[str] = set()
        known = _KNOWN
        if len(known) > _KNOWN_LIMIT:
            known.clear()
        stack: list[_Frame] = []
        frame: _Frame | None = None
        nodes = aliased = 0
        value: Any
        while True:
            kind = type(event)
            if kind is ScalarEvent:
                nodes += 1
                if event.implicit[0]:  # plain, without a tag
                    text = event.value
                    value = known.get(text, _MISSING)
                    if value is _MISSING:
                        value = known[text] = resolve(text)
                else:
                    value = event.value if event.tag is None else self._tagged(event)
                if event.anchor:
                    anchors[event.anchor] = (value, 1)
            elif kind is MappingStartEvent or kind is SequenceStartEvent:
                nodes += 1
                if frame is not None and frame.is_mapping and frame.key is _MISSING:
                    raise self._fail(event, "a key must be a scalar, not a mapping or list")
                if len(stack) >= MAX_DEPTH:
                    raise self._fail(event, f"nested deeper than {MAX_DEPTH} levels")
                path = ""
                if places is not None and frame is not None:
                    path = _path(frame)
                    if not frame.is_mapping:
                        places[path] = self._place(event)
                if event.anchor:
                    open_anchors.add(event.anchor)
                is_mapping = kind is MappingStartEvent
                frame = _Frame({} if is_mapping else [], is_mapping, path, event.anchor, nodes)
                stack.append(frame)
                event = next_event()
                continue
            elif frame is not None and (kind is MappingEndEvent or kind is SequenceEndEvent):
                if frame.merged:
                    _merge(frame.value, frame.merged)
                value = frame.value
                if frame.anchor:
                    open_anchors.discard(frame.anchor)
                    anchors[frame.anchor] = (value, nodes - frame.size + 1)
                stack.pop()
                frame = stack[-1] if stack else None
                if frame is not None:
                    self._put(frame, value, event)
                else:
                    tree.value = value
                event = next_event()
                continue
            elif kind is AliasEvent:
                value, size = self._anchored(event, anchors, open_anchors)
                nodes += size
                aliased += size
                if aliased > MAX_ALIASED:
                    raise self._fail(event, f"aliases stand for more than {MAX_ALIASED:,} nodes")
            else:  # the end of the document
                return tree
            if frame is None:
                tree.value = value
            elif not frame.is_mapping:
                if places is not None:
                    places[_path(frame)] = self._place(event)
                frame.value.append(value)
            elif frame.key is not _MISSING:
                if frame.key is None:
                    self._put(frame, value, event)
                else:
                    frame.value[frame.key] = value
                    frame.key = _MISSING
            else:
                key: str | None = value if type(value) is str else self._key(value, event)
                if key == _MERGE and kind is ScalarEvent and event.implicit[0]:
                    key = None  # stands for a merge key, which no other key is
                elif key is not None and key in frame.value:
                    tree.duplicates.append(self._duplicate(frame, key, event, tree.places))
                elif places is not None:
                    path = frame.path
                    places[f"{path}.{key}" if path else str(key)] = self._place(event)
                frame.key = key
            event = next_event()

    def _tagged(self, event: Any) -> Any:
        """A scalar with a tag. Local tags (`!x`) mean nothing to Kubernetes and are ignored."""
        tag: str = event.tag
        if tag == "!" or not tag.startswith(_STANDARD_TAG):
            return event.value
        name = tag.removeprefix(_STANDARD_TAG)
        if name in {"str", "timestamp"}:
            return event.value
        if name in {"int", "float", "bool", "null"}:
            return resolve(event.value)
        raise self._fail(event, f"!!{name} has no meaning in a manifest")

    def _anchored(
        self, event: Any, anchors: dict[str, tuple[Any, int]], open_anchors: set[str]
    ) -> tuple[Any, int]:
        if event.anchor in open_anchors:
            raise self._fail(event, f"the alias *{event.anchor} stands inside its own anchor")
        if event.anchor not in anchors:
            raise self._fail(event, f"the alias *{event.anchor} has no anchor before it")
        return anchors[event.anchor]

    def _key(self, value: Any, event: Event) -> str:
        key = None if isinstance(value, dict | list) else key_text(value)
        if key is None:
            raise self._fail(
                event, f"{'null' if value is None else 'an alias of a collection'} cannot be a key"
            )
        return key

    def _duplicate(
        self, frame: _Frame, key: str, event: Event, places: Places
    ) -> tuple[str, tuple[int, int], int]:
        path = f"{frame.path}.{key}" if frame.path else key
        return path, self._place(event), places.get(path, (0, 0))[0]

    def _put(self, frame: _Frame, value: Any, event: Event) -> None:
        if not frame.is_mapping:
            frame.value.append(value)
        elif frame.key is None:
            parts = value if isinstance(value, list) else [value]
            if not all(isinstance(part, dict) for part in parts):
                raise self._fail(event, "a merge key (<<) takes a mapping or a list of mappings")
            frame.merged = [*(frame.merged or ()), *parts]
            frame.key = _MISSING
        else:
            frame.value[frame.key] = value
            frame.key = _MISSING


_STANDARD_TAG = "tag:yaml.org,2002:"


def _path(frame: _Frame) -> str:
    if not frame.is_mapping:
        return f"{frame.path}[{len(frame.value)}]"
    key = _MERGE if frame.key is None else frame.key
    return f"{frame.path}.{key}" if frame.path else key


def _merge(target: dict[str, Any], parts: list[Any]) -> None:
    """`<<`: keys of the mapping itself win, then those of the first mapping that has them."""
    for part in parts:
        for key, value in part.items():
            target.setdefault(key, value)


def _codepoint(character: int | str | bytes) -> str:
    number = character if isinstance(character, int) else ord(character)
    return f"U+{number:04X} is not allowed"
