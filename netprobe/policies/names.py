"""What is wrong with a name, a label or a port: the rules and words of apimachinery, pkg/util/validation.

Each function takes a value and returns the server's messages; an empty answer means that all is well.
"""

from __future__ import annotations

import re
from functools import lru_cache

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
