"""Which policies apply to each group in one direction, and the rules of these, made ready for all ports."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain, groupby, islice
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
from netprobe.simulate.doubt import PROFILE, Variant, View, variants
from netprobe.simulate.peers import sees_sets
from netprobe.simulate.tiers import ties, unplaced
from netprobe.simulate.universe import Universe


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
    entries. `plain`: whether it matches depends on the peer and the port's number alone.
    `asks_port`: what its peers match depends on the port. `ends`: what they match, as far as it was asked.
    """

    policy: Policy
    variant: Variant
    numbers: tuple[tuple[Protocol, int, int], ...] | None
    named: tuple[NamedPort, ...] = ()
    plain: bool = True
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


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """Policies of one tier, in their order, as indexes of `Cluster.policies`; they select the same groups.

    `rules` are those of all of them. `tied`: if of some policies any may come first, the rules once more:
    for each place in the order the policies that may have it, each with its rules.
    `open`: the APIs leave open what they decide. `unplaced`: the place of the tier is not known.
    """

    tier: Tier
    numbers: tuple[int, ...]
    rules: tuple[ReadyRule, ...]
    tied: tuple[tuple[Sequence[ReadyRule], ...], ...]
    open: bool
    unplaced: bool


@dataclass(frozen=True, slots=True)
class Combination:
    """All policies that apply to the pods of some groups in one direction.

    `hidden`: there is a segment of the Baseline tier, and a NetworkPolicy that applies to the groups, but
    none in this direction. `groups` of pods on their node's network are left out: policies decide nothing
    for them.
    """

    segments: tuple[Segment, ...]
    hidden: bool
    groups: list[int] = field(default_factory=list, compare=False)

    @property
    def open(self) -> bool:
        return self.hidden or any(segment.open for segment in self.segments)

    @property
    def unplaced(self) -> bool:
        return any(segment.unplaced for segment in self.segments)


class Applying:
    """The policies of a cluster that apply to one direction, and to which groups.

    `of_group` holds for each group the one of `combinations` that applies to it. What the peers of a rule
    match mostly does not depend on the port, so all tables of a family share it.
    """

    def __init__(
        self,
        direction: Direction,
        cluster: Cluster,
        universe: Universe,
        order: Sequence[tuple[Tier, int]],
    ) -> None:
        """`order` is that of `in_order`."""
        self.direction = direction
        self.universe = universe
        self.policies = cluster.policies
        self._rules: dict[int, list[ReadyRule]] = {}
        self._unplaced = unplaced(cluster)
        self._segments: dict[tuple[int, ...], Segment] = {}
        found: list[list[Segment]] = [[] for _ in universe.groups]
        for tier, ordered in groupby(order, key=lambda item: item[0]):
            selecting: dict[int, list[int]] = defaultdict(list)
            for _, number in ordered:
                if cluster.policies[number].rules(direction) is not None:
                    for index in universe.members(cluster.policies[number]):
                        selecting[index].append(number)
            for index, numbers in selecting.items():
                found[index].append(self._segment(tier, tuple(numbers)))
        baseline = {id(s) for s in self._segments.values() if s.tier.name == BASELINE_TIER.name}
        hidden = self._hidden() if baseline else 0
        known: dict[tuple[tuple[Segment, ...], bool], Combination] = {}
        self.of_group: list[Combination] = []
        for index, segments in enumerate(found):
            hides = hidden >> index & 1 == 1 and any(id(segment) in baseline for segment in segments)
            key = (tuple(segments), hides)
            combination = known.get(key)
            if combination is None:
                combination = known[key] = Combination(*key)
            self.of_group.append(combination)
            if universe.groups[index].sample.pod is not None:
                combination.groups.append(index)
        self.combinations = list(known.values())

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
            rules = tuple(chain.from_iterable(map(self.rules, numbers)))
            tied = self._tied(numbers)
            is_open = bool(tied) or any(rule.variant.open or rule.variant.doubt for rule in rules)
            found = Segment(tier, numbers, rules, tied, is_open, tier.name in self._unplaced)
            self._segments[numbers] = found
        return found

    def _tied(self, numbers: tuple[int, ...]) -> tuple[tuple[Sequence[ReadyRule], ...], ...]:
        policies = [self.policies[number] for number in numbers]
        if not any(policy.kind in PRIORITY_KINDS for policy in policies):
            return ()
        rules = map(self.rules, numbers)
        found = tuple(tuple(islice(rules, len(tied))) for tied in ties(policies))
        return found if len(found) < len(numbers) else ()

    def selects(self, group: int) -> bool:
        """Whether any policy applies to a group."""
        return bool(self.of_group[group].segments)

    @property
    def ready(self) -> list[ReadyRule]:
        """The rules of all policies that apply to some group."""
        return list(chain.from_iterable(self._rules.values()))

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
        numbers = tuple([(e.protocol, e.first, e.last) for e in rule.ports if isinstance(e, PortRange)])
        named = tuple([entry for entry in rule.ports if isinstance(entry, NamedPort)])
        ready = ReadyRule(policy, variant, None if AnyPort() in rule.ports else numbers, named)
        ready.asks_port = not variant.ordinary and any(map(_asks_port, (*rule.peers, rule.own)))
        ready.plain = (
            not (named or rule.not_ports or variant.open or variant.doubt or ready.asks_port)
            and rule.own is ANY_PEER[0]
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
        if any(map(sees_sets, (*rule.peers, rule.own))):
            named_peers = _union(
                universe.matched(peer, *where, by_name=True, view=view) for peer in rule.peers
            )
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
