"""Errors of fields, worded as the API server words them: apimachinery's pkg/util/validation/field.

Causes and texts are those of a 1.33 server, so that a refusal reads like the one of `kubectl apply`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

REQUIRED = "FieldValueRequired"
INVALID = "FieldValueInvalid"
NOT_SUPPORTED = "FieldValueNotSupported"
FORBIDDEN = "FieldValueForbidden"
TOO_LONG = "FieldValueTooLong"
TYPE_INVALID = "FieldValueTypeInvalid"
"""The server cannot decode such a body at all, and answers 400 instead of 422."""
UNKNOWN = "UnknownField"
"""Refused under strict field validation only, with 400; else the field is dropped."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing that the server refuses: `path` and `message` are its words, `type` is its cause's reason.

    `at` is a narrower path to the very value, where the server names only what holds it; `hint` is ours.
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


def forbidden(path: str, detail: str) -> FieldError:
    return FieldError(path, _joined("Forbidden", detail), FORBIDDEN)


def not_supported(path: str, value: str, supported: tuple[str, ...]) -> FieldError:
    detail = "supported values: " + ", ".join(f'"{word}"' for word in supported)
    return FieldError(path, f"Unsupported value: {shown(value)}: {detail}", NOT_SUPPORTED)


def too_long(path: str, limit: int) -> FieldError:
    return FieldError(path, f"Too long: may not be more than {limit} bytes", TOO_LONG)


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
    """A value in an error: strings in quotes, long or nested ones cut (aliases may nest without end)."""
    if isinstance(value, dict):
        return "{…}" if value else "{}"
    if isinstance(value, list):
        inner = ", ".join(shown(item) if not isinstance(item, list) else "[…]" for item in value[:4])
        return f"[{inner}{', …' if len(value) > 4 else ''}]"
    if isinstance(value, str) and len(value) > 300:
        value = value[:300] + "…"
    return json.dumps(value, ensure_ascii=False)
