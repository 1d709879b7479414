"""Changes as edits of the manifest's text: comments and layout stay, and the result is proved.

Theory of operation. A change names a path in an object. PyYAML's nodes say at which character each node of
the text begins and ends, so a change becomes one splice: some characters out, some in. Nothing is dumped
again. Then both texts are loaded, and the new one must be the old one with exactly that change, in that
object, in every document of the file. A splice that an anchor, a merge key or an odd layout makes wrong
fails that proof, and is left to the user.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, assert_never

import yaml

from netprobe.lint.finding import Append, Change, Finding, Insert, Path, Remove, Rename, Replace

JSON_START = re.compile(r'\s*[\[{]\s*["{\[]')


LONGEST = 250_000
"""Characters of a file that is edited: a dump of a cluster is not, and each edit reads all of it again."""


class UnfixableError(Exception):
    """The text cannot be edited with certainty; the message says why."""


@dataclass(frozen=True, slots=True)
class Edit:
    """Characters `start` to `end` (from 0, end excluded) give way to `text`."""

    start: int
    end: int
    text: str

    def apply(self, text: str) -> str:
        return text[: self.start] + self.text + text[self.end :]


@dataclass(frozen=True, slots=True)
class Fixed:
    """A file after its changes, the findings that they mend, and those that are left to the user."""

    text: str
    mended: tuple[Finding, ...]
    left: tuple[tuple[Finding, str], ...]


def fix(text: str, findings: Iterable[Finding]) -> Fixed:
    """Make the changes of all findings of one file, each proved by itself."""
    mended: list[Finding] = []
    left: list[tuple[Finding, str]] = []
    changing = [finding for finding in findings if finding.changes]
    try:
        placed = [(finding, locate(text, finding)) for finding in changing]
    except UnfixableError as error:
        return Fixed(text, (), tuple((finding, str(error)) for finding in changing))
    # Removals last, and from the end: until then every index means what it meant when it was found.
    removing = sorted((p for p in placed if _removed(p[0])), key=lambda p: _removed(p[0]), reverse=True)
    for finding, place in [*(p for p in placed if not _removed(p[0])), *removing]:
        try:
            text = _changed(text, place, finding)
        except UnfixableError as error:
            left.append((finding, str(error)))
        else:
            mended.append(finding)
    return Fixed(text, tuple(mended), tuple(left))


def _changed(text: str, place: Path | None, finding: Finding) -> str:
    if place is None:
        raise UnfixableError("the object is not found in the text")
    for change in finding.changes:
        text = _proved(text, place, change)
    return text


def edits(text: str, finding: Finding) -> tuple[Edit, ...]:
    """What `fix` would do for one finding, as edits of the text as it is; () where it would do nothing."""
    try:
        place = locate(text, finding)
        if place is None:
            return ()
        for change in finding.changes:
            _proved(text, place, change)
        return tuple(_edit(text, place, change) for change in finding.changes)
    except UnfixableError:
        return ()


def _removed(finding: Finding) -> tuple[tuple[str, int], ...]:
    """Sorts removals by their place; () for a finding without one."""
    found = [change.path for change in finding.changes if isinstance(change, Remove)]
    return tuple(("", part) if isinstance(part, int) else (part, -1) for path in found for part in path)


# Where an object stands: the document's number, then keys and indexes down to it (of a List's items).


def locate(text: str, finding: Finding) -> Path | None:
    """The way to the finding's object; None where the text has changed since it was read. UnfixableError."""
    if finding.origin is None:
        return None
    wanted = finding.origin.places.get("kind")
    for way, node in _objects(text):
        kind = _key(node, "kind")
        if kind is None or _scalar(node, "kind") != "NetworkPolicy":
            continue
        mark = kind.start_mark
        if wanted == (mark.line + 1, mark.column + 1):
            return way
    return None


def _objects(text: str) -> Iterator[tuple[Path, yaml.MappingNode]]:
    for number, root in enumerate(_compose(text)):
        yield from _within((number,), root)


def _within(way: Path, node: yaml.Node | None) -> Iterator[tuple[Path, yaml.MappingNode]]:
    if not isinstance(node, yaml.MappingNode):
        return
    yield way, node
    items = _child(node, "items")
    if isinstance(items, yaml.SequenceNode):
        for index, item in enumerate(items.value):
            yield from _within((*way, "items", index), item)


@lru_cache(maxsize=2)
def _compose(text: str) -> list[yaml.Node | None]:
    if len(text) > LONGEST:
        raise UnfixableError("the file is too long to be one that a person keeps")
    try:
        return list(yaml.compose_all(text, Loader=yaml.CSafeLoader))
    except yaml.YAMLError as error:
        raise UnfixableError("the text is not plain YAML") from error


def _key(node: yaml.MappingNode, name: str | int) -> yaml.ScalarNode | None:
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode) and key.value == name:
            return key
    return None


def _child(node: yaml.Node, part: str | int) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value == part:
                child: yaml.Node = value
                return child
    elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        item: yaml.Node = node.value[part]
        return item
    return None


def _scalar(node: yaml.MappingNode, name: str) -> str | None:
    child = _child(node, name)
    return child.value if isinstance(child, yaml.ScalarNode) else None


# One change, one splice.


