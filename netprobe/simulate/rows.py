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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import NamedTuple, TypeAlias

from netprobe.model.cluster import Cluster
from netprobe.model.flow import Family, Protocol
from netprobe.model.policy import (
    BASELINE_TIER,
    NETWORK_POLICY,
    Action,
    AllPeers,
    Direction,
    NamedPort,
    NotPeer,
    Peer,
    Policy,
    Rule,
    ServicePeer,
    Tier,
)
from netprobe.simulate.bits import pack, unpack
from netprobe.simulate.doubt import CERTAIN, POSSIBLE, PROFILE, Variant, View, doubts_of, variants
from netprobe.simulate.effect import NOTHING, Effect, first_match, through
from netprobe.simulate.match import from_client, opens
from netprobe.simulate.peers import sees_sets
from netprobe.simulate.tiers import in_order, ties, unplaced
from netprobe.simulate.universe import Universe

Matched: TypeAlias = tuple[int, int]
"""Two sets of groups, (subjects, peers): what a rule matches on a port."""


class Ends(NamedTuple):
    """The groups that the peers of a rule match, and its own end; `named`: for a port looked up by name."""

    peers: int
    own: int
    named_peers: int
    named_own: int


@dataclass(frozen=True, slots=True)
class Segment:
    """Policies of one tier, in their order, as indexes of `Cluster.policies`; they select the same groups.

    `open`: the APIs leave open what they decide. `unplaced`: the place of the tier is not known.
    """

    tier: Tier
    numbers: tuple[int, ...]
    open: bool
    unplaced: bool


@dataclass(frozen=True, slots=True)
class Combination:
    """All policies that apply to a group in one direction.

    `hidden`: there is a segment of the Baseline tier, and a NetworkPolicy that applies to the group, but none
    in this direction.
    """

    segments: tuple[Segment, ...]
    hidden: bool

    @property
    def open(self) -> bool:
        return self.hidden or any(segment.open for segment in self.segments)


