"""How rules, policies and tiers add up: what becomes of the flows of a subject, for all its peers at once.

An Effect says of sets of peers (as bits; of one peer, 0 or 1) what rules do with their flows. The first match
decides, so in a sequence a later rule gets only what `matched` leaves. Where an API leaves a case open,
`allow`, `deny` and `passed` are what may happen: they overlap, and `matched` is what is certainly matched.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from netprobe.model.policy import Action


class Effect(NamedTuple):
    """`matched`: the peers that some rule certainly decides; the actions are those of the first match."""

    allow: int = 0
    deny: int = 0
    passed: int = 0
    matched: int = 0

    def then(self, later: Effect) -> Effect:
        """This, and what is left to a later one."""
        if not (self.deny or self.passed or later.deny or later.passed):  # NetworkPolicies: a union
            return Effect(self.allow | later.allow, 0, 0, self.matched | later.matched)
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


NOTHING = Effect()


def first_match(action: Action, peers: int, certain: int) -> Effect:
    """A rule that may match some peers, and certainly matches some of them. LOG decides nothing."""
    match action:
        case Action.ALLOW:
            return Effect(allow=peers, matched=certain)
        case Action.DENY:
            return Effect(deny=peers, matched=certain)
        case Action.PASS:
            return Effect(passed=peers, matched=certain)
        case Action.LOG:
            return NOTHING


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
