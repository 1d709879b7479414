"""Whom each group may talk to in one direction, by all policies that apply to it: rows of bits.

Theory of operation. `model.policy` describes the walk through the tiers for one flow; here it is made once
for all peers of a group. `undecided` is the set of peers that no rule has decided yet. Each rule takes what
it matches out of it: ALLOW puts that into the row, PASS keeps it for the next tier. The end of the tier
decides what is left. Consecutive rules with the same action are one step, so that a tier of NetworkPolicies
is one union.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, groupby
from typing import TypeAlias

from netprobe.model.cluster import Cluster
from netprobe.model.flow import Family, Protocol
from netprobe.model.policy import Action, Direction, NamedPort, Rule, Tier
from netprobe.simulate.bits import unpack
from netprobe.simulate.match import opens
from netprobe.simulate.tiers import in_order
from netprobe.simulate.universe import Universe

Matched: TypeAlias = tuple[int, int]
"""Two sets of groups, (subjects, peers): what a rule matches on a port."""


@dataclass(slots=True)
class _Step:
    """Consecutive rules with one action: the peers they match for every subject, and for some subjects."""

    action: Action
    peers: int = 0
    narrowed: list[Matched] = field(default_factory=list)

    def of(self, group: int) -> int:
        """The peers that the rules match for one subject."""
        peers = self.peers
        for subjects, more in self.narrowed:
            if subjects >> group & 1:
                peers |= more
        return peers


_Walk: TypeAlias = list[tuple[Tier, list[_Step]]]


class Applying:
    """The policies of a cluster that apply to one direction, and to which groups.

    `selecting` holds for each group the policies that select it, in the order of evaluation, as indexes of
    `Cluster.policies`; `combination` holds for each group the index of these policies in `combinations`.
    What the peers of a rule match does not depend on the port, so all tables of a family share it.
    """

    def __init__(self, direction: Direction, cluster: Cluster, universe: Universe) -> None:
        self.direction = direction
        self.universe = universe
        self._policies = cluster.policies
        self._admitted: dict[tuple[int, Family | None], list[tuple[Rule, int]]] = {}
        self._tiers: dict[int, Tier] = {}
        selecting: list[list[int]] = [[] for _ in universe.groups]
        for tier, number in in_order(cluster):
            policy = cluster.policies[number]
            if policy.rules(direction) is not None:
                self._tiers[number] = tier
                for index in unpack(universe.subjects(policy)):
                    selecting[index].append(number)
        self.selecting = [tuple(numbers) for numbers in selecting]
        numbered: dict[tuple[int, ...], int] = {}
        self.combination = [numbered.setdefault(numbers, len(numbered)) for numbers in self.selecting]
        self.combinations = tuple(numbered)

    def admitted(self, number: int, family: Family | None) -> list[tuple[Rule, int]]:
        """The rules of a policy, each with the groups that its peers match."""
        found = self._admitted.get((number, family))
        if found is None:
            policy = self._policies[number]
            found = [
                (rule, self.universe.peers(rule, policy.ref.namespace, family))
                for rule in policy.rules(self.direction) or ()
            ]
            self._admitted[number, family] = found
        return found

    def tiers(self, numbers: Iterable[int]) -> Iterator[tuple[Tier, Iterator[int]]]:
        """Policies in the order of evaluation, by their tiers."""
        return groupby(numbers, key=self._tiers.__getitem__)


class DirectionRows:
    """The rows of one direction for one port in one family."""

    def __init__(self, applying: Applying, port: int, protocol: Protocol, family: Family | None) -> None:
        self._applying, self._universe = applying, applying.universe
        self._port, self._protocol, self._family = port, protocol, family
        self._steps: dict[int, list[_Step]] = {}
        self.rows = self._rows()

    def _rows(self) -> list[int | None]:
        """For each group the peers it may talk to; None if no policy applies to it."""
        rows: list[int | None] = [None] * len(self._universe.groups)
        made = [self._shared(selecting) for selecting in self._applying.combinations]
        for index in unpack(self._universe.pods):
            row, walk = made[self._applying.combination[index]]
            rows[index] = row if walk is None else self._row(walk, index)
        return rows

    def _shared(self, selecting: tuple[int, ...]) -> tuple[int | None, _Walk | None]:
        """The row of all groups with these policies; the walk instead, if the row differs between them."""
        if not selecting:
            return None, None
        walk = self._walk(selecting)
        if any(step.narrowed for _, steps in walk for step in steps):
            return None, walk
        return self._row(walk, 0), None

    def _walk(self, selecting: Sequence[int]) -> _Walk:
        """The tiers that some policies are in, with the steps of all their rules."""
        walk: _Walk = []
        for tier, numbers in self._applying.tiers(selecting):
            first, *others = map(self._steps_of, numbers)
            walk.append((tier, _joined(first, others) if others else first))
        return walk

    def _row(self, walk: _Walk, group: int) -> int:
        allowed, undecided = 0, self._universe.everything
        for tier, steps in walk:
            passed = 0
            for step in steps:
                matched = step.of(group) & undecided
                undecided &= ~matched
                if step.action is Action.ALLOW:
                    allowed |= matched
                elif step.action is Action.PASS:
                    passed |= matched
            undecided = passed if tier.default is Action.DENY else passed | undecided
        return allowed | undecided

    def _steps_of(self, number: int) -> list[_Step]:
        """The rules of a policy. Logging decides nothing."""
        found = self._steps.get(number)
        if found is None:
            found = self._steps[number] = []
            for rule, peers in self._applying.admitted(number, self._family):
                if rule.action is Action.LOG:
                    continue
                if not found or found[-1].action is not rule.action:
                    found.append(_Step(rule.action))
                self._match(rule, peers, found[-1])
        return found

    def _match(self, rule: Rule, peers: int, step: _Step) -> None:
        """Add what a rule matches on this port, given the groups that its peers match.

        A named port is looked up on the destinations, so it narrows the peers of an egress rule and the
        subjects of an ingress rule; any other entry matches for all subjects of the policy.
        """
        for entry in rule.ports:
            if not isinstance(entry, NamedPort):
                if opens(entry, self._port, self._protocol, ()):
                    step.peers |= peers
            elif entry.protocol is self._protocol:
                declaring = self._universe.declaring(entry, self._port)
                if self._applying.direction is Direction.EGRESS:
                    step.peers |= peers & declaring
                elif declaring:
                    step.narrowed.append((declaring, peers))

    def opened(self, number: int, index: int | None = None) -> list[Matched]:
        """What a policy, or one rule of it, allows on this port."""
        admitted = self._applying.admitted(number, self._family)
        found = _Step(Action.ALLOW)
        for rule, peers in admitted if index is None else admitted[index : index + 1]:
            if rule.action is Action.ALLOW:
                self._match(rule, peers, found)
        return [(self._universe.everything, found.peers), *found.narrowed]


def _joined(first: list[_Step], others: Iterable[list[_Step]]) -> list[_Step]:
    """The steps of several policies, neighbours with the same action as one."""
    found = [_Step(step.action, step.peers, [*step.narrowed]) for step in first]
    for step in chain.from_iterable(others):
        if found and found[-1].action is step.action:
            found[-1].peers |= step.peers
            found[-1].narrowed += step.narrowed
        else:
            found.append(_Step(step.action, step.peers, [*step.narrowed]))
    return found