class Applying:
    """The policies of a cluster that apply to one direction, and to which groups.

    `combination` holds for each group the index of its policies in `combinations`. What the peers of a rule
    match mostly does not depend on the port, so all tables of a family share it.
    """

    def __init__(self, direction: Direction, cluster: Cluster, universe: Universe) -> None:
        self.direction = direction
        self.universe = universe
        self.policies = cluster.policies
        self._admitted: dict[tuple[object, ...], Ends] = {}
        self._variants: dict[int, tuple[Variant, ...]] = {}
        self._unplaced = unplaced(cluster)
        self._segments: dict[tuple[int, ...], Segment] = {}
        found: list[list[Segment]] = [[] for _ in universe.groups]
        subjects: dict[int, int] = {}
        for tier, ordered in groupby(in_order(cluster, universe.profile), key=lambda item: item[0]):
            selecting: dict[int, list[int]] = defaultdict(list)
            for _, number in ordered:
                subjects[number] = universe.subjects(cluster.policies[number])
                if cluster.policies[number].rules(direction) is not None:
                    for index in unpack(subjects[number]):
                        selecting[index].append(number)
            for index, numbers in selecting.items():
                found[index].append(self._segment(tier, tuple(numbers)))
        hidden = self._hidden(subjects)
        numbered: dict[tuple[tuple[int, ...], bool], int] = {}
        self.combination = []
        self.combinations: list[Combination] = []
        for index, segments in enumerate(found):
            hides = bool(hidden >> index & 1) and any(s.tier.name == BASELINE_TIER.name for s in segments)
            key = (tuple(map(id, segments)), hides)
            if key not in numbered:
                numbered[key] = len(self.combinations)
                self.combinations.append(Combination(tuple(segments), hides))
            self.combination.append(numbered[key])

    def _hidden(self, subjects: Mapping[int, int]) -> int:
        """The groups that a NetworkPolicy applies to, but none in this direction."""
        either_way = this_way = 0
        for number, groups in subjects.items():
            policy = self.policies[number]
            if policy.kind == NETWORK_POLICY:
                either_way |= groups
                if policy.rules(self.direction) is not None:
                    this_way |= groups
        return either_way & ~this_way

    def _segment(self, tier: Tier, numbers: tuple[int, ...]) -> Segment:
        found = self._segments.get(numbers)
        if found is None:
            policies = [self.policies[number] for number in numbers]
            is_open = any(map(self._is_open, numbers)) or any(len(tied) > 1 for tied in ties(policies))
            found = Segment(tier, numbers, is_open, tier.name in self._unplaced)
            self._segments[numbers] = found
        return found

    def selects(self, group: int) -> bool:
        """Whether any policy applies to a group."""
        return bool(self.combinations[self.combination[group]].segments)

    @property
    def selecting(self) -> list[tuple[int, ...]]:
        """For each group the policies that select it, in the order of evaluation."""
        each = [
            tuple(number for segment in combination.segments for number in segment.numbers)
            for combination in self.combinations
        ]
        return [each[index] for index in self.combination]

    def _is_open(self, number: int) -> bool:
        return any(
            not variant.certain or doubts_of(variant.rule, self.universe.profile)
            for variant in self.variants(number)
        )

    def variants(self, number: int) -> tuple[Variant, ...]:
        """The rules of a policy, as implementations apply them."""
        found = self._variants.get(number)
        if found is None:
            rules = self.policies[number].rules(self.direction) or ()
            found = self._variants[number] = variants(rules, self.universe.profile)
        return found

    def admitted(
        self, number: int, variant: Variant, family: Family | None, port: tuple[int, Protocol], view: View
    ) -> Ends:
        """The groups that the peers and the own end of a rule match."""
        rule = variant.rule
        asks_port = any(map(_asks_port, (*rule.peers, rule.own)))
        key = (number, variant.index, variant.used, family, view.extent, port if asks_port else None)
        found = self._admitted.get(key)
        if found is None:
            found = self._admitted[key] = self._ends(self.policies[number], rule, family, port, view)
        return found

    def _ends(
        self, policy: Policy, rule: Rule, family: Family | None, port: tuple[int, Protocol], view: View
    ) -> Ends:
        where, universe = (policy.ref.namespace, family, port), self.universe
        peers = 0
        for peer in rule.peers:
            peers |= universe.matched(peer, *where, view=view)
        own = universe.matched(rule.own, *where, view=view)
        named_peers, named_own = peers, own
        if self.direction is Direction.EGRESS and any(map(sees_sets, rule.peers)):
            named_peers = 0
            for peer in rule.peers:
                named_peers |= universe.matched(peer, *where, by_name=True, view=view)
        elif self.direction is Direction.INGRESS and sees_sets(rule.own):
            named_own = universe.matched(rule.own, *where, by_name=True, view=view)
        return Ends(peers, own, named_peers, named_own)


def _asks_port(peer: Peer) -> bool:
    """Whether what a peer matches depends on the port."""
    match peer:
        case ServicePeer(on_ports=True):
            return True
        case AllPeers(peers):
            return any(map(_asks_port, peers))
        case NotPeer(negated):
            return _asks_port(negated)
        case _:
            return False


@dataclass(slots=True)
class _PolicyRules:
    """The rules of a policy on one port: what they may match and certainly match.

    `narrowing`: the sets of subjects that rules tell apart. `effects`: those already made, by the subject's
    membership in these sets.
    """

    rules: list[tuple[Action, list[Matched], list[Matched]]]
    narrowing: tuple[int, ...] = ()
    effects: dict[tuple[int, ...], Effect] = field(default_factory=dict)


