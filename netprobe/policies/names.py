"""What is wrong with a name, a label or a port: the rules of apimachinery, pkg/util/validation.

Each function takes a value and returns messages; no message means that the value is valid. The messages are
the API server's, without its examples and regular expressions.
"""

from __future__ import annotations

import re
from functools import lru_cache

_QUALIFIED = re.compile("([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_DNS_LABEL = re.compile("[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(rf"{_DNS_LABEL.pattern}(\.{_DNS_LABEL.pattern})*")
_ENDS = "and must start and end with an alphanumeric character"


@lru_cache(maxsize=4096)
def dns_subdomain(value: str) -> tuple[str, ...]:
    """The names of most objects (RFC 1123, dots allowed)."""
    errors = _too_long(value, 253)
    if not _SUBDOMAIN.fullmatch(value):
        what = "lower case alphanumeric characters, '-' or '.'"
        errors.append(f"a lowercase RFC 1123 subdomain must consist of {what}, {_ENDS}")
    return tuple(errors)


@lru_cache(maxsize=4096)
def dns_label(value: str) -> tuple[str, ...]:
    """The names of namespaces (RFC 1123, no dots)."""
    errors = _too_long(value, 63)
    if _SUBDOMAIN.fullmatch(value) and "." in value:
        errors.append("must not contain dots")
    elif not _DNS_LABEL.fullmatch(value):
        what = "lower case alphanumeric characters or '-'"
        errors.append(f"a lowercase RFC 1123 label must consist of {what}, {_ENDS}")
    return tuple(errors)


@lru_cache(maxsize=16384)
def label_key(value: str) -> tuple[str, ...]:
    """The keys of labels and annotations: an optional domain and slash, then a name."""
    prefix, slash, name = value.rpartition("/")
    if "/" in prefix:
        return ("a qualified name must be a name with an optional DNS subdomain prefix and '/'",)
    errors: list[str] = []
    if slash and not prefix:
        errors.append("prefix part must be non-empty")
    elif slash:
        errors += [f"prefix part {error}" for error in dns_subdomain(prefix)]
    errors += ["name part must be non-empty"] if not name else [f"name part {e}" for e in _too_long(name, 63)]
    if name and not _QUALIFIED.fullmatch(name):
        errors.append(f"name part must consist of alphanumeric characters, '-', '_' or '.', {_ENDS}")
    return tuple(errors)


@lru_cache(maxsize=16384)
def label_value(value: str) -> tuple[str, ...]:
    """The values of labels."""
    errors = _too_long(value, 63)
    if value and not _QUALIFIED.fullmatch(value):
        what = "alphanumeric characters, '-', '_' or '.'"
        errors.append(f"a valid label must be an empty string or consist of {what}, {_ENDS}")
    return tuple(errors)


def port_name(value: str) -> list[str]:
    """The names of ports."""
    errors = _too_long(value, 15)
    if not re.fullmatch("[-a-z0-9]+", value):
        errors.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", value):
        errors.append("must contain at least one letter (a-z)")
    if "--" in value:
        errors.append("must not contain consecutive hyphens")
    if value.startswith("-") or value.endswith("-"):
        errors.append("must not begin or end with a hyphen")
    return errors


def port_number(value: int) -> list[str]:
    return [] if 1 <= value <= 65535 else ["must be between 1 and 65535, inclusive"]


def _too_long(value: str, limit: int) -> list[str]:
    return [f"must be no more than {limit} characters"] if len(value.encode()) > limit else []
