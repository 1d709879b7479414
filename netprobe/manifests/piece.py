"""Text to pieces: documents of a stream, and items of a List, cut apart before anything is parsed.

Reading YAML costs microseconds a line, and a dump of a cluster is mostly lines that do not matter. So the
text is cut where YAML itself guarantees a border, the kind of each piece is read by a regular expression,
and only pieces that matter are parsed. `---` at the start of a line is a border everywhere, inside quotes
and block scalars too. The items of a `List` begin with `- ` at one indent, as kubectl prints them; a list
that is written otherwise, or that has an anchor in one item and its alias in another, does not parse in
pieces, and is then parsed whole (reader.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_BORDER = re.compile(r"^---(?=[ \t\n]|\Z)", re.MULTILINE)
_WORD = r"""[ \t]*(["']?)([A-Za-z][A-Za-z0-9./-]*)\1[ \t]*(?:#.*)?$"""
_KIND = re.compile(r"^kind:" + _WORD, re.MULTILINE)
_API_VERSION = re.compile(r"^apiVersion:" + _WORD, re.MULTILINE)
_ITEMS = re.compile(r"^items:[ \t]*\n((?:[ \t]*(?:#.*)?\n)*)( *)- ", re.MULTILINE)
_END_OF_ITEMS = re.compile(r"^[^\s#-]", re.MULTILINE)
_FLOW_START = re.compile(r"(?:---)?(?:\s|#.*\n)*[\[{\"'&!|>]")


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of text that parses by itself: a document, or one item of a List (`- …`)."""

    text: str
    line: int  # of its first character, from 1
    end: int  # offset of its end in the whole text, for progress
    kind: str = ""  # "" where only parsing can tell
    api_version: str = ""
    is_item: bool = False


def documents(text: str) -> Iterator[Piece]:
    """The documents of a YAML stream; blank ones are left out."""
    borders = [match.start() for match in _BORDER.finditer(text)]
    if text.startswith("%") or "\n%" in text:  # a directive belongs to the document after it
        borders = []
    starts = [0, *(border for border in borders if border > 0)]
    line = counted = 0
    line = 1
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        line += text.count("\n", counted, start)
        counted = start
        part = text[start:end]
        if part.strip("- \t\n"):
            yield _sniffed(part, line, end)


def _sniffed(part: str, line: int, end: int) -> Piece:
    if "\n..." in part or _FLOW_START.match(part):
        return Piece(part, line, end)
    kind, api_version = _only(_KIND, part), _only(_API_VERSION, part)
    return Piece(part, line, end, kind, api_version) if kind and api_version else Piece(part, line, end)


def _only(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.findall(text)
    return found[0][1] if len(found) == 1 else ""


def items(piece: Piece) -> list[Piece] | None:
    """The items of a List, or None where the text has not the shape that can be cut."""
    start = _ITEMS.search(piece.text)
    if start is None or len(_ITEMS.findall(piece.text)) > 1:
        return None
    indent = start[2]
    first = start.end() - 2 - len(indent)
    after = _END_OF_ITEMS.search(piece.text, first)
    stop = after.start() if after else len(piece.text)
    starts = [match.start() for match in re.finditer(f"^{indent}- ", piece.text[:stop], re.MULTILINE)]
    starts = [position for position in starts if position >= first]
    key = re.compile(f"^{indent}(?:- |  )kind:" + _WORD, re.MULTILINE)
    version = re.compile(f"^{indent}(?:- |  )apiVersion:" + _WORD, re.MULTILINE)
    inherited = piece.kind.removesuffix("List"), piece.api_version
    offset = piece.end - len(piece.text)
    line, counted = piece.line, 0
    result = []
    for begin, end in zip(starts, [*starts[1:], stop], strict=True):
        line += piece.text.count("\n", counted, begin)
        counted = begin
        part = piece.text[begin:end]
        kind, api_version = _only(key, part), _only(version, part)
        if not kind and inherited[0] and "kind:" not in part:
            kind, api_version = inherited
        if not (kind and api_version):
            kind = api_version = ""
        result.append(Piece(part, line, offset + end, kind, api_version, is_item=True))
    return result