def _edit(text: str, place: Path, change: Change) -> Edit:
    match change:
        case Replace(path, value):
            node = _walk(text, (*place, *path))
            if not isinstance(node, yaml.ScalarNode) or node.style in {"|", ">"}:
                raise UnfixableError("not a plain value")
            return Edit(node.start_mark.index, node.end_mark.index, _quoted(text, value))
        case Rename(path, key):
            parent = _walk(text, (*place, *path[:-1]))
            found = _key(parent, path[-1]) if isinstance(parent, yaml.MappingNode) else None
            if found is None:
                raise UnfixableError("the key is not written here")
            return Edit(found.start_mark.index, found.end_mark.index, _quoted(text, key))
        case Append(path, item):
            return _append(text, _walk(text, (*place, *path)), item)
        case Remove(path):
            index = path[-1]
            if not isinstance(index, int):
                raise UnfixableError("only items of lists are removed")
            return _remove(text, _walk(text, (*place, *path[:-1])), index)
        case Insert(path, value):
            return _insert(text, _walk(text, (*place, *path[:-1])), str(path[-1]), value)
        case _:
            assert_never(change)


def _walk(text: str, way: Path) -> yaml.Node:
    node = _compose(text)[int(way[0])]
    for part in way[1:]:
        node = _child(node, part) if node is not None else None
    if node is None:
        raise UnfixableError("the text has no such part; an anchor or a merge key may stand for it")
    return node


def _append(text: str, node: yaml.Node, item: object) -> Edit:
    if not isinstance(node, yaml.SequenceNode):
        raise UnfixableError("not a list")
    if node.flow_style:
        end = node.end_mark.index - 1  # before "]"
        while text[end - 1] in " \n\r\t":
            end -= 1
        return Edit(end, end, (", " if node.value else "") + _quoted(text, item))
    end = _line_end(text, _last(node).end_mark.index)
    indent = " " * node.start_mark.column
    return Edit(end, end, f"{_newline(text)}{indent}- {_quoted(text, item)}")


def _insert(text: str, node: yaml.Node, key: str, value: object) -> Edit:
    if not isinstance(node, yaml.MappingNode) or not node.value:
        raise UnfixableError("not a mapping with keys")
    start = node.value[0][0].start_mark.index
    entry = f"{_quoted(text, key)}: {_quoted(text, value)}"
    if node.flow_style:
        return Edit(start, start, f"{entry}, ")
    return Edit(start, start, f"{entry}{_newline(text)}{' ' * node.start_mark.column}")


def _remove(text: str, node: yaml.Node, index: int) -> Edit:
    if not isinstance(node, yaml.SequenceNode) or len(node.value) < 2:
        raise UnfixableError("an empty list would mean something else")
    item, rest = node.value[index], node.value[index + 1 :]
    if node.flow_style:
        if rest:
            return Edit(item.start_mark.index, rest[0].start_mark.index, "")
        return Edit(node.value[index - 1].end_mark.index, item.end_mark.index, "")
    start = text.rfind("\n", 0, item.start_mark.index) + 1
    if text[start : item.start_mark.index].strip() != "-":
        raise UnfixableError("the item does not begin a line of its own")
    end = _line_end(text, _last(item).end_mark.index)
    return Edit(start, min(end + len(_newline(text)), len(text)), "")


def _last(node: yaml.Node) -> yaml.Node:
    """The last node inside: where a block collection's own end lies beyond the blank lines after it."""
    while isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        node = last[1] if isinstance(node, yaml.MappingNode) else last
    return node


def _line_end(text: str, index: int) -> int:
    """The end of the line, its comment included and its line break not."""
    found = text.find("\n", index)
    if found < 0:
        return len(text)
    return found - 1 if text[found - 1] == "\r" else found


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _quoted(text: str, value: object) -> str:
    """A value on one line: as JSON in a JSON file, else as a person would write it."""
    if JSON_START.match(text):
        return json.dumps(value)
    dumped: str = yaml.safe_dump(value, default_flow_style=True, width=10**6, sort_keys=False)
    return dumped.removesuffix("\n").removesuffix("\n...")


# The proof.


def _proved(text: str, place: Path, change: Change) -> str:
    edited = _edit(text, place, change).apply(text)
    try:
        before = [_copy(document) for document in _loaded(text)]
        after = [_copy(document) for document in _loaded(edited)]
    except yaml.YAMLError as error:
        raise UnfixableError("the edited text would not be YAML") from error
    try:
        _change(before, place, change)
    except (KeyError, IndexError, TypeError) as error:
        raise UnfixableError("the object has no such part") from error
    if before != after:
        raise UnfixableError("the edit would change something else as well")
    return edited


@lru_cache(maxsize=2)
def _loaded(text: str) -> list[Any]:
    return list(yaml.load_all(text, Loader=yaml.CSafeLoader))


def _copy(value: Any) -> Any:
    """A copy in which nothing is shared, however many aliases the text has."""
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value


def _change(documents: list[Any], place: Path, change: Change) -> None:
    """The change, made to plain data."""

    def at(path: Path) -> Any:
        value: Any = documents
        for part in (*place, *path):
            value = value[part]
        return value

    match change:
        case Replace(path, value):
            at(path[:-1])[path[-1]] = value
        case Rename(path, key):
            parent = at(path[:-1])
            if key in parent:
                raise KeyError(key)
            parent[key] = parent.pop(path[-1])
        case Append(path, item):
            at(path).append(item)
        case Remove(path):
            del at(path[:-1])[path[-1]]
        case Insert(path, value):
            parent = at(path[:-1])
            if path[-1] in parent:
                raise KeyError(path[-1])
            parent[path[-1]] = value
        case _:
            assert_never(change)