class _Walk:
    """The effects of policies on one port in one family, with one treatment of what is open."""

    def __init__(
        self, applying: Applying, port: tuple[int, Protocol], family: Family | None, *, doubtful: bool
    ) -> None:
        self._applying, self._universe = applying, applying.universe
        self._port, self._family, self._doubtful = port, family, doubtful
        self._policies: dict[int, _PolicyRules] = {}
        self._narrowing: dict[int, tuple[int, ...]] = {}
        self._segments: dict[tuple[int, tuple[int, ...]], Effect] = {}

    def rows(self, combination: Combination, groups: Sequence[int]) -> Iterator[tuple[int, int]]:
        """For each of the groups with these policies, the peers that it may talk to and may not."""
        narrowing = [self._narrowed(segment) for segment in combination.segments]
        known: dict[object, tuple[int, int]] = {}
        for group in groups:
            key = tuple(_membership(sets, group) for sets in narrowing) if any(narrowing) else None
            row = known.get(key)
            if row is None:
                row = through(self._effects(combination, group), self._universe.everything)
                known[key] = row
            yield row

    def _narrowed(self, segment: Segment) -> tuple[int, ...]:
        """The sets of subjects that the rules of a segment tell apart."""
        found = self._narrowing.get(id(segment))
        if found is None:
            sets = dict.fromkeys(s for number in segment.numbers for s in self._rules(number).narrowing)
            found = self._narrowing[id(segment)] = tuple(sets)
        return found

    def _effects(self, combination: Combination, group: int) -> Iterator[Effect]:
        for segment in combination.segments:
            key = (id(segment), _membership(self._narrowed(segment), group))
            effect = self._segments.get(key)
            if effect is None:
                effect = self._segments[key] = self._of_segment(segment, group)
            if combination.hidden and segment.tier.name == BASELINE_TIER.name:
                if self._doubtful:
                    effect = effect.beside(Effect(allow=self._universe.everything))
                elif self._universe.profile.hides_baseline:
                    effect = Effect(allow=self._universe.everything)
            yield effect

    def _of_segment(self, segment: Segment, group: int) -> Effect:
        """The effect of policies one after the other, and of the end of their tier."""
        found = NOTHING
        for tied in self._tied(segment.numbers):
            own = [self._of_policy(number, group) for number in tied]
            found = found.then(own[0] if len(own) == 1 else _beside(own))
        return found.at_end(segment.tier.default, self._universe.everything)

    def _tied(self, numbers: Sequence[int]) -> Iterable[Sequence[int]]:
        if not self._doubtful:
            return ((number,) for number in numbers)
        policies = self._applying.policies
        by_id = {id(policies[number]): number for number in numbers}
        return ([by_id[id(p)] for p in tied] for tied in ties([policies[number] for number in numbers]))

    def _of_policy(self, number: int, group: int) -> Effect:
        rules = self._rules(number)
        membership = _membership(rules.narrowing, group)
        found = rules.effects.get(membership)
        if found is None:
            found = NOTHING
            for action, possible, certain in rules.rules:
                peers = _peers_of(possible, group)
                sure = peers if certain is possible else _peers_of(certain, group)
                found = found.then(first_match(action, peers, sure))
            rules.effects[membership] = found
        return found

    def _rules(self, number: int) -> _PolicyRules:
        found = self._policies.get(number)
        if found is None:
            rules = list(self._matched(number))
            everything = self._universe.everything
            narrowing = {
                subjects: None
                for _, *sides in rules
                for matched in sides
                for subjects, _ in matched
                if subjects != everything
            }
            found = self._policies[number] = _PolicyRules(rules, tuple(narrowing))
        return found

    def _matched(self, number: int) -> Iterator[tuple[Action, list[Matched], list[Matched]]]:
        """The rules of a policy that decide something. Logging decides nothing."""
        for variant in self._applying.variants(number):
            if variant.rule.action is Action.LOG or not (variant.used or self._doubtful):
                continue
            possible = self.matches(number, variant, POSSIBLE if self._doubtful else PROFILE)
            certain = possible
            if not self._doubtful:
                pass
            elif not variant.certain:
                certain = []
            elif doubts_of(variant.rule, self._universe.profile):
                certain = self.matches(number, variant, CERTAIN)
            if possible:
                yield variant.rule.action, possible, certain

    def matches(self, number: int, variant: Variant, view: View) -> list[Matched]:
        """What a rule matches on this port.

        A named port is looked up on the destinations, so it narrows the peers of an egress rule and the
        subjects of an ingress rule.
        """
        rule, (port, protocol) = variant.rule, self._port
        some, every = from_client(rule.source_ports, protocol)
        if not (some if view.extent else every):
            return []
        if any(opens(entry, port, protocol, ()) for entry in rule.not_ports):
            return []
        everything = self._universe.everything
        destinations = everything & ~self._declaring(rule.not_ports)
        named = self._declaring(rule.ports) & destinations
        if not any(opens(entry, port, protocol, ()) for entry in rule.ports):
            destinations = 0
        if not (destinations or named):
            return []
        ends = self._applying.admitted(number, variant, self._family, self._port, view)
        if self._applying.direction is Direction.EGRESS:
            found = [(ends.own, ends.peers & destinations | ends.named_peers & named)]
        else:
            found = [(ends.own & destinations, ends.peers), (ends.named_own & named, ends.peers)]
        return [(subjects, peers) for subjects, peers in found if subjects and peers]

    def _declaring(self, ports: Iterable[object]) -> int:
        """The groups that have this port by one of the names."""
        bits = 0
        for entry in ports:
            if isinstance(entry, NamedPort):
                bits |= self._universe.declaring(entry, *self._port)
        return bits


