"""Whom each group may talk to in one direction, by all policies that apply to it: rows of bits.

Theory of operation. `model.policy` describes the walk through the tiers for one flow; here it is made once
for all peers of a group. What rules do is an Effect: the sets of peers that they allow, deny and pass
(`effect`). The rules of the policies that select a group together in a tier have one effect, unless some of
them look at the subject's own end or at the name of its port; the effects of all tiers make a row.

What the APIs leave open (`doubt`) is worked out in the same way, with effects that overlap: the peers that
may be allowed, and those that may be denied.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property, reduce
from itertools import chain
from typing import TypeAlias

from netprobe.model.flow import Family, Protocol
from netprobe.model.policy import BASELINE_TIER, Action, Direction, NamedPort
from netprobe.simulate.applying import Applying, Combination, ReadyRule, Segment
from netprobe.simulate.bits import pack
from netprobe.simulate.doubt import CERTAIN, POSSIBLE, PROFILE, View
from netprobe.simulate.effect import Effect, Match, first_matches, through
from netprobe.simulate.match import from_client, opens

Matched: TypeAlias = tuple[int, int]
"""Two sets of groups, (subjects, peers): what a rule matches on a port."""

Rows: TypeAlias = Sequence[int | None]
"""For each group the peers that it may talk to; None if no policy applies to it."""


class Walk:
    """The effects of policies on one port in one family; `doubtful`: with what is open taken every way."""

    def __init__(
        self,
        applying: Applying,
        port: tuple[int, Protocol],
        family: Family | None,
        *,
        doubtful: bool = False,
    ) -> None:
        self._applying, self._universe = applying, applying.universe
        self._port, self._family, self._doubtful = port, family, doubtful
        self._everything = applying.universe.everything
        self._segments: dict[Segment, tuple[list[Match], tuple[int, ...]]] = {}
        self._effects: dict[tuple[Segment, tuple[int, ...]], Effect] = {}

    def rows(self, combination: Combination) -> Iterator[tuple[int, tuple[int, int]]]:
        """Each group with these policies, and the peers that it may talk to and may not."""
        narrowing = [self._on_port(segment)[1] for segment in combination.segments]
        known: dict[object, tuple[int, int]] = {}
        for group in combination.groups:
            memberships = [tuple([sets >> group & 1 for sets in each]) for each in narrowing]
            key = tuple(memberships)
            if key not in known:
                known[key] = self._row(combination, memberships, group)
            yield group, known[key]

    def _row(
        self, combination: Combination, memberships: list[tuple[int, ...]], group: int
    ) -> tuple[int, int]:
        effects = []
        for segment, membership in zip(combination.segments, memberships, strict=True):
            effect = self._effects.get((segment, membership))
            if effect is None:
                effect = self._effects[segment, membership] = self._effect(segment, group)
            effects.append(effect)
        if combination.hidden and (self._doubtful or self._universe.profile.hides_baseline):
            open_ = Effect(allow=self._everything)
            for place, segment in enumerate(combination.segments):
                if segment.tier.name == BASELINE_TIER.name:
                    effects[place] = effects[place].beside(open_) if self._doubtful else open_
        return through(effects, self._everything)

    def _on_port(self, segment: Segment) -> tuple[list[Match], tuple[int, ...]]:
        """What the rules of a segment match, and the sets of subjects that they tell apart."""
        found = self._segments.get(segment)
        if found is None:
            known, everything = self._matches, self._everything
            matches = [match for rule in segment.rules if rule in known for match in known[rule]]
            narrowing = dict.fromkeys([match[1] for match in matches if match[1] != everything])
            found = self._segments[segment] = (matches, tuple(narrowing))
        return found

    def _effect(self, segment: Segment, group: int) -> Effect:
        """The effect of policies one after the other, and of the end of their tier, for one subject."""
        matches, narrowing = self._on_port(segment)
        if self._doubtful and segment.tied:
            found = Effect()
            for tied in segment.tied:
                effects = [first_matches(self._of_subject(rules, group)) for rules in tied]
                found = found.then(reduce(Effect.beside, effects))
        elif narrowing:
            found = first_matches([match for match in matches if match[1] >> group & 1])
        else:
            found = first_matches(matches)
        return found.at_end(segment.tier.default, self._everything)

    def _of_subject(self, rules: Iterable[ReadyRule], group: int) -> Iterator[Match]:
        found = chain.from_iterable(self._matches.get(rule, ()) for rule in rules)
        return (match for match in found if match[1] >> group & 1)

    @cached_property
    def _matches(self) -> dict[ReadyRule, list[Match]]:
        """What each rule matches that matches something."""
        found = {}
        for ready in self._applying.ready:
            if ready.plain:  # most rules
                if ready.covers(*self._port):
                    peers = self._applying.ends(ready, self._family, self._port).peers
                    found[ready] = [(ready.action, self._everything, peers, True)]
            elif ready.variant.used or self._doubtful:
                found[ready] = list(self._special_matches(ready))
        return found

    def _special_matches(self, ready: ReadyRule) -> Iterator[Match]:
        open_ = self._doubtful and bool(ready.variant.open)
        certain = ready.variant.doubt is None or not self._doubtful
        for subjects, peers in self.matches(ready, POSSIBLE if open_ else PROFILE):
            yield ready.action, subjects, peers, certain and not open_
        if certain and open_:
            for subjects, peers in self.matches(ready, CERTAIN):
                yield ready.action, subjects, peers, True

    def matches(self, ready: ReadyRule, view: View = PROFILE) -> list[Matched]:
        """What a rule matches on this port.

        A named port is looked up on the destinations, so it narrows the peers of an egress rule and the
        subjects of an ingress rule. A name that is excluded excludes pods that match themselves, not by a
        network set around them.
        """
        covers = ready.covers(*self._port)
        everything = self._everything
        rule, (port, protocol) = ready.variant.rule, self._port
        some, every = from_client(rule.source_ports, protocol)
        if not (some if view.extent else every):
            return []
        if any(opens(entry, port, protocol, ()) for entry in rule.not_ports):
            return []
        excluded = self._declaring(rule.not_ports)
        named = self._declaring(ready.named) & ~excluded
        if not (covers or named):
            return []
        ends = self._applying.ends(ready, self._family, self._port, view)
        numbered = everything if covers else 0
        if self._applying.direction is Direction.EGRESS:
            numbered &= ~(ends.named_peers & excluded)
            found = [(ends.own, ends.peers & numbered | ends.named_peers & named)]
        else:
            numbered &= ~(ends.named_own & excluded)
            found = [(ends.own & numbered, ends.peers), (ends.named_own & named, ends.peers)]
        return [(subjects, peers) for subjects, peers in found if subjects and peers]

    def _declaring(self, ports: Iterable[object]) -> int:
        """The groups that have this port by one of the names."""
        bits = 0
        for entry in ports:
            if isinstance(entry, NamedPort):
                bits |= self._universe.declaring(entry, *self._port)
        return bits


class DirectionRows:
    """The rows of one direction for one port in one family.

    `rows`: for each group the peers that it may talk to; None if no policy applies to it.
    `possible`: for groups of which the APIs leave something open, the peers that the group may and may not
    talk to in some implementation. `unknown`: the groups that a tier decides whose place is not known, with
    an empty row.
    """

    def __init__(self, applying: Applying, port: int, protocol: Protocol, family: Family | None) -> None:
        self._applying = applying
        self._asked = (port, protocol), family
        walk = Walk(applying, *self._asked)  # not kept: its effects take more memory than the rows
        self.rows: list[int | None] = [None] * len(applying.universe.groups)
        self.unknown = 0
        for combination in applying.combinations:
            if combination.unplaced:
                self.unknown |= pack(combination.groups, len(self.rows))
                for group in combination.groups:
                    self.rows[group] = 0
            elif combination.segments:
                for group, (allowed, _) in walk.rows(combination):
                    self.rows[group] = allowed

    @cached_property
    def possible(self) -> dict[int, tuple[int, int]]:
        walk = Walk(self._applying, *self._asked, doubtful=True)
        open_ = (each for each in self._applying.combinations if each.open)
        return dict(chain.from_iterable(map(walk.rows, open_)))

    @property
    def at_most(self) -> Rows:
        """The rows if the tiers whose place is not known open everything."""
        return [None if self.unknown >> group & 1 else row for group, row in enumerate(self.rows)]

    def opened(self, number: int, index: int | None = None) -> list[Matched]:
        """What a policy, or one rule of it, allows on this port."""
        walk = Walk(self._applying, *self._asked)
        found: list[Matched] = []
        for ready in self._applying.rules(number):
            wanted = index is None or ready.variant.index == index
            if wanted and ready.variant.used and ready.action is Action.ALLOW:
                found += walk.matches(ready)
        return found
