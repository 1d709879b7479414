"""What a namespace's quotas leave for its own pods once shadow pods are counted too. Pure.

A ResourceQuota counts every pod of its namespace: while a shadow pod uses up the quota, no real pod can be
created.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from netprobe.model.objects import Object
from netprobe.probe.run_objects import RESOURCES

USED: Final[Mapping[str, str]] = {
    # a resource that a quota may limit -> how much of it one shadow pod uses
    "pods": "1",
    "count/pods": "1",
    "cpu": RESOURCES["requests"]["cpu"],
    "requests.cpu": RESOURCES["requests"]["cpu"],
    "limits.cpu": RESOURCES["limits"]["cpu"],
    "memory": RESOURCES["requests"]["memory"],
    "requests.memory": RESOURCES["requests"]["memory"],
    "limits.memory": RESOURCES["limits"]["memory"],
}
OTHER_SCOPES: Final = frozenset({"BestEffort", "NotTerminating"})
"""Scopes that do not include a shadow pod: it has requests and a deadline."""

_UNITS: Final = {"m": 1e-3, "": 1.0} | {
    unit: factor
    for power, letter in enumerate(("k", "M", "G", "T", "P"), start=1)
    for unit, factor in ((letter, 1000.0**power), (f"{letter.upper()}i", 1024.0**power))
}


def counted(quota: Object, shadows: int) -> tuple[str, bool] | None:
    """What that many shadow pods do to a quota of their namespace, and whether it is harmful; None: nothing.

    Harmful: not even one more pod as small as they are would fit.
    """
    spec: Mapping[str, Any] = quota.get("spec") or {}
    if OTHER_SCOPES.intersection(spec.get("scopes") or ()):
        return None
    left = dict(_left(quota))
    if not left:
        return None
    short = sorted(name for name, rest in left.items() if rest < (shadows + 1) * amount(USED[name]))
    if short:
        return f"would have no room left for another pod ({', '.join(short)})", True
    return "would count the pod, and has room for more", False


def amount(quantity: str) -> float:
    """A resource quantity as a number: "500m", "64Mi", "2"; infinity if it cannot be read."""
    number = quantity.rstrip("kKMGTPim")
    try:
        return float(number) * _UNITS[quantity[len(number) :]]
    except (KeyError, ValueError):
        return float("inf")


def _left(quota: Object) -> Iterator[tuple[str, float]]:
    hard: Mapping[str, str] = (
        (quota.get("status") or {}).get("hard") or (quota.get("spec") or {}).get("hard") or {}
    )
    used: Mapping[str, str] = (quota.get("status") or {}).get("used") or {}
    for name, most in hard.items():
        if name in USED:
            yield name, amount(str(most)) - amount(str(used.get(name, "0")))
