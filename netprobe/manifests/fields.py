"""Errors of fields, worded as the API server words them, and the checks of names that all objects share.

The rules are those of apimachinery (pkg/util/validation and pkg/util/validation/field); causes and texts
are what a 1.33 server answers, so that a refusal here reads like the one that `kubectl apply` would have
shown.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from functools import lru_cache
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


_QUALIFIED = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_DNS_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_DNS_LABEL}(\.{_DNS_LABEL})*"
_QUALIFIED_RE, _DNS_LABEL_RE, _SUBDOMAIN_RE = map(re.compile, (_QUALIFIED, _DNS_LABEL, _SUBDOMAIN))
_CHARACTERS = (
    "alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
)


def _regex_message(message: str, form: str, *examples: str) -> str:
    # the stray comma is the server's own
    shown_examples = " or ".join(f"'{example}', " for example in examples)
    return f"{message} (e.g. {shown_examples}regex used for validation is '{form}')"


def _no_more_than(length: int) -> str:
    return f"must be no more than {length} characters"


@lru_cache(maxsize=4096)
def dns_subdomain(value: str) -> tuple[str, ...]:
    """What is wrong with the name of most objects (RFC 1123, dots allowed)."""
    errors = [_no_more_than(253)] if len(value.encode()) > 253 else []
    if not _SUBDOMAIN_RE.fullmatch(value):
        message = (
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
            "and must start and end with an alphanumeric character"
        )
        errors.append(_regex_message(message, _SUBDOMAIN, "example.com"))
    return tuple(errors)


@lru_cache(maxsize=4096)
def dns_label(value: str) -> tuple[str, ...]:
    """What is wrong with the name of a namespace (RFC 1123, no dots)."""
    errors = [_no_more_than(63)] if len(value.encode()) > 63 else []
    if not _DNS_LABEL_RE.fullmatch(value):
        if _SUBDOMAIN_RE.fullmatch(value):
            errors.append("must not contain dots")
        else:
            message = (
                "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "
                "and must start and end with an alphanumeric character"
            )
            errors.append(_regex_message(message, _DNS_LABEL, "my-name", "123-abc"))
    return tuple(errors)


@lru_cache(maxsize=16384)
def label_key(value: str) -> tuple[str, ...]:
    """What is wrong with the key of a label or annotation: an optional domain, a slash, a name."""
    parts = value.split("/")
    examples = ("MyName", "my.name", "123-abc")
    if len(parts) > 2:
        message = _regex_message(f"a qualified name must consist of {_CHARACTERS}", _QUALIFIED, *examples)
        return (f"{message} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",)
    errors: list[str] = []
    if len(parts) == 2:
        if not parts[0]:
            errors.append("prefix part must be non-empty")
        else:
            errors += [f"prefix part {error}" for error in dns_subdomain(parts[0])]
    name = parts[-1]
    if not name:
        errors.append("name part must be non-empty")
    elif len(name.encode()) > 63:
        errors.append("name part " + _no_more_than(63))
    if not _QUALIFIED_RE.fullmatch(name):
        errors.append("name part " + _regex_message(f"must consist of {_CHARACTERS}", _QUALIFIED, *examples))
    return tuple(errors)


@lru_cache(maxsize=16384)
def label_value(value: str) -> tuple[str, ...]:
    """What is wrong with the value of a label."""
    errors = [_no_more_than(63)] if len(value.encode()) > 63 else []
    if value and not _QUALIFIED_RE.fullmatch(value):
        message = f"a valid label must be an empty string or consist of {_CHARACTERS}"
        errors.append(_regex_message(message, f"({_QUALIFIED})?", "MyValue", "my_value", "12345"))
    return tuple(errors)


def port_name(value: str) -> list[str]:
    """What is wrong with the name of a port."""
    errors = [_no_more_than(15)] if len(value.encode()) > 15 else []
    if not re.fullmatch("[-a-z0-9]+", value):
        errors.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", value):
        errors.append("must contain at least one letter (a-z)")
    if "--" in value:
        errors.append("must not contain consecutive hyphens")
    if value and "-" in (value[0], value[-1]):
        errors.append("must not begin or end with a hyphen")
    return errors


def port_number(value: int) -> list[str]:
    return [] if 1 <= value <= 65535 else ["must be between 1 and 65535, inclusive"]
