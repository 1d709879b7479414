"""How rules, policies and tiers add up: what becomes of the flows of a subject, for all its peers at once.

An Effect says of sets of peers (as bits; of one peer, 0 or 1) what rules do with their flows. The first match
decides, so in a sequence a later rule gets only what `matched` leaves. Where an API leaves a case open,
`allow`, `deny` and `passed` are what may happen: they overlap, and `matched` is what is certainly matched.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

from netprobe.model.policy import Action

Match: TypeAlias = tuple[Action, int, int, bool]
"""The action of a rule, the subjects and the peers that it may match, and whether it certainly does."""


class Effect(NamedTuple):
    """`matched`: the peers that some rule certainly decides; the actions are those of the first match."""

    allow: int = 0
    deny: int = 0
    passed: int = 0
    matched: int = 0

    def then(self, later: Effect) -> Effect:
        """This, and what is left to a later one."""
        left = ~self.matched
        return Effect(
            self.allow | later.allow & left,
            self.deny | later.deny & left,
            self.passed | later.passed & left,
            self.matched | later.matched,
        )

    def beside(self, other: Effect) -> Effect:
        """This and another one in an order that nobody defines."""
        return Effect(*(one | two for one, two in zip(self, other, strict=True)))

    def at_end(self, default: Action, everything: int) -> Effect:
        """This, and the default of the tier for what no rule matches."""
        left = everything & ~self.matched
        if default is Action.DENY:
            return Effect(self.allow, self.deny | left, self.passed, everything)
        return Effect(self.allow, self.deny, self.passed | left, everything)


def first_matches(rules: Iterable[Match]) -> Effect:
    """The effect of rules in their order, for a subject that all of them match."""
    allow = deny = passed = matched = 0
    for action, _, peers, certain in rules:
        left = peers & ~matched
        if action is Action.ALLOW:
            allow |= left
        elif action is Action.DENY:
            deny |= left
        elif action is Action.PASS:
            passed |= left
        else:  # LOG decides nothing
            continue
        if certain:
            matched |= left
    return Effect(allow, deny, passed, matched)


def through(tiers: Iterable[Effect], everything: int) -> tuple[int, int]:
    """The peers whose flows may be allowed, and those whose flows may be denied, after all tiers."""
    allowed = denied = 0
    arriving = everything
    for tier in tiers:
        allowed |= tier.allow & arriving
        denied |= tier.deny & arriving
        arriving &= tier.passed
        if not arriving:
            break
    return allowed | arriving, denied
