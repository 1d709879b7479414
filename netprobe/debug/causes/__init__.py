"""The root causes of blocked traffic: one module each.

A module has a function `find(evidence)`, which returns the Cause if the evidence shows it, else None. Its
docstring says what the cause is, and its name is the cause's id (`ingress_policy` is "ingress-policy"). A new
module needs no registration. A cause is found only if the evidence excludes the others; if it fits two, one
Cause names both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from netprobe.debug.evidence import Evidence
from netprobe.debug.records import Leg
from netprobe.manifests.suggestion import Suggestion


class Place(IntEnum):
    """Where on the path a cause lies. Of several causes the earliest is named first."""

    SOURCE = 0
    NAME = 1
    SERVICE = 2
    POLICIES = 3
    LISTENER = 4
    PATH = 5


@dataclass(frozen=True, slots=True)
class Fix:
    """What to do, in one sentence; for policies also the change as explain suggests it."""

    summary: str
    suggestion: Suggestion | None = None


@dataclass(frozen=True, slots=True)
class Cause:
    """`text` is the sentence about it, without its full stop.

    `or_else`: other causes that the evidence fits just as well, and `tell_apart` what would tell them apart.
    `over`: it has ended by itself.
    """

    place: Place
    text: str
    fix: Fix
    or_else: tuple[str, ...] = ()
    tell_apart: str = ""
    over: bool = False


def fix_of(legs: Iterable[Leg], otherwise: str) -> Fix:
    """The change that explain suggests for the first of the legs that has one."""
    every = list(legs)
    for leg in every:
        change = leg.explanation.change if leg.explanation else None
        if change is not None:
            return Fix(change.text, _beyond(change, every))
    return Fix(otherwise)


def _beyond(change: Suggestion, legs: Iterable[Leg]) -> Suggestion:
    """The change without the flows that it is meant to open."""
    effects = change.effects
    wanted = {(str(leg.flow.source), leg.end, leg.flow.port) for leg in legs}
    opens = [
        one
        for one in effects.opens
        if (one.source, one.destination.partition(" +")[0], one.port) not in wanted
        or one.flows >= len(wanted)
    ]
    less = sum(one.flows for one in effects.opens) - sum(one.flows for one in opens)
    kept = replace(effects, opens=tuple(opens), opens_count=effects.opens_count - less)
    return replace(change, effects=kept)


@cache
def find_functions() -> dict[str, Callable[[Evidence], Cause | None]]:
    """The `find` of each module by the id of its cause."""
    names = sorted(name for _, name, _ in iter_modules(__path__))
    return {name.replace("_", "-"): import_module(f"{__name__}.{name}").find for name in names}


def find_all(evidence: Evidence) -> list[tuple[str, Cause]]:
    """Every cause that the evidence shows, with its id; the earliest on the path first."""
    found = [(name, cause) for name, find in find_functions().items() if (cause := find(evidence))]
    return sorted(found, key=lambda pair: pair[1].place)
