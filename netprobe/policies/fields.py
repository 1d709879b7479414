"""Reading the fields of an API object: typed access with paths, and the errors that it collects.

Fields are read as the API server's JSON decoder reads them: `null` is the same as absent, a `null` item of a
list is the zero value, and a value of the wrong type is an error. Errors are collected rather than raised, so
that all of them can be reported at once. Their causes and texts are those of a Kubernetes 1.33 server
(apimachinery, pkg/util/validation/field), so that a refusal reads like the one of `kubectl apply`.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

REQUIRED = "FieldValueRequired"
INVALID = "FieldValueInvalid"
NOT_SUPPORTED = "FieldValueNotSupported"
FORBIDDEN = "FieldValueForbidden"
DUPLICATE = "FieldValueDuplicate"
TOO_LONG = "FieldValueTooLong"
TOO_MANY = "FieldValueTooMany"
TYPE_INVALID = "FieldValueTypeInvalid"
"""The server cannot decode such a body, and answers 400 instead of 422."""
UNKNOWN = "UnknownField"
"""Refused with 400 under strict field validation; otherwise the field is dropped."""

_INT_LIMIT = 1 << 31
QUOTE_IT = "put it in quotes"


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing that the server refuses: its path and message, and as `type` the reason in its status.

    `at` is a more precise path if the server names only the enclosing field; `hint` is added by netprobe.
    """

    path: str
    message: str
    type: str
    at: str = field(default="", compare=False)
    hint: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


def required(path: str, detail: str) -> FieldError:
    return FieldError(path, _joined("Required value", detail), REQUIRED)


def invalid(path: str, value: Any, detail: str, at: str = "") -> FieldError:
    return FieldError(path, _joined(f"Invalid value: {shown(value)}", detail), INVALID, at or path)


def duplicate(path: str, value: Any) -> FieldError:
    return FieldError(path, f"Duplicate value: {shown(value)}", DUPLICATE)


def forbidden(path: str, detail: str) -> FieldError:
    return FieldError(path, _joined("Forbidden", detail), FORBIDDEN)


def not_supported(path: str, value: str, supported: tuple[str, ...]) -> FieldError:
    detail = "supported values: " + ", ".join(f'"{word}"' for word in supported)
    return FieldError(path, f"Unsupported value: {shown(value)}: {detail}", NOT_SUPPORTED)


def too_long(path: str, limit: int) -> FieldError:
    return FieldError(path, f"Too long: may not be more than {limit} bytes", TOO_LONG)


def too_many(path: str, size: int, detail: str) -> FieldError:
    return FieldError(path, f"Too many: {size}: {detail}", TOO_MANY)


def hinted(error: FieldError, hint: str) -> FieldError:
    return replace(error, hint=hint)


def wrong_type(path: str, value: Any, wanted: str, hint: str = "", at: str = "") -> FieldError:
    detail = f"must be {wanted}, not {type_name(value)}"
    return FieldError(path, f"Invalid value: {shown(value)}: {detail}", TYPE_INVALID, at or path, hint)


def _joined(head: str, detail: str) -> str:
    return f"{head}: {detail}" if detail else head


