"""A patch of an object as edits of the file that it was read from.

Theory of operation. An operation names a path in an object. PyYAML's nodes say at which character
each node of the text begins and ends, so an operation becomes one replacement of characters: the rest of the
text, comments included, stays as it is. Then both texts are loaded, and the new one must be the old one with
exactly that operation applied, in that object, in every document of the file. An anchor, a merge key or an
unusual layout can make the replacement wrong; the check finds that, and the file is left alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import yaml
from jsonpointer import JsonPointer

from netprobe.manifests.change import Operation, Patch, patched, pointer

Path: TypeAlias = tuple[str | int, ...]
"""Keys and indexes: first the number of the document in the file, then the way down from its root."""

LONGEST = 250_000
"""Characters. Longer files are dumps of clusters that people do not edit; each check reads the file twice."""

WIDTH = 80
"""Characters of a new item of a list; a longer one takes several lines."""

_BORDER = re.compile(r"^---(?=[ \t\r\n]|\Z)", re.MULTILINE)
_JSON_START = re.compile(r'\s*[\[{]\s*["{\[]')


class NotEditableError(Exception):
    """The text cannot be edited safely; the message says why."""


@dataclass(frozen=True, slots=True)
class TextEdit:
    """Replace the characters `start` to `end` (from 0, `end` excluded) by `text`."""

    start: int
    end: int
    text: str

    def apply(self, text: str) -> str:
        return text[: self.start] + self.text + text[self.end :]


def locate(text: str, patch: Patch) -> Path:
    """The way to the object of a patch. NotEditableError if the text has changed since it was read."""
    wanted = patch.origin.places.get("kind") if patch.origin is not None else None
    for way, node in _objects(text):
        kind = _key(node, "kind")
        if kind is not None and wanted == (kind.start_mark.line + 1, kind.start_mark.column + 1):
            return way
    raise NotEditableError("the object was not found in the file")


def edits(text: str, patch: Patch) -> tuple[TextEdit, ...]:
    """The edits that make a patch, each relative to the text as it is. NotEditableError."""
    way = locate(text, patch)
    for operation in patch.operations:
        _checked(text, way, operation)
    return tuple(_edit(text, way, operation) for operation in patch.operations)


def edited(text: str, way: Path, patch: Patch) -> str:
    """The text with a patch applied to the object at `way`, operation by operation. NotEditableError."""
    for operation in patch.operations:
        text = _checked(text, way, operation)
    return text


# Whole documents.


def with_document(text: str, obj: Mapping[str, Any]) -> str:
    """The text with one more document at its end. NotEditableError."""
    if _JSON_START.match(text):
        raise NotEditableError("a JSON file holds one document")
    newline = _newline(text)
    body: str = yaml.safe_dump(obj, default_flow_style=None, sort_keys=False, width=110)
    start = "" if not text or text.endswith("\n") else newline
    border = f"---{newline}" if text.strip() else ""
    new = f"{text}{start}{border}{body.replace(chr(10), newline)}"
    if [one for one in _loaded(new) if one is not None] != [
        *(one for one in _loaded(text) if one is not None),
        obj,
    ]:
        raise NotEditableError("a document at the end would change the others")
    return new


def without_document(text: str, patch: Patch) -> str:
    """The text without the object of a patch. NotEditableError."""
    way = locate(text, patch)
    if len(way) > 1:
        *rest, index = way
        return _checked(text, tuple(rest), {"op": "remove", "path": pointer(index)})
    object_starts = next(node.start_mark.index for found, node in _objects(text) if found == way)
    borders = [found.start() for found in _BORDER.finditer(text)]
    start = max((border for border in borders if border <= object_starts), default=0)
    end = min((border for border in borders if border > object_starts), default=len(text))
    new = text[:start] + text[end:]
    kept = [one for number, one in enumerate(_loaded(text)) if number != way[0] and one is not None]
    if [one for one in _loaded(new) if one is not None] != kept:
        raise NotEditableError("the document cannot be cut out of the text")
    return new


# One operation, one edit.


def _edit(text: str, way: Path, operation: Operation) -> TextEdit:
    parent, last = _resolve(text, way, operation["path"])
    match operation["op"], parent:
        case "move", _:
            return _rename(text, way, operation, parent, last)
        case "add", yaml.SequenceNode():
            index = len(parent.value) if last == "-" else int(last)
            return _insert(text, parent, index, operation["value"])
        case "add", yaml.MappingNode() if _key(parent, last) is None:
            return _insert_key(text, parent, last, operation["value"])
        case "add" | "replace", yaml.MappingNode() if (node := _child(parent, last)) is not None:
            return _replace(text, _key(parent, last), node, operation["value"])
        case "replace", yaml.SequenceNode() if (node := _child(parent, last)) is not None:
            value, column = operation["value"], node.start_mark.column
            written = _written(text, value) if parent.flow_style else _block(text, value, column)
            return TextEdit(node.start_mark.index, _last(node).end_mark.index, written)
        case "remove", yaml.CollectionNode() if _child(parent, last) is not None:
            return _remove(text, parent, last)
    raise NotEditableError(f"no edit of the text makes this {operation['op']}")


def _rename(text: str, way: Path, operation: Operation, parent: yaml.Node, last: str) -> TextEdit:
    old_parent, old = _resolve(text, way, operation["from"])
    key = _key(old_parent, old) if old_parent is parent else None
    if key is None or _key(parent, last) is not None:
        raise NotEditableError("the key cannot be renamed here")
    return TextEdit(key.start_mark.index, key.end_mark.index, _written(text, last))


def _replace(text: str, key: yaml.Node | None, node: yaml.Node, value: object) -> TextEdit:
    """A new value instead of one on one line, or of a block below its key."""
    start, end = node.start_mark.index, node.end_mark.index
    scalar = node if isinstance(node, yaml.ScalarNode) else None
    block = scalar.style in {"|", ">"} if scalar is not None else not _is_flow(node)
    if not block:
        return TextEdit(start, end, f"{' ' if start == end else ''}{_written(text, value)}")
    if key is None or scalar is not None:
        raise NotEditableError("only a value on one line, or a block below its key, can be replaced")
    colon = text.index(":", key.end_mark.index) + 1
    return TextEdit(colon, _line_end(text, _last(node).end_mark.index), f" {_written(text, value)}")


def _insert(text: str, node: yaml.SequenceNode, index: int, item: object) -> TextEdit:
    if index < len(node.value):
        before = node.value[index].start_mark.index
        if node.flow_style:
            return TextEdit(before, before, f"{_written(text, item)}, ")
        start = text.rfind("\n", 0, before) + 1
        if text[start:before].strip() != "-":
            raise NotEditableError("the item does not start on its own line")
        column = node.start_mark.column
        return TextEdit(start, start, f"{' ' * column}- {_block(text, item, column + 2)}{_newline(text)}")
    written = _written(text, item) if node.flow_style else _block(text, item, node.start_mark.column + 2)
    return _append(text, node, written, "- ")


def _insert_key(text: str, node: yaml.MappingNode, name: str, value: object) -> TextEdit:
    return _append(text, node, f"{_written(text, name)}: {_written(text, value)}", "")


def _append(text: str, node: yaml.CollectionNode, written: str, bullet: str) -> TextEdit:
    """Add to the end of a list or a mapping: inside the brackets, or on a line below the last entry."""
    if node.flow_style:
        end = node.end_mark.index - 1  # before the bracket
        while text[end - 1] in " \n\r\t":
            end -= 1
        comma = "" if not node.value else " " if text[end - 1] == "," else ", "
        return TextEdit(end, end, f"{comma}{written}")
    end = _line_end(text, _last(node).end_mark.index)
    return TextEdit(end, end, f"{_newline(text)}{' ' * node.start_mark.column}{bullet}{written}")


def _remove(text: str, node: yaml.CollectionNode, name: str) -> TextEdit:
    """Remove an item or a key; removing the only item leaves an empty list."""
    entries = _entries(node)
    index = next(n for n, (key, _, _) in enumerate(entries) if key == name)
    if len(entries) == 1:
        return _emptied(text, node)
    _, first, last = entries[index]
    if node.flow_style:
        if index + 1 < len(entries):
            return TextEdit(first.start_mark.index, entries[index + 1][1].start_mark.index, "")
        return TextEdit(entries[index - 1][2].end_mark.index, last.end_mark.index, "")
    start = text.rfind("\n", 0, first.start_mark.index) + 1
    before = text[start : first.start_mark.index].strip()
    bullet = "-" if isinstance(node, yaml.SequenceNode) else ""
    end = _line_end(text, _last(last).end_mark.index)
    if before == bullet:
        return TextEdit(start, min(end + len(_newline(text)), len(text)), "")
    if bullet or index:
        raise NotEditableError("the item does not start on its own line")
    return TextEdit(first.start_mark.index, entries[1][1].start_mark.index, "")  # behind the "-" of an item


def _is_flow(node: yaml.Node) -> bool:
    return isinstance(node, yaml.CollectionNode) and bool(node.flow_style)


def _entries(node: yaml.CollectionNode) -> list[tuple[str, yaml.Node, yaml.Node]]:
    """The entries of a list or a mapping: name or index, first and last node."""
    if isinstance(node, yaml.MappingNode):
        return [(key.value, key, value) for key, value in node.value]
    return [(str(index), item, item) for index, item in enumerate(node.value)]


def _emptied(text: str, node: yaml.CollectionNode) -> TextEdit:
    """An empty list or mapping in the place of one with a single entry."""
    empty = "[]" if isinstance(node, yaml.SequenceNode) else "{}"
    if node.flow_style:
        return TextEdit(node.start_mark.index, node.end_mark.index, empty)
    start = node.start_mark.index
    while text[start - 1] in " \n\r\t":
        start -= 1
    if text[start - 1] != ":":
        raise NotEditableError("the list does not follow its key")
    return TextEdit(start, _line_end(text, _last(node).end_mark.index), f" {empty}")


# The nodes of the text.


@lru_cache(maxsize=2)
def _composed(text: str) -> list[yaml.Node | None]:
    if len(text) > LONGEST:
        raise NotEditableError("the file is too long to be one that people edit")
    try:
        return list(yaml.compose_all(text, Loader=yaml.CSafeLoader))
    except yaml.YAMLError as error:
        raise NotEditableError("the text is not plain YAML") from error


def _objects(text: str) -> Iterator[tuple[Path, yaml.MappingNode]]:
    """Every object of a file, those inside Lists included."""
    for number, root in enumerate(_composed(text)):
        yield from _within((number,), root)


def _within(way: Path, node: yaml.Node | None) -> Iterator[tuple[Path, yaml.MappingNode]]:
    if not isinstance(node, yaml.MappingNode):
        return
    yield way, node
    items = _child(node, "items")
    if isinstance(items, yaml.SequenceNode):
        for index, item in enumerate(items.value):
            yield from _within((*way, "items", index), item)


def _resolve(text: str, way: Path, path: str) -> tuple[yaml.Node, str]:
    """The node that holds what a JSON Pointer names, and the last part of the pointer."""
    *parts, last = JsonPointer(path).parts
    node = _composed(text)[int(way[0])]
    for part in (*way[1:], *parts):
        node = _child(node, part) if node is not None else None
    if node is None:
        raise NotEditableError("the text has no such part; an anchor or a merge key may stand for it")
    return node, last


def _key(node: yaml.Node, name: str) -> yaml.ScalarNode | None:
    for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
        if isinstance(key, yaml.ScalarNode) and key.value == name:
            return key
    return None


def _child(node: yaml.Node, part: str | int) -> yaml.Node | None:
    child: yaml.Node | None = None
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value == part:
                child = value
                break
    elif isinstance(node, yaml.SequenceNode) and int(part) < len(node.value):
        child = node.value[int(part)]
    return child


def _last(node: yaml.Node) -> yaml.Node:
    """The last node inside: a block collection's own end is behind the blank lines that follow it."""
    while isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        node = last[1] if isinstance(node, yaml.MappingNode) else last
    return node


