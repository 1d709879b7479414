"""JSON text to objects, a List item by item, each with its offset.

`json` of the standard library is fifty times as fast as YAML but knows no positions; here each item's
offset is known, and whoever needs lines and columns inside it reads that stretch again as YAML, of which
JSON is a subset.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any

_SPACE = re.compile(r"(?:[ \t\n\r]+|^---[ \t]*$)*", re.MULTILINE)  # `---` parts a stream of JSON too
_ITEMS = re.compile(r'"items"\s*:\s*\[')
_LIST = re.compile(r'"kind"\s*:\s*"\w*List"')


class JsonError(Exception):
    """Text that is not JSON: line and column from 1. `may_be_yaml`: nothing was read before it."""

    def __init__(self, text: str, position: int, message: str, *, may_be_yaml: bool) -> None:
        super().__init__(message)
        self.line = text.count("\n", 0, position) + 1
        self.column = position - (text.rfind("\n", 0, position) + 1) + 1
        self.message = f"not JSON: {message}"
        self.may_be_yaml = may_be_yaml


@dataclass(frozen=True, slots=True)
class Found:
    """An object, where its text begins and ends, and a key that stands twice in it, if any.

    `kind` and `api_version` are those that an item inherits from its list; "" for no item.
    """

    value: Any
    start: int
    end: int
    line: int
    column: int
    duplicate: str | None = None
    api_version: str = ""
    kind: str = ""


def objects(text: str) -> Iterator[Found]:
    """The objects of a stream of JSON values; a List's items come one by one. Raises JsonError."""
    return _Scanner(text).objects()


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.duplicate: str | None = None
        self.decoder = json.JSONDecoder(object_pairs_hook=self._object)
        self.counted = 0  # lines before this offset are in `line`
        self.line, self.line_start = 1, 0
        self.yielded = False

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) != len(pairs) and self.duplicate is None:
            seen: set[str] = set()
            for key, _ in pairs:
                if key in seen:
                    self.duplicate = key
                    break
                seen.add(key)
        return result

    def objects(self) -> Iterator[Found]:
        position = self._skip(0)
        while position < len(self.text):
            if self.text[position] == "{":
                position = yield from self._top(position)
            else:
                found = self._value(position)
                yield found
                position = found.end
            position = self._skip(position)
            self.yielded = True

    def _skip(self, position: int) -> int:
        match = _SPACE.match(self.text, position)
        return match.end() if match else position

    def _fail(self, position: int, message: str) -> JsonError:
        return JsonError(self.text, position, message, may_be_yaml=not self.yielded)

    def _value(self, position: int, api_version: str = "", kind: str = "") -> Found:
        self.duplicate = None
        try:
            value, end = self.decoder.raw_decode(self.text, position)
        except json.JSONDecodeError as error:
            raise self._fail(error.pos, error.msg) from error
        except StopIteration as error:
            raise self._fail(position, "a value is missing") from error
        except RecursionError as error:
            raise JsonError(self.text, position, "nested too deeply", may_be_yaml=False) from error
        except ValueError as error:
            raise self._fail(position, str(error)) from error
        if lines := self.text.count("\n", self.counted, position):
            self.line += lines
            self.line_start = self.text.rfind("\n", self.counted, position) + 1
        self.counted = position
        column = position - self.line_start + 1
        return Found(value, position, end, self.line, column, self.duplicate, api_version, kind)

    def _top(self, start: int) -> Generator[Found, None, int]:
        """A mapping at the top: a List is read item by item, anything else at once. Returns its end."""
        if not self._is_list(start):
            found = self._value(start)
            yield found
            return found.end
        seen = {"apiVersion": "", "kind": ""}
        position = start
        closing = ","
        while closing == ",":
            position = self._skip(position + 1)
            key, position = self._key(position)
            if key == "items" and self.text[position : position + 1] == "[":
                position = yield from self._items(position, seen["apiVersion"], seen["kind"])
            else:
                found = self._value(position)
                position = found.end
                if key in seen and isinstance(found.value, str):
                    seen[key] = found.value
            position = self._skip(position)
            closing = self.text[position : position + 1]
        if closing != "}":
            raise self._fail(position, "a ',' or '}' is missing")
        return position + 1

    def _is_list(self, start: int) -> bool:
        """Its kind stands near its beginning (the API) or at its end (kubectl)."""
        edges = (self.text[start : start + 200], self.text[-400:])
        return _ITEMS.search(self.text, start) is not None and any(_LIST.search(edge) for edge in edges)

    def _key(self, position: int) -> tuple[str, int]:
        if self.text[position : position + 1] != '"':
            raise self._fail(position, "a key in double quotes is missing")
        try:
            key, end = scanstring(self.text, position + 1)
        except json.JSONDecodeError as error:
            raise self._fail(error.pos, error.msg) from error
        end = self._skip(end)
        if self.text[end : end + 1] != ":":
            raise self._fail(end, "a ':' is missing")
        return key, self._skip(end + 1)

    def _items(self, start: int, api_version: str, kind: str) -> Generator[Found, None, int]:
        inner = kind.removesuffix("List")
        position = self._skip(start + 1)
        if self.text[position : position + 1] == "]":
            return position + 1
        while True:
            found = self._value(position, api_version, inner)
            self.yielded = True
            yield found
            position = self._skip(found.end)
            closing = self.text[position : position + 1]
            if closing == "]":
                return position + 1
            if closing != ",":
                raise self._fail(position, "a ',' or ']' is missing")
            position = self._skip(position + 1)
