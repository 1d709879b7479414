"""JSON text to plain objects, by the standard library's decoder, with the excerpt of each item of a List."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from netprobe.manifests.excerpt import Excerpt, Parsed, TextError

_SPACE = re.compile(r"(?:[ \t\n\r]+|^---[ \t]*$)*", re.MULTILINE)  # `---` separates values of a stream, too


def read_json(text: str) -> Iterator[Parsed]:
    """The values of a stream of JSON. Raises TextError at the first mistake."""
    reader = _JsonReader(text)
    try:
        yield from reader.values()
    except json.JSONDecodeError as error:
        raise TextError(error.lineno, error.colno, f"not JSON: {error.msg}") from error
    except RecursionError as error:
        raise TextError(1, 1, "not JSON: nested too deeply") from error
    except ValueError as error:  # a number with thousands of digits
        raise TextError(1, 1, f"not JSON: {error}") from error


class _JsonReader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.decoder = json.JSONDecoder(object_pairs_hook=self._mapping)
        self.has_duplicates = False
        self.items: list[Excerpt] = []
        self.line, self.counted = 1, 0  # the line of the offset `counted`

    def values(self) -> Iterator[Parsed]:
        position = self._skip(0)
        while position < len(self.text):
            self.has_duplicates, self.items = False, []
            line = self._line(position)
            value, end = self._document(position) if self.text[position] == "{" else self._value(position)
            yield Parsed(value, self._excerpt(position, end, line), self.items)
            position = self._skip(end)

    def _document(self, position: int) -> tuple[dict[str, Any], int]:
        """A mapping at the top level, member by member, so that the offsets of its `items` are known."""
        members: list[tuple[str, Any]] = []
        position = self._skip(position + 1)
        while not self.text.startswith("}", position):
            if members:
                position = self._after(",", position)
            if not self.text.startswith('"', position):
                raise self._expected("property name enclosed in double quotes", position)
            key, position = self._value(position)
            position = self._after(":", position)
            if key == "items" and self.text.startswith("[", position):
                value, position = self._list(position)
            else:
                value, position = self._value(position)
            members.append((key, value))
            position = self._skip(position)
        return self._mapping(members), position + 1

    def _list(self, position: int) -> tuple[list[Any], int]:
        values: list[Any] = []
        outside = self.has_duplicates
        position = self._skip(position + 1)
        while not self.text.startswith("]", position):
            if values:
                position = self._after(",", position)
            line = self._line(position)
            self.has_duplicates = False
            value, end = self._value(position)
            values.append(value)
            self.items.append(self._excerpt(position, end, line))
            position = self._skip(end)
        self.has_duplicates = outside
        return values, position + 1

    def _excerpt(self, start: int, end: int, line: int) -> Excerpt:
        return Excerpt(self.text, start, end, line, self.has_duplicates)

    def _value(self, position: int) -> tuple[Any, int]:
        try:
            return self.decoder.raw_decode(self.text, position)
        except StopIteration as error:
            raise self._expected("value", position) from error

    def _mapping(self, members: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(members)
        if len(result) != len(members):
            self.has_duplicates = True
        return result

    def _skip(self, position: int) -> int:
        match = _SPACE.match(self.text, position)
        return match.end() if match else position

    def _after(self, character: str, position: int) -> int:
        position = self._skip(position)
        if not self.text.startswith(character, position):
            raise self._expected(f"'{character}' delimiter", position)
        return self._skip(position + 1)

    def _expected(self, what: str, position: int) -> json.JSONDecodeError:
        return json.JSONDecodeError(f"Expecting {what}", self.text, position)

    def _line(self, position: int) -> int:
        self.line += self.text.count("\n", self.counted, position)
        self.counted = position
        return self.line
