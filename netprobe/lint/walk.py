"""What decides the flows of groups of pods, tier by tier, with the rule that does it.

`simulate.rows` adds up what all rules decide; here each rule is kept separate, for one group and one
direction. All groups that the same policies select get the same answer, so one of them is enough.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from netprobe.lint.located import LocatedRule
from netprobe.model.flow import Family, PodRef
from netprobe.model.policy import NETWORK_POLICY, Action, Direction, Policy, Tier
from netprobe.simulate import Evaluation
from netprobe.simulate.applying import Combination, ReadyRule
from netprobe.simulate.bits import pack, unpack
from netprobe.simulate.compared import PortNumber, Ports
from netprobe.simulate.rows import Matched, Walk


@dataclass(frozen=True, slots=True)
class Step:
    """One rule, or the end of a tier (`rule` None), and the peers whose flows it decides, as bits.

    For the end of a tier, `policy` is the first one of the tier that applies.
    """

    tier: Tier
    policy: Policy
    rule: int | None
    action: Action
    peers: int

    def located(self, direction: Direction) -> LocatedRule | None:
        rules = self.policy.rules(direction) or ()
        return None if self.rule is None else LocatedRule(self.policy, direction, self.rule, rules[self.rule])

    def described(self, direction: Direction) -> tuple[str, str]:
        """ "this Deny", or that the end of a tier denies, and the path of it."""
        located = self.located(direction)
        if located is None:
            return f"the end of the tier {self.tier.name}, which denies,", "spec.tier"
        return f"this {located.action}", located.path


@dataclass(frozen=True, slots=True)
class Subjects:
    """Groups that the same policies apply to in one direction. Only the first one is examined."""

    direction: Direction
    combination: Combination
    groups: tuple[int, ...]
    policies: tuple[Policy, ...]

    @property
    def mixed(self) -> bool:
        """Whether NetworkPolicies apply, and policies of other kinds too."""
        return len({policy.kind == NETWORK_POLICY for policy in self.policies}) == 2


def destinations(evaluation: Evaluation, ports: Ports) -> dict[PortNumber, int]:
    """The groups that are compared as destinations on each port, as bits."""
    found: dict[PortNumber, list[int]] = {}
    for group in evaluation.groups:
        first = group.members[0]
        for port in ports.of(first) if isinstance(first, PodRef) else ports.outside:
            found.setdefault(port, []).append(group.index)
    return {port: pack(groups, len(evaluation.groups)) for port, groups in found.items()}


class Walks:
    """The walks through the tiers of an evaluation."""

    def __init__(self, evaluation: Evaluation, ports: Ports) -> None:
        self.evaluation = evaluation
        self.destinations = destinations(evaluation, ports)
        hosts = (group.index for group in evaluation.groups if group.sample.host is not None)
        self._hosts = pack(hosts, len(evaluation.groups))
        self._walks: dict[tuple[Direction, PortNumber, Family | None], Walk] = {}
        self._matched: dict[tuple[int, int, int], list[Matched]] = {}

    @property
    def families(self) -> tuple[Family | None, ...]:
        return self.evaluation.families or (None,)

    def subjects(self, direction: Direction) -> Iterator[Subjects]:
        """The pods that policies of other kinds than NetworkPolicy apply to, and whose tiers have places."""
        applying = self.evaluation.applying[direction]
        for combination in applying.combinations:
            policies = tuple(applying.policies[n] for each in combination.segments for n in each.numbers)
            others = any(policy.kind != NETWORK_POLICY for policy in policies)
            if others and combination.groups and not combination.unplaced:
                yield Subjects(direction, combination, tuple(combination.groups), policies)

    def ports(self, subjects: Subjects) -> list[PortNumber]:
        """The ports of the destinations of their flows."""
        ends = self.evaluation.universe.everything
        if subjects.direction is Direction.INGRESS:
            ends = pack(subjects.groups, len(self.evaluation.groups))
        found = (port for port, groups in self.destinations.items() if groups & ends)
        return sorted(found, key=lambda port: (port[1].value, port[0]))

    def others(self, subjects: Subjects, port: PortNumber) -> int:
        """The peers of flows on a port that are compared, as bits; nodes and the pod itself are not."""
        first = self.evaluation.groups[subjects.groups[0]]
        alone = 0 if first.size > 1 else 1 << first.index
        compared = self.destinations.get(port, 0)
        if subjects.direction is Direction.INGRESS:
            compared = self.evaluation.universe.everything if compared >> first.index & 1 else 0
        return compared & ~alone & ~self._hosts

    def allowed(
        self, subjects: Subjects, policies: Iterable[Policy], port: PortNumber, family: Family | None
    ) -> int:
        """The peers that these policies allow for the first of the groups, whatever comes before them."""
        wanted = {policy.ref for policy in policies}
        applying = self.evaluation.applying[subjects.direction]
        walk, found = self._walk(subjects.direction, port, family), 0
        for segment in subjects.combination.segments:
            for number in segment.numbers:
                if applying.policies[number].ref in wanted:
                    for ready in applying.rules(number):
                        found |= self._peers(walk, number, ready, subjects.groups[0])
        return found

    def _walk(self, direction: Direction, port: PortNumber, family: Family | None) -> Walk:
        key = direction, port, family
        if key not in self._walks:
            self._walks[key] = Walk(self.evaluation.applying[direction], port, family)
        return self._walks[key]

    def steps(self, subjects: Subjects, port: PortNumber, family: Family | None) -> Iterator[Step]:
        """Every rule and end of a tier that decides something for the first of these groups, in order."""
        group, direction = subjects.groups[0], subjects.direction
        applying = self.evaluation.applying[direction]
        walk = self._walk(direction, port, family)
        arriving = self.evaluation.universe.everything
        for segment in subjects.combination.segments:
            left, passed = arriving, 0
            for number in segment.numbers:
                for ready in applying.rules(number):
                    peers = self._peers(walk, number, ready, group) & left if ready.variant.used else 0
                    if peers:
                        left &= ~peers
                        passed |= peers if ready.action is Action.PASS else 0
                        yield Step(segment.tier, ready.policy, ready.variant.index, ready.action, peers)
            if left:
                first = applying.policies[segment.numbers[0]]
                yield Step(segment.tier, first, None, segment.tier.default, left)
                passed |= left if segment.tier.default is Action.PASS else 0
            arriving = passed

    def _peers(self, walk: Walk, number: int, ready: ReadyRule, group: int) -> int:
        key = (id(walk), number, id(ready))
        if key not in self._matched:
            self._matched[key] = walk.matches(ready)
        found = 0
        for subjects, peers in self._matched[key]:
            if subjects >> group & 1:
                found |= peers
        return found

    def name(self, subjects: Subjects, peers: int, port: PortNumber) -> str:
        """A sample: "monitoring/prom -> shop/web on 9090/TCP"."""
        groups = self.evaluation.groups
        own = groups[subjects.groups[0]].members
        other = groups[next(unpack(peers))].members
        peer = next((one for one in other if one != own[0]), other[0])
        ends = (peer, own[0]) if subjects.direction is Direction.INGRESS else (own[0], peer)
        number, protocol = port
        return f"{ends[0]} -> {ends[1]} on {number}/{protocol.value}"
