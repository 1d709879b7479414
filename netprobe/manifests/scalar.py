"""What a plain YAML scalar means to Kubernetes.

kubectl reads YAML with a fork of go-yaml v2, whose rules differ from YAML 1.2 and from PyYAML: `on` is a
boolean, `1e3` and `08` are numbers, but `1:20` and `2024-01-01` are strings. A label value that the server
would refuse because it is a number must be refused here too, so the same rules apply (goyaml.v2, resolve.go;
each row of tests/manifests/test_scalar.py was tried with kubectl). One exception: a lone `y` or `n` is a
string here. kubectl reads a boolean, but most programs write these letters without quotes, and many test
clusters have namespaces x, y and z.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TypeAlias

Scalar: TypeAlias = str | int | float | bool | None

MERGE = "<<"
"""The key whose value is merged into its mapping."""

_WORDS: dict[str, Scalar] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
}
_NUMERIC_START = frozenset("+-.0123456789")
_INTEGER = re.compile(r"([+-]?)(0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO][0-7]+|0[0-7]*|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_BASES = {"x": 16, "b": 2, "o": 8}


@lru_cache(maxsize=1 << 17)
def resolve(text: str) -> Scalar:
    """The value of an unquoted scalar."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMERIC_START:
        return text
    plain = text.replace("_", "")
    if integer := _INTEGER.fullmatch(plain):
        return _integer(integer[1], integer[2])
    if _FLOAT.fullmatch(plain):
        return float(plain)
    return text


def _integer(sign: str, digits: str) -> int | float:
    base = 10
    if digits[0] == "0" and len(digits) > 1:
        base = _BASES.get(digits[1].lower(), 8)
        digits = digits[2:] if digits[1].lower() in _BASES else digits[1:]
    number = int(digits, base) if len(digits) <= 400 else float("inf")
    if number >= 1 << 64:  # beyond uint64 go-yaml falls back to a float
        return float(sign + digits) if base == 10 else float(number)
    return -number if sign == "-" else number


def key_text(value: Scalar) -> str | None:
    """A mapping's key as text, since JSON has only strings; None for `null`, which the server refuses."""
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return f"{value:g}"
        case None:
            return None