def _line_end(text: str, index: int) -> int:
    """The end of the line, after its comment and before its line break."""
    found = text.find("\n", index)
    if found < 0:
        return len(text)
    return found - 1 if text[found - 1] == "\r" else found


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _block(text: str, value: object, column: int) -> str:
    """A value for a list in block style: on one line, or on several that begin at a column if it is long."""
    line = _written(text, value)
    if len(line) <= WIDTH or not isinstance(value, Mapping) or _JSON_START.match(text):
        return line
    dumped: str = yaml.safe_dump(dict(value), default_flow_style=None, width=10**6, sort_keys=False)
    return dumped.rstrip("\n").replace("\n", _newline(text) + " " * column)


def _written(text: str, value: object) -> str:
    """A value on one line: JSON in a JSON file, otherwise YAML."""
    if _JSON_START.match(text):
        return json.dumps(value)
    dumped: str = yaml.safe_dump(value, default_flow_style=True, width=10**6, sort_keys=False)
    return dumped.removesuffix("\n").removesuffix("\n...")


# The check.


def _checked(text: str, way: Path, operation: Operation) -> str:
    """The text with one operation applied, if nothing else changes."""
    new = _edit(text, way, operation).apply(text)
    try:
        before, after = _loaded(text), _loaded(new)
    except yaml.YAMLError as error:
        raise NotEditableError("the edited text would not be YAML") from error
    start = pointer(*way)
    absolute = {key: start + value if key in {"path", "from"} else value for key, value in operation.items()}
    try:
        expected = patched(before, (absolute,))
    except ValueError as error:
        raise NotEditableError("the object has no such part") from error
    if expected != after:
        raise NotEditableError("the edit would change something else as well")
    return new


def _loaded(text: str) -> list[Any]:
    return [_unshared(document) for document in _parsed(text)]


@lru_cache(maxsize=2)
def _parsed(text: str) -> list[Any]:
    return list(yaml.load_all(text, Loader=yaml.CSafeLoader))


def _unshared(value: Any) -> Any:
    """A copy without shared parts, however many aliases the text has."""
    if isinstance(value, dict):
        return {key: _unshared(item) for key, item in value.items()}
    return [_unshared(item) for item in value] if isinstance(value, list) else value
