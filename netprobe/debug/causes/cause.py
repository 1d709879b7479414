"""A root cause of blocked traffic, and what fixes it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import IntEnum

from netprobe.debug.records import Leg
from netprobe.manifests.change import Suggestion


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
    """The change; its effects do not list the flows that it is meant to open."""
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