def type_name(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "a list"
        case _:
            return "a mapping"


def shown(value: Any) -> str:
    """A value for an error message: strings in quotes, long or nested values shortened."""
    if isinstance(value, dict):
        return "{…}" if value else "{}"
    if isinstance(value, list):
        inner = ", ".join(shown(item) if not isinstance(item, list) else "[…]" for item in value[:4])
        return f"[{inner}{', …' if len(value) > 4 else ''}]"
    if isinstance(value, str) and len(value) > 300:
        value = value[:300] + "…"
    return json.dumps(value, ensure_ascii=False)


def child(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


class Decoder:
    """Reads fields and collects errors.

    With `strict`, as for a file, unknown fields are errors. Without, as for an object that a server has
    accepted, they are skipped; and where a kind's own enforcer ignores something that it does not
    understand, reading does what it does and says so in `warnings`.
    """

    def __init__(self, *, strict: bool = True) -> None:
        self.strict = strict
        self.errors: list[FieldError] = []
        self.warnings: list[FieldError] = []

    def mapping(self, value: Any, path: str, known: Iterable[str] | None = None) -> Mapping[str, Any]:
        """A mapping; {} for null. `known` are the names of all its fields."""
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            self.errors.append(wrong_type(path, value, "a mapping"))
            return {}
        if self.strict and known is not None:
            self._unknown_fields(value, path, known)
        return value

    def _unknown_fields(self, value: Mapping[str, Any], path: str, known: Iterable[str]) -> None:
        names = known if isinstance(known, frozenset | set | tuple) else tuple(known)
        for key in value:
            if key not in names:
                where = child(path, str(key))
                near = difflib.get_close_matches(str(key), names, 1, 0.7) or [
                    name for name in names if name.lower() == str(key).lower()
                ]
                hint = f"did you mean {near[0]}?" if near else ""
                self.errors.append(FieldError(where, f'unknown field "{where}"', UNKNOWN, where, hint))

    def items(self, parent: Mapping[str, Any], key: str, path: str) -> Iterator[tuple[Any, str]]:
        """The items of a list, each with its path; nothing for null."""
        value = parent.get(key)
        where = child(path, key)
        if value is None:
            return
        if not isinstance(value, list | tuple):
            self.errors.append(wrong_type(where, value, "a list"))
            return
        for index, item in enumerate(value):
            yield item, f"{where}[{index}]"

    def string(self, parent: Mapping[str, Any], key: str, path: str) -> str | None:
        """A string; None for null, and for an error."""
        value = parent.get(key)
        if value is None or isinstance(value, str):
            return value
        hint = QUOTE_IT if not isinstance(value, dict | list) else ""
        self.errors.append(wrong_type(child(path, key), value, "a string", hint))
        return None

    def boolean(self, parent: Mapping[str, Any], key: str, path: str) -> bool:
        """A boolean; False for null, and for an error."""
        value = parent.get(key)
        if value is None or isinstance(value, bool):
            return bool(value)
        self.errors.append(wrong_type(child(path, key), value, "true or false"))
        return False

    def integer(self, parent: Mapping[str, Any], key: str, path: str) -> int | None:
        """An integer of 32 bits; None for null, and for an error."""
        value = parent.get(key)
        if value is None:
            return None
        number = as_integer(value)
        if number is None:
            self.errors.append(wrong_type(child(path, key), value, "an integer of 32 bits"))
        return number

    def strings(self, parent: Mapping[str, Any], key: str, path: str) -> list[tuple[str, str]]:
        """A list of strings, each with its path; a null item is ""."""
        result: list[tuple[str, str]] = []
        for item, where in self.items(parent, key, path):
            if item is None or isinstance(item, str):
                result.append((item or "", where))
            else:
                self.errors.append(wrong_type(where, item, "a string", QUOTE_IT))
        return result

    def string_map(self, parent: Mapping[str, Any], key: str, path: str) -> dict[str, str]:
        """A mapping of strings, such as labels; a null value is ""."""
        where = child(path, key)
        value = parent.get(key)
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            self.errors.append(wrong_type(where, value, "a mapping"))
            return {}
        result: dict[str, str] = {}
        for name, item in value.items():
            if item is None or isinstance(item, str):
                result[name] = item or ""
            else:
                self.errors.append(wrong_type(where, item, "a string", QUOTE_IT, child(where, name)))
        return result


def as_integer(value: Any) -> int | None:
    """An integer of 32 bits; None for anything else. 80.0 in YAML reaches the server as 80: it counts too."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float) and not value.is_integer():
        return None
    return int(value) if -_INT_LIMIT <= value < _INT_LIMIT else None
