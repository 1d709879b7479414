"""Policies and rules that could be removed without any effect, if a revision touches them.

Judged by the pods and addresses that exist, on every port; in another cluster they may be needed. `netprobe
lint` knows what is redundant everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from netprobe.impact.difference import States
from netprobe.model.policy import Direction, NamedPort, Policy, PolicyRef, Rule
from netprobe.simulate import Evaluation, Table
from netprobe.simulate.bits import unpack
from netprobe.simulate.compared import representatives

NO_POD = "it selects no pod"
OTHER_POLICIES = "other policies do all that it does"
NO_PEER = "its peers match nobody"
NO_PORT = "no pod that it applies to has a port of that name"
OTHER_RULES = "other rules allow all that it allows"
UNDECLARED = "no flow that the declaration allows needs it"


@dataclass(frozen=True, slots=True)
class Unneeded:
    """A policy, or one rule of it (`rule` counts from 0), and why it could be removed."""

    policy: PolicyRef
    reason: str
    direction: Direction | None = None
    rule: int | None = None

    def __str__(self) -> str:
        where = f" {self.direction.value} rule {self.rule}" if self.direction is not None else ""
        return f"{self.policy}{where}: {self.reason}"


def unneeded(states: States) -> Iterator[Unneeded]:
    """What could be removed afterwards: of the policies that change, and of those that became unneeded."""
    changed = states.revision.policies
    touched = 0
    for evaluation in (states.before, states.after):
        for policy in evaluation.cluster.policies:
            if policy.ref in changed:
                touched |= evaluation.universe.subjects(policy)
    policies = states.after.cluster.policies
    others = [
        p
        for p in policies
        if p.ref not in changed and states.after.universe.subjects(p) & touched & states.pods
    ]
    after = _Judge(states, states.after)
    found = [one for p in policies if p.ref in changed for one in after.judge(p)]
    became = [one for p in others for one in after.judge(p)]
    if became:
        suspects = {one.policy for one in became}
        before = _Judge(states, states.before)
        known = {one for p in states.before.cluster.policies if p.ref in suspects for one in before.judge(p)}
        became = [one for one in became if one not in known]
    yield from (*found, *became)


class _Judge:
    """One of the states. A rule is a set of peers for each subject, on each class of ports."""

    def __init__(self, states: States, evaluation: Evaluation) -> None:
        self._states, self._evaluation = states, evaluation
        self._numbers = {policy.ref: number for number, policy in enumerate(evaluation.cluster.policies)}
        self._opened: dict[object, list[tuple[int, int]]] = {}
        self._gone: set[int] = set()  # found unneeded: of two policies that do the same, one is needed

    def judge(self, policy: Policy) -> Iterator[Unneeded]:
        """The whole policy, or else each rule of it."""
        number = self._numbers[policy.ref]
        if not self._evaluation.universe.subjects(policy) & self._states.pods:
            yield Unneeded(policy.ref, NO_POD)
            return
        needed = {direction: self._needed(policy, number, direction) for direction in Direction}
        if not any(needed.values()):
            self._gone.add(number)
            yield Unneeded(policy.ref, OTHER_POLICIES)
            return
        for direction in Direction:
            for index, rule in enumerate(policy.rules(direction) or ()):
                if index not in needed[direction]:
                    yield Unneeded(policy.ref, self._why(policy, rule, direction), direction, index)

    def _needed(self, policy: Policy, number: int, direction: Direction) -> set[int | None]:
        """The rules that allow what nothing else does; and None if only this policy isolates some pod."""
        found: set[int | None] = set()
        rules = policy.rules(direction)
        if rules is None:
            return found
        for subject, isolating in self._subjects(policy, direction):
            if isolating == (number,):
                found.add(None)
            if found.issuperset(range(len(rules))):
                continue  # every rule is needed already
            others = [other for other in isolating if other != number]
            policies = [self._evaluation.cluster.policies[each] for each in isolating]
            for port in representatives(self._evaluation.cluster, policies):
                for family in self._states.families:
                    table = self._evaluation.table(*port, family)
                    allowed = 0
                    for other in others:
                        allowed |= self._peers(table, (direction, other, None), subject)
                    for index in range(len(rules)):
                        own = self._peers(table, (direction, number, index), subject)
                        if own & ~allowed:
                            found.add(index)
                        allowed |= own
        return found

    def _subjects(self, policy: Policy, direction: Direction) -> Iterator[tuple[int, tuple[int, ...]]]:
        """Each subject with all policies that isolate it; one for those that nothing tells apart here."""
        seen: set[object] = set()
        selecting = self._evaluation.applying[direction].selecting
        for subject in unpack(self._evaluation.universe.subjects(policy) & self._states.pods):
            isolating = tuple(each for each in selecting[subject] if each not in self._gone)
            pod = self._evaluation.groups[subject].sample.pod
            ports = frozenset(pod.ports) if pod is not None and direction is Direction.INGRESS else None
            if (isolating, ports) not in seen:
                seen.add((isolating, ports))
                yield subject, isolating

    def _peers(self, table: Table, what: tuple[Direction, int, int | None], subject: int) -> int:
        """The peers that a policy, or a rule of it, allows for a subject."""
        key = (table, what)
        if key not in self._opened:
            self._opened[key] = table.opened(*what)
        bits = 0
        for subjects, peers in self._opened[key]:
            if subjects >> subject & 1:
                bits |= peers
        return bits & (self._states.pods | self._states.outside)

    def _why(self, policy: Policy, rule: Rule, direction: Direction) -> str:
        universe, peers = self._evaluation.universe, 0
        for family in self._states.families:
            for peer in rule.peers:
                peers |= universe.matched(peer, policy.ref.namespace, family)
        if not peers & (self._states.pods | self._states.outside):
            return NO_PEER
        names = {(port.name, port.protocol) for port in rule.ports if isinstance(port, NamedPort)}
        if len(names) == len(rule.ports):
            destinations = universe.subjects(policy) if direction is Direction.INGRESS else peers
            pods = (
                self._evaluation.groups[index].sample.pod
                for index in unpack(destinations & self._states.pods)
            )
            if not any((port.name, port.protocol) in names for pod in pods if pod for port in pod.ports):
                return NO_PORT
        return OTHER_RULES
