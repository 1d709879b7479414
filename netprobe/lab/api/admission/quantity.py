"""Quantities of the API: "600m", "1Gi", "2e3" (apimachinery's pkg/api/resource)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any, TypeAlias

Amounts: TypeAlias = dict[str, Fraction]
"""By the name of a resource: "cpu", "requests.memory", "pods"."""

_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}


def parse(text: str | int | float) -> Fraction:
    """ValueError where it is none."""
    word = str(text).strip()
    if word[-2:] in _BINARY:
        return Fraction(word[:-2]) * (1 << _BINARY[word[-2:]])
    if word[-1:] in _DECIMAL and word[-1:]:
        return Fraction(word[:-1]) * Fraction(10) ** _DECIMAL[word[-1]]
    return Fraction(word)  # an exponent is a fraction's own spelling


def render(amount: Fraction) -> str:
    """The shortest spelling without a loss: "600m", "1Gi", "2"."""
    if amount.denominator != 1:
        milli = amount * 1000
        return f"{-(-milli.numerator // milli.denominator)}m"
    for suffix, power in reversed(_BINARY.items()):
        if amount and not amount.numerator % 2**power:
            return f"{amount.numerator >> power}{suffix}"
    return str(amount.numerator)


def amounts(listed: Mapping[str, Any] | None) -> Amounts:
    """A map of quantities; what cannot be read counts as nothing."""
    found: Amounts = {}
    for name, text in (listed or {}).items():
        try:
            found[name] = parse(text)
        except (ValueError, ZeroDivisionError):
            continue
    return found


def total(parts: Iterable[Amounts]) -> Amounts:
    """The sum."""
    result: Amounts = {}
    for part in parts:
        for name, amount in part.items():
            result[name] = result.get(name, Fraction(0)) + amount
    return result


def highest(parts: Iterable[Amounts]) -> Amounts:
    """The largest of each."""
    result: Amounts = {}
    for part in parts:
        for name, amount in part.items():
            result[name] = max(result.get(name, amount), amount)
    return result


def of_pod(spec: Mapping[str, Any], kind: str) -> Amounts:
    """What a pod asks for, or is limited to (`kind` is "requests" or "limits"): all its containers together,
    or the largest of its init containers, which run before them."""

    def each(key: str) -> list[Amounts]:
        return [amounts((c.get("resources") or {}).get(kind)) for c in spec.get(key) or ()]

    overhead = amounts(spec.get("overhead"))
    return total([highest([total(each("containers")), *each("initContainers")]), overhead])