def _membership(sets: tuple[int, ...], group: int) -> tuple[int, ...]:
    return tuple(subjects >> group & 1 for subjects in sets)


def _peers_of(matched: Iterable[Matched], group: int) -> int:
    """The peers that a rule matches for one subject."""
    bits = 0
    for subjects, peers in matched:
        if subjects >> group & 1:
            bits |= peers
    return bits


def _beside(effects: Sequence[Effect]) -> Effect:
    found = effects[0]
    for effect in effects[1:]:
        found = found.beside(effect)
    return found


class DirectionRows:
    """The rows of one direction for one port in one family.

    `rows`: for each group the peers that it may talk to; None if no policy applies to it.
    `possible`: for groups of which the APIs leave something open, the peers that the group may and may not
    talk to in some implementation. `unknown`: the groups that a tier decides whose place is not known.
    """

    def __init__(self, applying: Applying, port: int, protocol: Protocol, family: Family | None) -> None:
        self._applying, self._universe = applying, applying.universe
        self._walk = _Walk(applying, (port, protocol), family, doubtful=False)
        self._doubtful = _Walk(applying, (port, protocol), family, doubtful=True)
        self.rows: list[int | None] = [None] * len(self._universe.groups)
        self.possible: dict[int, tuple[int, int]] = {}
        self.unknown = 0
        members: dict[int, list[int]] = defaultdict(list)
        for index in unpack(self._universe.pods):
            members[applying.combination[index]].append(index)
        for number, groups in members.items():
            if applying.combinations[number].segments:
                self._fill(applying.combinations[number], groups)

    def _fill(self, combination: Combination, groups: Sequence[int]) -> None:
        """The rows of the groups with the same policies."""
        if any(segment.unplaced for segment in combination.segments):
            self.unknown |= pack(groups, len(self.rows))
            self.rows = [0 if index in set(groups) else row for index, row in enumerate(self.rows)]
            return
        for group, (allowed, _) in zip(groups, self._walk.rows(combination, groups), strict=True):
            self.rows[group] = allowed
        if combination.open:
            self.possible.update(zip(groups, self._doubtful.rows(combination, groups), strict=True))

    def opened(self, number: int, index: int | None = None) -> list[Matched]:
        """What a policy, or one rule of it, allows on this port."""
        found: list[Matched] = []
        for variant in self._applying.variants(number):
            wanted = index is None or variant.index == index
            if wanted and variant.used and variant.rule.action is Action.ALLOW:
                found += self._walk.matches(number, variant, PROFILE)
        return found
