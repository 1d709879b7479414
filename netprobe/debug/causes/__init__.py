"""The root causes of blocked traffic: one module each.

A module has a function `find(evidence)`, which returns the Cause if the evidence shows it, else None. Its
docstring says what the cause is, and its name is the cause's id (`ingress_policy` is "ingress-policy"). A new
module needs no registration. A cause is found only if the evidence excludes the others; if it fits two, one
Cause names both.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from netprobe.debug.cause import Cause
from netprobe.debug.evidence import Evidence


@cache
def find_functions() -> dict[str, Callable[[Evidence], Cause | None]]:
    """The `find` of each module by the id of its cause."""
    names = sorted(name for _, name, _ in iter_modules(__path__))
    return {name.replace("_", "-"): import_module(f"{__name__}.{name}").find for name in names}


def find_all(evidence: Evidence) -> list[tuple[str, Cause]]:
    """Every cause that the evidence shows, with its id; the earliest on the path first."""
    found = [(name, cause) for name, find in find_functions().items() if (cause := find(evidence))]
    return sorted(found, key=lambda pair: pair[1].place)
