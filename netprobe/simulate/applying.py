"""Which policies apply to each group in one direction, and the rules of these, made ready for all ports."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import groupby
from typing import NamedTuple

from netprobe.model.cluster import Cluster
from netprobe.model.flow import Family, Protocol
from netprobe.model.policy import (
    ANY_PEER,
    BASELINE_TIER,
    NETWORK_POLICY,
    PRIORITY_KINDS,
    Action,
    AllPeers,
    AnyPort,
    Direction,
    NamedPort,
    NotPeer,
    Peer,
    Policy,
    PortRange,
    ServicePeer,
    Tier,
)
from netprobe.simulate.doubt import PROFILE, Variant, View, doubts_of, is_ordinary, variants
from netprobe.simulate.peers import sees_sets
from netprobe.simulate.tiers import in_order, ties, unplaced
from netprobe.simulate.universe import Universe


@dataclass(frozen=True, slots=True, eq=False)
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


class Ends(NamedTuple):
    """The groups that the peers of a rule match, and its own end; `named`: for a port looked up by name."""

    peers: int
    own: int
    named_peers: int
    named_own: int


@dataclass(slots=True, eq=False)
class ReadyRule:
    """A rule as an implementation applies it.

    `numbers`: protocol, first and last port of its entries with numbers; None: every port. `named`: its other
    entries. `plain`: whether it matches depends on the peer and the port's number alone. `open`: the APIs
    leave open what it matches.
    """

    policy: Policy
    variant: Variant
    numbers: tuple[tuple[Protocol, int, int], ...] | None
    named: tuple[NamedPort, ...] = ()
    plain: bool = True
    open: bool = False
    asks_port: bool = False
    ends: dict[tuple[object, ...], Ends] = field(default_factory=dict)

    @property
    def action(self) -> Action:
        return self.variant.rule.action

    def covers(self, port: int, protocol: Protocol) -> bool:
        """Whether it matches a port by its number."""
        if self.numbers is None:
            return True
        for own, first, last in self.numbers:  # noqa: SIM110 (a generator is slower, and this runs often)
            if own is protocol and first <= port <= last:
                return True
        return False


class Applying:
    """The policies of a cluster that apply to one direction, and to which groups.

    `combination` holds for each group the index of its policies in `combinations`. What the peers of a rule
    match mostly does not depend on the port, so all tables of a family share it.
    """

    def __init__(self, direction: Direction, cluster: Cluster, universe: Universe) -> None:
        self.direction = direction
        self.universe = universe
        self.policies = cluster.policies
        self._rules: dict[int, list[ReadyRule]] = {}
        self._unplaced = unplaced(cluster)
        self._segments: dict[tuple[int, ...], Segment] = {}
        found: list[list[Segment]] = [[] for _ in universe.groups]
        for tier, ordered in groupby(in_order(cluster, universe.profile), key=lambda item: item[0]):
            selecting: dict[int, list[int]] = defaultdict(list)
            for _, number in ordered:
                if cluster.policies[number].rules(direction) is not None:
                    for index in universe.members(cluster.policies[number]):
                        selecting[index].append(number)
            for index, numbers in selecting.items():
                found[index].append(self._segment(tier, tuple(numbers)))
        hidden = self._hidden() if any(self._is_baseline(s) for s in self._segments.values()) else 0
        numbered: dict[tuple[tuple[Segment, ...], bool], int] = {}
        self.combination = []
        self.combinations: list[Combination] = []
        for index, segments in enumerate(found):
            hides = bool(hidden >> index & 1) and any(map(self._is_baseline, segments))
            key = (tuple(segments), hides)
            if key not in numbered:
                numbered[key] = len(self.combinations)
                self.combinations.append(Combination(*key))
            self.combination.append(numbered[key])

    @staticmethod
    def _is_baseline(segment: Segment) -> bool:
        return segment.tier.name == BASELINE_TIER.name

    def _hidden(self) -> int:
        """The groups that a NetworkPolicy applies to, but none in this direction."""
        either_way = this_way = 0
        for policy in self.policies:
            if policy.kind == NETWORK_POLICY:
                groups = self.universe.subjects(policy)
                either_way |= groups
                this_way |= groups if policy.rules(self.direction) is not None else 0
        return either_way & ~this_way

    def _segment(self, tier: Tier, numbers: tuple[int, ...]) -> Segment:
        found = self._segments.get(numbers)
        if found is None:
            is_open = any(map(self._is_open, numbers)) or self._has_ties(numbers)
            found = Segment(tier, numbers, is_open, tier.name in self._unplaced)
            self._segments[numbers] = found
        return found

    def _is_open(self, number: int) -> bool:
        if self.policies[number].kind == NETWORK_POLICY:
            return False
        return any(rule.open or not rule.variant.certain for rule in self.rules(number))

    def _has_ties(self, numbers: tuple[int, ...]) -> bool:
        policies = [self.policies[number] for number in numbers]
        return any(policy.kind in PRIORITY_KINDS for policy in policies) and any(
            len(tied) > 1 for tied in ties(policies)
        )

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

    def rules(self, number: int) -> list[ReadyRule]:
        """The rules of a policy that decide something, as implementations apply them."""
        found = self._rules.get(number)
        if found is None:
            policy = self.policies[number]
            every = variants(policy.rules(self.direction) or (), self.universe.profile)
            decisive = (variant for variant in every if variant.rule.action is not Action.LOG)
            found = self._rules[number] = [self._ready(policy, variant) for variant in decisive]
        return found

    def _ready(self, policy: Policy, variant: Variant) -> ReadyRule:
        rule = variant.rule
        numbers = [(e.protocol, e.first, e.last) for e in rule.ports if isinstance(e, PortRange)]
        every = any(isinstance(entry, AnyPort) for entry in rule.ports)
        ready = ReadyRule(policy, variant, None if every else tuple(numbers))
        if every or len(numbers) < len(rule.ports):
            ready.named = tuple(entry for entry in rule.ports if isinstance(entry, NamedPort))
        if not is_ordinary(rule):
            ready.open = bool(doubts_of(rule, self.universe.profile))
            ready.asks_port = any(map(_asks_port, (*rule.peers, rule.own)))
        ready.plain = (
            not (ready.named or rule.not_ports or ready.open or ready.asks_port) and rule.own is ANY_PEER[0]
        )
        return ready

    def ends(
        self, ready: ReadyRule, family: Family | None, port: tuple[int, Protocol], view: View = PROFILE
    ) -> Ends:
        """The groups that the peers and the own end of a rule match."""
        key = (family, view.extent, port if ready.asks_port else None)
        found = ready.ends.get(key)
        if found is None:
            found = ready.ends[key] = self._ends(ready, family, port, view)
        return found

    def _ends(self, ready: ReadyRule, family: Family | None, port: tuple[int, Protocol], view: View) -> Ends:
        rule, universe = ready.variant.rule, self.universe
        if ready.plain:
            namespace = ready.policy.ref.namespace
            peers = _union(universe.matched(peer, namespace, family) for peer in rule.peers)
            return Ends(peers, universe.everything, peers, universe.everything)
        where = (ready.policy.ref.namespace, family, port)
        peers = _union(universe.matched(peer, *where, view=view) for peer in rule.peers)
        own = universe.matched(rule.own, *where, view=view)
        named_peers, named_own = peers, own
        if self.direction is Direction.EGRESS and any(map(sees_sets, rule.peers)):
            named_peers = _union(
                universe.matched(peer, *where, by_name=True, view=view) for peer in rule.peers
            )
        elif self.direction is Direction.INGRESS and sees_sets(rule.own):
            named_own = universe.matched(rule.own, *where, by_name=True, view=view)
        return Ends(peers, own, named_peers, named_own)


def _union(sets: Iterable[int]) -> int:
    bits = 0
    for each in sets:
        bits |= each
    return bits


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
