"""Whom each group may talk to in one direction, by all policies that apply to it: rows of bits.

Theory of operation. `model.policy` describes the walk through the tiers for one flow; here it is made once
for all peers of a group. What a rule does is an Effect: the sets of peers that it allows, denies, passes.
The effects of rules add up to that of a policy, those of policies to that of a tier, and those of tiers to a
row (`effect`). Each is made once: that of a policy for all groups, unless a rule looks at the subject's own
end or at a port's name, and that of the policies of a tier for all groups that these select.

What the APIs leave open (`doubt`) is worked out in the same way, with effects that overlap: the peers that
may be allowed, and those that may be denied.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

from netprobe.model.flow import Family, Protocol
from netprobe.model.policy import BASELINE_TIER, Action, Direction, NamedPort
from netprobe.simulate.applying import Applying, Combination, ReadyRule, Segment
from netprobe.simulate.bits import pack, unpack
from netprobe.simulate.doubt import CERTAIN, POSSIBLE, PROFILE, View
from netprobe.simulate.effect import NOTHING, Effect, first_match, through
from netprobe.simulate.match import from_client, opens
from netprobe.simulate.tiers import ties

Matched: TypeAlias = tuple[int, int]
"""Two sets of groups, (subjects, peers): what a rule matches on a port."""


@dataclass(slots=True)
class _PolicyRules:
    """The rules of a policy on one port: what they may match, and certainly match.

    `narrowing`: the sets of subjects that rules tell apart. `effects`: those already made, by the subject's
    membership in these sets.
    """

    rules: list[tuple[Action, list[Matched], list[Matched]]]
    narrowing: tuple[int, ...]
    effects: dict[tuple[bool, ...], Effect] = field(default_factory=dict)

    def effect(self, group: int) -> Effect:
        membership = _membership(self.narrowing, group) if self.narrowing else ()
        found = self.effects.get(membership)
        if found is None:
            found = NOTHING
            for action, possible, certain in self.rules:
                peers = _peers_of(possible, group)
                sure = peers if certain is possible else _peers_of(certain, group)
                found = found.then(first_match(action, peers, sure))
            self.effects[membership] = found
        return found


class Walk:
    """The effects of policies on one port in one family.

    With `certain`, the walk as the profile decides, this one takes what is open every way.
    """

    def __init__(
        self,
        applying: Applying,
        port: tuple[int, Protocol],
        family: Family | None,
        certain: Walk | None = None,
    ) -> None:
        self._applying, self._universe = applying, applying.universe
        self._port, self._family, self._certain = port, family, certain
        self._doubtful = certain is not None
        self._everything = applying.universe.everything
        self._policies: dict[int, _PolicyRules] = {}
        self._segments: dict[Segment, tuple[Effect | None, tuple[int, ...]]] = {}
        self._narrowed: dict[tuple[Segment, tuple[bool, ...]], Effect] = {}

    def rows(self, combination: Combination, groups: Sequence[int]) -> Iterator[tuple[int, tuple[int, int]]]:
        """Each of the groups with these policies, and the peers that it may talk to and may not."""
        segments = [self.segment(segment) for segment in combination.segments]
        narrowing = [sets for _, sets in segments if sets]
        if not narrowing:
            row = self._row(combination, [effect for effect, _ in segments if effect is not None])
            yield from ((group, row) for group in groups)
            return
        known: dict[object, tuple[int, int]] = {}
        for group in groups:
            key = tuple(_membership(sets, group) for sets in narrowing)
            if key not in known:
                effects = [
                    effect or self.narrowed(segment, sets, group)
                    for segment, (effect, sets) in zip(combination.segments, segments, strict=True)
                ]
                known[key] = self._row(combination, effects)
            yield group, known[key]

    def segment(self, segment: Segment) -> tuple[Effect | None, tuple[int, ...]]:
        """The effect of a segment; None and the sets of subjects that its rules tell apart, if any."""
        if self._certain is not None and not segment.open:
            return self._certain.segment(segment)
        found = self._segments.get(segment)
        if found is None:
            sets = dict.fromkeys(s for number in segment.numbers for s in self._rules(number).narrowing)
            effect = None if sets else self._of_segment(segment, 0)
            found = self._segments[segment] = (effect, tuple(sets))
        return found

    def narrowed(self, segment: Segment, sets: tuple[int, ...], group: int) -> Effect:
        """The effect of a segment whose rules tell subjects apart, for one of them."""
        if self._certain is not None and not segment.open:
            return self._certain.narrowed(segment, sets, group)
        key = (segment, _membership(sets, group))
        found = self._narrowed.get(key)
        if found is None:
            found = self._narrowed[key] = self._of_segment(segment, group)
        return found

    def _row(self, combination: Combination, effects: list[Effect]) -> tuple[int, int]:
        everything = self._everything
        if combination.hidden and (self._doubtful or self._universe.profile.hides_baseline):
            for place, segment in enumerate(combination.segments):
                if segment.tier.name == BASELINE_TIER.name:
                    open_ = Effect(allow=everything)
                    effects[place] = effects[place].beside(open_) if self._doubtful else open_
        return through(effects, everything)

    def _of_segment(self, segment: Segment, group: int) -> Effect:
        """The effect of policies one after the other, and of the end of their tier."""
        found = NOTHING
        if self._doubtful:
            policies = self._applying.policies
            by_id = {id(policies[number]): number for number in segment.numbers}
            for tied in ties([policies[number] for number in segment.numbers]):
                first, *others = (self._rules(by_id[id(policy)]).effect(group) for policy in tied)
                for other in others:
                    first = first.beside(other)
                found = found.then(first)
        else:
            for number in segment.numbers:
                found = found.then(self._rules(number).effect(group))
        return found.at_end(segment.tier.default, self._everything)

    def _rules(self, number: int) -> _PolicyRules:
        found = self._policies.get(number)
        if found is None:
            found = self._policies[number] = self._made(self._applying.rules(number))
        return found

    def _made(self, ready: Sequence[ReadyRule]) -> _PolicyRules:
        if all(each.plain and each.variant.certain for each in ready):  # most policies, so this is fast
            return _PolicyRules([], (), {(): self._plain(ready)})
        rules = [made for each in ready if (made := self._matched(each))]
        sides = (matched for _, *both in rules for side in both for matched in side)
        narrowing = dict.fromkeys(subjects for subjects, _ in sides if subjects != self._everything)
        return _PolicyRules(rules, tuple(narrowing))

    def _plain(self, ready: Sequence[ReadyRule]) -> Effect:
        """The effect of rules that look at peers and the number of the port alone."""
        found = NOTHING
        for each in ready:
            if each.covers(*self._port):
                peers = self._applying.ends(each, self._family, self._port).peers
                if peers:
                    found = found.then(first_match(each.action, peers, peers))
        return found

    def _matched(self, ready: ReadyRule) -> tuple[Action, list[Matched], list[Matched]] | None:
        """What a rule may match, and certainly matches; None if it matches nothing."""
        if not (ready.variant.used or self._doubtful):
            return None
        possible = self.matches(ready, POSSIBLE if self._doubtful and ready.open else PROFILE)
        certain = possible
        if self._doubtful and not ready.variant.certain:
            certain = []
        elif self._doubtful and ready.open:
            certain = self.matches(ready, CERTAIN)
        return (ready.action, possible, certain) if possible else None

    def matches(self, ready: ReadyRule, view: View = PROFILE) -> list[Matched]:
        """What a rule matches on this port.

        A named port is looked up on the destinations, so it narrows the peers of an egress rule and the
        subjects of an ingress rule. A name that is excluded excludes pods that match themselves, not by a
        network set around them.
        """
        covers = ready.covers(*self._port)
        if ready.plain:
            peers = self._applying.ends(ready, self._family, self._port).peers if covers else 0
            return [(self._everything, peers)] if peers else []
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


def _membership(sets: Iterable[int], group: int) -> tuple[bool, ...]:
    """In which of the sets a group is."""
    return tuple([subjects >> group & 1 == 1 for subjects in sets])


def _peers_of(matched: Iterable[Matched], group: int) -> int:
    """The peers that a rule matches for one subject."""
    bits = 0
    for subjects, peers in matched:
        if subjects >> group & 1:
            bits |= peers
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
        self._walk = Walk(applying, *self._asked)
        self.rows: list[int | None] = [None] * len(applying.universe.groups)
        self.unknown = 0
        self._members: dict[int, list[int]] = defaultdict(list)
        for index in unpack(applying.universe.pods):
            self._members[applying.combination[index]].append(index)
        for number, groups in self._members.items():
            if applying.combinations[number].segments:
                self._fill(applying.combinations[number], groups)

    def _fill(self, combination: Combination, groups: Sequence[int]) -> None:
        """The rows of the groups with the same policies."""
        if any(segment.unplaced for segment in combination.segments):
            self.unknown |= pack(groups, len(self.rows))
            for group in groups:
                self.rows[group] = 0
            return
        for group, (allowed, _) in self._walk.rows(combination, groups):
            self.rows[group] = allowed

    @cached_property
    def possible(self) -> dict[int, tuple[int, int]]:
        walk = Walk(self._applying, *self._asked, certain=self._walk)
        found: dict[int, tuple[int, int]] = {}
        for number, groups in self._members.items():
            combination = self._applying.combinations[number]
            if combination.open:
                found.update(walk.rows(combination, groups))
        return found

    def opened(self, number: int, index: int | None = None) -> list[Matched]:
        """What a policy, or one rule of it, allows on this port."""
        found: list[Matched] = []
        for ready in self._applying.rules(number):
            wanted = index is None or ready.variant.index == index
            if wanted and ready.variant.used and ready.action is Action.ALLOW:
                found += self._walk.matches(ready)
        return found
